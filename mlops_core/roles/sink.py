"""The monitor sink role: where segments of predictions are kept."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

from mlops_core.exceptions import CapabilityError
from mlops_core.roles.backend import Backend

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime, timedelta

    from mlops_core.records import Logged, Page, Segment, SeriesKey

    Merge = Callable[[Sequence[Segment]], Sequence[Segment]]

__all__ = ["MonitorSink"]


class MonitorSink(Backend):
    """Mechanism of keeping segments. The core adds the hot path, histograms, windows, health and alerts.

    Capabilities: ``read`` (everything but ``write``), ``log`` (the prediction log).
    """

    __slots__ = ()

    @abstractmethod
    def write(self, segments: Sequence[Segment]) -> None:
        """Keep segments, each (writer, sequence) once, told by a contiguous high-water mark per writer that outlives retention.

        Raises:
            ValueError: A segment holds what this sink cannot keep; ``TypeError`` and ``ArithmeticError`` say the same. Only its counts are
                then written. Any other error is an outage, after which all is written again.
        """

    def read(self, series: SeriesKey, start: datetime, end: datetime, *, level: timedelta | None = None) -> Iterator[Segment]:
        """Segments that overlap [start, end), oldest first; with ``level`` only those replaced at that level (zero: only written ones)."""
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
        """Keep predictions and outcomes, each (kind, prediction id) once."""
        raise self._lacks("log")

    def read_log(self, series: SeriesKey, start: datetime, end: datetime, *, since: str | None = None) -> Page[Logged]:
        """Rows of the prediction log in [start, end), after a cursor."""
        raise self._lacks("log")

    def purge(self, tenant: str, *, before: datetime | None = None, ids: Sequence[str] = ()) -> int:
        """Erase logged rows and samples of a tenant; answers how many rows."""
        raise self._lacks("log")

    def _lacks(self, capability: str) -> CapabilityError:
        return CapabilityError(f"sink: {type(self).__name__} cannot {capability} - name a sink that can first in monitoring.sinks")
