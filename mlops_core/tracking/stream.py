"""A spool on its way to the trackers: whose run it is, when that was opened, and who still lacks some of it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from attrs import define, field

from mlops_core.records import RunKey, RunStart
from mlops_core.spool import Spool

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mlops_core.roles import Clock

__all__ = ["Stream", "due", "end_if_open", "run_of"]

_ALWAYS: Final = datetime.min.replace(tzinfo=UTC)


@define(eq=False)
class Stream:
    """A spool, the trackers that lack some of it, and whether more may come. ``run`` is None for a spool that opens no run."""

    spool: Spool
    run: RunStart | None = None
    sealed: bool = False
    pending: set[str] = field(factory=set)

    @property
    def key(self) -> RunKey | None:
        """The run whose records these are."""
        return None if self.run is None else self.run.key

    @property
    def opened(self) -> datetime:
        """When its run was opened or resumed: the order in which the spools of one run count."""
        return _ALWAYS if self.run is None else self.run.at


def due(streams: Iterable[Stream], name: str) -> Iterator[Stream]:
    """The streams to deliver to a tracker now: of one run, none before the tracker has the earlier ones that are complete."""
    earlier: set[RunKey] = set()
    for stream in streams:
        if name not in stream.pending or stream.key in earlier:
            continue
        if stream.sealed and stream.key is not None:
            earlier.add(stream.key)
        yield stream


def run_of(spool: Spool) -> RunStart | None:
    """The run that a spool opens with its first record; None if that is another record, or one of no known form."""
    _, first = next(spool.read(), (0, {}))
    try:
        return RunStart.from_dict(first["start"])
    except (KeyError, ValueError):
        return None


def end_if_open(spool: Spool, run: RunStart, clock: Clock) -> None:
    """The run of a dead process must not look alive for ever; one that its spool only joined is alive elsewhere."""
    if not run.join and all(record["kind"] != "end" for _, record in spool.read()):
        end: dict[str, Any] = {"kind": "end", "run": run.key.to_dict(), "status": "interrupted", "at": clock.now().isoformat()}
        spool.append(end)
