"""``sink.prometheus``: what is counted, for a Prometheus server to scrape."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final

from attrs import define, field, validators

from mlops_core.roles import MonitorSink
from mlops_sink_prometheus.families import samples_of
from mlops_sink_prometheus.ledger import Ledger
from mlops_sink_prometheus.listener import Listener
from mlops_sink_prometheus.protobuf import PROTOBUF, render_protobuf, wants_protobuf
from mlops_sink_prometheus.rules import write_rules
from mlops_sink_prometheus.text import TEXT, render_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mlops_core.records import BurnSpec, RuleSpec, Segment
    from mlops_sink_prometheus.families import Latencies, Number

__all__ = ["PrometheusSink"]

_PORTS: Final = 65535
_LONGEST: Final = timedelta(days=36_500)
_SCHEMAS: Final = (0, 1, 2, 3)


@define(eq=False)
class PrometheusSink(MonitorSink):
    """Counters, latency histograms and recorded values of every series, at ``http://HOST:PORT/metrics``.

    All processes of a project add to one file, each segment once, so that a counter never goes down: whichever process answers a scrape
    answers for all. Process-safe. The address is served by serving processes and ``mlops watch``, one at a time. It cannot be read, so
    name a sink that can, such as ``sqlite``, beside it.
    """

    contract = 1
    capabilities: ClassVar[frozenset[str]] = frozenset({"listen", "rules"})

    path: Path = field(
        default=Path(".mlops/prometheus.db"), converter=Path, metadata={"help": "the file with the totals; created when missing"}
    )
    port: int = field(
        default=9464,
        validator=validators.and_(validators.ge(0), validators.le(_PORTS)),
        metadata={"help": "where to listen; one process has it, the others stand by; 0 takes a free one each, and logs it"},
    )
    host: str = field(
        default="127.0.0.1",
        validator=validators.min_len(1),
        metadata={"help": "the address to listen on; there is no password: any but 127.0.0.1 lets other machines read"},
    )
    schema: int = field(
        default=1,
        validator=validators.in_(_SCHEMAS),
        metadata={"help": "bounds of the latency histogram grow by 2 (0), 1.41 (1), 1.19 (2) or 1.09 (3), from 61 us to 64 s"},
    )
    native: bool = field(
        default=False,
        metadata={"help": "also offer native histograms, with all recorded buckets, to a server that asks for them; rules then use them"},
    )
    quiet: timedelta = field(
        default=timedelta(days=30),
        validator=validators.and_(validators.gt(timedelta()), validators.le(_LONGEST)),
        metadata={"help": "a series without predictions for so long, such as of an old version, is not exposed; its counts stay"},
    )
    busy_timeout: float = field(
        default=5.0, validator=validators.gt(0), metadata={"help": "seconds that a writer waits for other processes; then it tries again"}
    )
    _ledger: Ledger = field(init=False, repr=False)
    _listener: Listener = field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self._ledger = Ledger(self.path.absolute(), self.busy_timeout)
        self._listener = Listener(self.host, self.port, self._answer)

    @property
    def address(self) -> str | None:
        """The URL that this process answers; None while it does not."""
        return self._listener.address

    def check(self) -> None:
        """Open the file and look at its schema."""
        self._ledger.totals(self.quiet)

    def write(self, segments: Sequence[Segment]) -> None:
        """Add each (writer, sequence) once, all of the call in one transaction."""
        if segments:
            self._ledger.add(segments)

    def listen(self) -> None:
        """Answer scrapes from a thread of this process, once the port is free."""
        self._listener.start()

    def rules(self, specs: Sequence[RuleSpec | BurnSpec]) -> str:
        """The alert rules as a Prometheus rule file, over the metrics of this sink."""
        return write_rules(specs, native=self.native)

    def text(self) -> str:
        """What a scrape is answered with, as text."""
        return render_text(self._samples())

    def close(self) -> None:
        """Give the port back and close the file."""
        self._listener.close()
        self._ledger.close()

    def _samples(self) -> Iterator[Number | Latencies]:
        return samples_of(self._ledger.totals(self.quiet), self.schema)

    def _answer(self, accept: str) -> tuple[str, bytes]:
        if self.native and wants_protobuf(accept):
            return PROTOBUF, render_protobuf(self._samples())
        return TEXT, self.text().encode()
