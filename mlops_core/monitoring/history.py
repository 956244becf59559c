"""A window in steps: how figures moved."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from attrs import evolve, field, frozen

from mlops_core.exceptions import MonitoringError, checks_input
from mlops_core.monitoring.metrics import Metrics
from mlops_core.records import HealthReport, Record, Segment, ValueSum, Window, assess_health, merge_segments

if TYPE_CHECKING:
    from mlops_core.monitoring.reading import Reader
    from mlops_core.records import SeriesKey

__all__ = ["History", "Point", "check_steps"]

_MOST_STEPS: Final = 1000
_LONG: Final = timedelta(minutes=10)
"""From here on a step is read as a window: the segments of a month would take seconds, and what lies on its edges is little of it."""


@frozen
class Point(Record):
    """Figures of one step, as in ``Metrics``; None without predictions."""

    start: datetime
    end: datetime
    total_predictions: int = 0
    throughput: float = 0.0
    error_rate: float | None = None
    p50_latency: float | None = None
    p95_latency: float | None = None
    p99_latency: float | None = None

    @classmethod
    def of(cls, window: Window, start: datetime, end: datetime) -> Point:
        """The figures of a step; its throughput is over the whole of it."""
        rate = window.total / (end - start).total_seconds()
        return cls(start, end, window.total, rate, window.error_rate, window.p50_latency, window.p95_latency, window.p99_latency)


@frozen
class History(Record):
    """A window at once (``metrics``, ``health``), by version, and in steps of equal length, oldest first.

    ``values`` holds the recorded figures with the time of the last of each. A segment counts in the step in which it ends; one on the edge
    of two steps of ten minutes or more counts in both, but once in the whole.
    """

    metrics: Metrics
    health: HealthReport
    points: tuple[Point, ...]
    versions: Mapping[str, Metrics] = field(factory=dict)
    values: Mapping[str, ValueSum] = field(factory=dict)

    @classmethod
    def read(
        cls,
        reader: Reader,
        keys: list[SeriesKey],
        start: datetime,
        end: datetime,
        steps: int,
        *,
        about: tuple[str, str | None, str | None],
        max_error_rate: float,
    ) -> History:
        """The window [start, end) of these series; ``about``: model, environment and version that were asked for."""
        length = (end - start) / steps
        if length < _LONG:
            return cls.of(reader.segments(keys, start, end), start, end, steps, about=about, max_error_rate=max_error_rate)
        edges = [(start + place * length, start + (place + 1) * length) for place in range(steps)]
        points = tuple(Point.of(reader.window(keys, first, last), first, last) for first, last in edges)
        by_version: dict[str, list[SeriesKey]] = {}
        for key in keys:
            by_version.setdefault(key.version, []).append(key)
        windows = {name: reader.window(found, start, end) for name, found in sorted(by_version.items())}
        told = {name: window for name, window in windows.items() if window.start is not None}
        return cls._told(reader.window(keys, start, end), told, points, about, max_error_rate)

    @classmethod
    def of(
        cls,
        segments: Iterable[Segment],
        start: datetime,
        end: datetime,
        steps: int,
        *,
        about: tuple[str, str | None, str | None],
        max_error_rate: float,
    ) -> History:
        """Sort segments of [start, end) into steps; ``about``: model, environment and version that were asked for."""
        length = (end - start) / steps
        merged = [merge_segments(found) for found in _sorted(segments, start, length, steps)]
        everything = [segment for found in merged for segment in found]
        by_version: dict[str, list[Segment]] = {}
        for segment in everything:
            by_version.setdefault(segment.series.version, []).append(segment)
        points = tuple(
            Point.of(Window.merge(found), start + place * length, start + (place + 1) * length) for place, found in enumerate(merged)
        )
        windows = {name: Window.merge(found, until=end) for name, found in sorted(by_version.items())}
        return cls._told(Window.merge(everything, until=end), windows, points, about, max_error_rate)

    @classmethod
    def _told(
        cls,
        whole: Window,
        windows: Mapping[str, Window],
        points: tuple[Point, ...],
        about: tuple[str, str | None, str | None],
        max_error_rate: float,
    ) -> History:
        model, environment, version = about
        return cls(
            metrics=Metrics.of(whole, model, environment, version),
            health=assess_health(whole, max_error_rate=max_error_rate),
            points=points,
            versions={name: Metrics.of(window, model, environment, name) for name, window in windows.items()},
            values=whole.values,
        )


def _sorted(segments: Iterable[Segment], start: datetime, length: timedelta, steps: int) -> Sequence[list[Segment]]:
    """Segments by step, without the rows of single predictions, which nobody looks at here."""
    found: list[list[Segment]] = [[] for _ in range(steps)]
    for segment in segments:
        place = math.ceil((segment.end - start) / length) - 1
        found[min(max(0, place), steps - 1)].append(
            evolve(segment, sample=(), failures=()) if segment.sample or segment.failures else segment
        )
    return found


@checks_input
def check_steps(steps: object) -> int:
    """Answer a number of steps if it is one.

    Raises:
        MonitoringError: It is no whole number from 1 to 1,000.
    """
    if not isinstance(steps, int) or isinstance(steps, bool) or not 1 <= steps <= _MOST_STEPS:
        raise MonitoringError(f"steps: expected a whole number from 1 to {_MOST_STEPS}, got {steps!r:.40} - give 60")
    return steps
