"""The monitor sink role: where segments of predictions are kept."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Literal

from mlops_core.exceptions import CapabilityError
from mlops_core.roles.backend import Backend

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime, timedelta

    from mlops_core.records import BurnSpec, Joined, Logged, Page, RuleSpec, Segment, SeriesKey

    Merge = Callable[[Sequence[Segment]], Sequence[Segment]]
    Tally = Callable[[Sequence[Joined]], Sequence[Segment]]

__all__ = ["MonitorSink"]


class MonitorSink(Backend):
    """Mechanism of keeping segments. The core adds the hot path, histograms, windows, health and alerts.

    Capabilities: ``read`` (windows and roll-up), ``log`` (the prediction log), ``listen`` (others come and fetch),
    ``rules`` (alert rules for the system that it feeds).
    """

    __slots__ = ()

    @abstractmethod
    def write(self, segments: Sequence[Segment]) -> None:
        """Keep segments, each (writer, sequence) once, told by a contiguous high-water mark per writer that outlives retention.

        Of an empty one (``Segment.is_empty``) only that it came is kept: it makes no series.

        Raises:
            ValueError: A segment holds what this sink cannot keep; ``TypeError`` and ``ArithmeticError`` say the same. Only its counts are
                then written. Any other error is an outage, after which all is written again.
        """

    def read(
        self, series: SeriesKey, start: datetime, end: datetime, *, level: timedelta | None = None, merged: bool = False
    ) -> Iterator[Segment]:
        """Segments that overlap [start, end), oldest first; with ``level`` only those replaced at that level (zero: only written ones).

        With ``merged`` the caller wants the window only: there may be fewer segments, in any order and without samples and failures, as
        long as ``Window.merge`` makes the same of those of each routing revision.
        """
        raise self._lacks("read")

    def series(self, tenant: str, model: str | None = None) -> Iterator[SeriesKey]:
        """Series that have segments, sorted."""
        raise self._lacks("read")

    def tenants(self) -> Iterator[str]:
        """Tenants that have series, sorted; for the control loop."""
        raise self._lacks("read")

    def replace(self, series: SeriesKey, start: datetime, end: datetime, level: timedelta, merge: Merge) -> int:
        """Put what ``merge`` makes of the segments that lie within [start, end) in their place, at ``level``; answers how many those were.

        Reading, merging and replacing are one step, so that a segment written meanwhile is neither lost nor counted twice. ``merge`` is
        pure and may run several times; an empty answer is retention.
        """
        raise self._lacks("read")

    def log(self, rows: Sequence[Logged]) -> None:
        """Keep predictions and outcomes, each (series, kind, prediction id, row) once."""
        raise self._lacks("log")

    def read_log(self, series: SeriesKey, start: datetime, end: datetime, *, since: str | None = None) -> Page[Logged]:
        """Rows of the prediction log in [start, end), after a cursor."""
        raise self._lacks("log")

    def join(self, tenant: str, tally: Tally) -> int:
        """Match rows of the log that arrived since the last call with their counterparts; answers how many were looked at, 0 when done.

        A prediction and an outcome belong together if tenant, prediction id and row are the same, and the model, unless the outcome's is
        ``unnamed``. What ``tally`` makes of the pairs is kept beside the segments, whatever writer and sequence it carries. Reading,
        keeping and remembering are one step: each prediction is matched once, also if its outcome came first. At most a
        thousand rows a call, so that writers get in between; ``tally`` is pure and may run several times.
        """
        raise self._lacks("log")

    def purge(
        self, tenant: str, *, before: datetime | None = None, ids: Sequence[str] = (), part: Literal["samples", "log"] | None = None
    ) -> int:
        """Erase rows of the log, and samples and failures in segments, of a tenant; answers how many. ``part``: one of these only.

        ``before``: predictions and outcomes of before, the outcomes of these predictions, and all rows of segments that began before.
        """
        raise self._lacks("log")

    def listen(self) -> None:
        """Let others fetch what is kept, from a daemon thread, until ``close``. Idempotent.

        Called in serving processes and by ``mlops watch``, of which several may run at once: where the address is another process's, this
        one stands by quietly and takes over when it is free. It never waits.
        """
        raise self._lacks("listen")

    def rules(self, specs: Sequence[RuleSpec | BurnSpec]) -> str:
        """A file of alert rules for the system that this sink feeds; opens nothing.

        Raises:
            MonitoringError: A rule cannot be said there; what is only nearly the same is said in a comment of the file, by the rule's name.
        """
        raise self._lacks("write rules")

    def _lacks(self, capability: str) -> CapabilityError:
        return CapabilityError(f"sink: {type(self).__name__} cannot {capability} - name a sink that can first in monitoring.sinks")
