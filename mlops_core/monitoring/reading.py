"""Windows out of the sink that answers them."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import datetime, timedelta
from itertools import chain
from typing import TYPE_CHECKING, Any, Literal

from attrs import field, frozen

from mlops_core.exceptions import MonitoringError, checks_input
from mlops_core.monitoring.rollup import roll_up
from mlops_core.records import SeriesKey, Window
from mlops_core.records.threshold import SHADOW_DROPPED
from mlops_core.roles import MonitorSink

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from mlops_core.monitoring.rollup import Levels
    from mlops_core.records import Joined, Segment

    Tally = Callable[[Sequence[Joined]], Sequence[Segment]]

_TOLD = 3

__all__ = ["Reader", "check_window", "erase", "join_all", "roll_up_all"]


@frozen
class Reader:
    """The first sink that can read, by its name in the configuration.

    ``shadows``: whether what shadows did counts. It does where one version is asked for; clients got none of it.
    """

    name: str
    sink: MonitorSink
    shadows: bool = field(default=False, kw_only=True)

    @classmethod
    def among(cls, sinks: Mapping[str, MonitorSink]) -> Reader:
        """Choose the sink.

        Raises:
            MonitoringError: None of them can read.
        """
        for name, sink in sinks.items():
            if "read" in sink.capabilities:
                return cls(name, sink)
        known = ", ".join(sinks) or "none"
        raise MonitoringError(f"monitoring.sinks: none can be read (there are: {known}) - add one that can, such as sqlite")

    def series(self, tenant: str, model: str | None = None, environment: str | None = None, version: str | None = None) -> list[SeriesKey]:
        """Series that have segments; None: any."""
        with self._told():
            found = list(self.sink.series(tenant, model))
        return [key for key in found if environment in (None, key.environment) and version in (None, key.version)]

    def window(self, series: list[SeriesKey], start: datetime, end: datetime) -> Window:
        """All segments of these series that overlap [start, end), merged."""
        with self._told():
            return Window.merge(chain.from_iterable(self._read(key, start, end, merged=True) for key in series), until=end)

    def segments(self, series: list[SeriesKey], start: datetime, end: datetime) -> list[Segment]:
        """All segments of these series that overlap [start, end)."""
        with self._told():
            return [segment for key in series for segment in self._read(key, start, end)]

    def failures(self, series: list[SeriesKey], start: datetime, end: datetime) -> list[Mapping[str, Any]]:
        """Failures that were kept in [start, end), newest first."""
        with self._told():
            found = [row for key in series for one in self._read(key, start, end) for row in one.failures]
        inside = [row for row in found if start < datetime.fromisoformat(row["at"]) <= end]  # a segment may reach beyond
        return sorted(inside, key=lambda row: str(row["at"]), reverse=True)

    def join(self, tenant: str, tally: Tally, until: Callable[[], bool]) -> None:
        """Match outcomes that arrived, if the sink keeps them, until there are no more or enough is done."""
        with self._told():
            _join(self.sink, tenant, tally, until)

    def _read(self, *where: Any, **how: Any) -> Iterator[Segment]:
        """Of one series. A routing revision is a shadow's or it is not, and a merged read tells of figures apart from counts."""
        if self.shadows:
            yield from self.sink.read(*where, **how)
            return
        found = list(self.sink.read(*where, **how))
        copies = {one.revision for one in found if SHADOW_DROPPED in one.values}
        yield from (one for one in found if one.revision not in copies)

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except MonitoringError:
            raise
        except Exception as error:
            raise MonitoringError(f"sink {self.name}: cannot be read: {error}") from error


def erase(
    sinks: Mapping[str, MonitorSink],
    tenant: str,
    *,
    before: datetime | None = None,
    ids: Sequence[str] = (),
    part: Literal["samples", "log"] | None = None,
) -> int:
    """Erase what sinks keep of single predictions (see ``MonitorSink.purge``); answers how many rows.

    Raises:
        MonitoringError: A sink that can be read cannot erase, or does not answer; the others are asked all the same.
    """
    return _each(sinks, "erase", lambda sink: sink.purge(tenant, before=before, ids=ids, part=part))


def roll_up_all(sinks: Mapping[str, MonitorSink], tenant: str, levels: Levels, now: datetime, recent: timedelta | None = None) -> int:
    """Roll every series of the tenant up (see ``mlops_core.monitoring.rollup``); answers how many segments were merged or erased.

    Raises:
        MonitoringError: A sink does not answer; the others are rolled up all the same.
    """

    def act(sink: MonitorSink) -> int:
        count, failed = 0, []
        for key in list(sink.series(tenant)):
            try:
                count += roll_up(sink, key, levels, now, recent)
            except Exception as error:  # noqa: BLE001  whatever a sink raises: the other series are rolled up
                failed.append(f"{key.model} {key.version} in {key.environment}: {error}")
        if failed:
            raise MonitoringError("; ".join(failed[:_TOLD]))
        return count

    return _each(sinks, "merge", act)


def join_all(sinks: Mapping[str, MonitorSink], tenant: str, tally: Tally) -> int:
    """Match outcomes with their predictions in every sink that keeps them; answers how many rows were looked at.

    Raises:
        MonitoringError: A sink does not answer; the others are asked all the same.
    """
    return _each(sinks, "match outcomes", lambda sink: _join(sink, tenant, tally))


def _join(sink: MonitorSink, tenant: str, tally: Tally, until: Callable[[], bool] = lambda: False) -> int:
    count = 0
    while "log" in sink.capabilities and (looked := sink.join(tenant, tally)):
        count += looked
        if until():
            break
    return count


def _each(sinks: Mapping[str, MonitorSink], what: str, act: Callable[[MonitorSink], int]) -> int:
    """The sum over the sinks that can be read."""
    count, failed = 0, []
    for name, sink in sinks.items():
        if "read" in sink.capabilities:
            try:
                count += act(sink)
            except Exception as error:  # noqa: BLE001  whatever a sink raises: the others are asked all the same
                failed.append(f"sink {name}: cannot {what}: {error}")
    if failed:
        raise MonitoringError("; ".join(failed))
    return count


@checks_input
def check_window(window: Any) -> timedelta:
    """Answer a length of time if it is one.

    Raises:
        MonitoringError: It is no timedelta, or not above zero.
    """
    if not isinstance(window, timedelta):
        raise MonitoringError(f"time_window: expected a timedelta, got {type(window).__name__} - give timedelta(hours=1)")
    if window <= timedelta(0):
        raise MonitoringError(f"time_window: {window} is no window - give a length above zero, such as timedelta(hours=1)")
    return window
