"""Segments merged to the figures of a window, and the health rules over them.

Pure functions beside the records, so that monitoring, deployment gates and alert rules count alike.
"""

from __future__ import annotations

import math
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final

from attrs import evolve, field, frozen

from mlops_core.records.deployment import HealthStatus, VariantCount
from mlops_core.records.histogram import merge_counts, quantile
from mlops_core.records.monitoring import Segment, SeriesKey, ValueSum
from mlops_core.records.quality import LIVE_METRICS, Quality, merge_quality
from mlops_core.records.record import Record
from mlops_core.records.sampling import MOST_ROWS, uniform
from mlops_core.records.threshold import COUNTERS, LIVE, METRICS

__all__ = ["HealthReport", "Window", "assess_health", "exact_sum", "merge_segments"]

_SHORTEST: Final = 1.0  # seconds: a burst of milliseconds is no throughput
_DEGRADED_SHARE: Final = 0.5
_MOST_FAILURES: Final = 100


@frozen
class Window(Record):
    """What happened between ``start`` and ``end``, the interval truly covered (None: nothing was recorded).

    Latencies in seconds. ``counts`` holds totals per (version, routing revision), sorted; ``values`` the recorded figures by name;
    ``quality`` what is known of the predictions since. Derived figures are None where there is no data to derive them from.
    """

    total: int = 0
    errors: int = 0
    repeated_errors: int = 0
    errors_by_type: Mapping[str, int] = field(factory=dict)
    latency_sum: float = 0.0
    histogram: Mapping[int, int] = field(factory=dict)
    values: Mapping[str, ValueSum] = field(factory=dict)
    counts: tuple[VariantCount, ...] = ()
    quality: Quality = field(factory=Quality)
    start: datetime | None = None
    end: datetime | None = None

    @classmethod
    def merge(cls, segments: Iterable[Segment], *, until: datetime | None = None) -> Window:
        """Add segments, in any order and however they were rolled up before.

        Args:
            segments: Of one series or of several.
            until: The end of the window that was asked for: quiet time up to there is covered as well.
        """
        found = sorted(segments, key=_order)
        if not found:
            return cls()
        ends = [segment.end for segment in found]
        histogram = merge_counts(segment.histogram for segment in found)
        return cls(
            total=sum(segment.total for segment in found),
            errors=sum(segment.errors for segment in found),
            repeated_errors=sum(segment.repeated_errors for segment in found),
            errors_by_type=_by_frequency(segment.errors_by_type for segment in found),
            latency_sum=exact_sum(segment.latency_sum for segment in found),
            histogram=histogram,
            values=_merge_values(found),
            counts=_count_variants(found, histogram),
            quality=merge_quality(segment.quality for segment in found if segment.quality is not None),
            start=min(segment.start for segment in found),
            end=max(ends if until is None else [*ends, until]),
        )

    @property
    def total_predictions(self) -> int:
        """Predictions counted."""
        return self.total

    @property
    def total_errors(self) -> int:
        """Predictions that failed."""
        return self.errors

    @property
    def error_rate(self) -> float | None:
        """Share of failures, in [0, 1]."""
        return self.errors / self.total if self.total else None

    @property
    def success_rate(self) -> float | None:
        """Share of successes, in [0, 1]."""
        return (self.total - self.errors) / self.total if self.total else None

    @property
    def avg_latency(self) -> float | None:
        """Mean latency in seconds."""
        return self.latency_sum / self.total if self.total else None

    @property
    def p50_latency(self) -> float | None:
        """Median latency in seconds, within the histogram's relative error."""
        return quantile(self.histogram, 0.50)

    @property
    def p95_latency(self) -> float | None:
        """95 % of predictions were as fast, in seconds."""
        return quantile(self.histogram, 0.95)

    @property
    def p99_latency(self) -> float | None:
        """99 % of predictions were as fast, in seconds."""
        return quantile(self.histogram, 0.99)

    @property
    def throughput(self) -> float | None:
        """Predictions per second of covered time, which counts as one second at least."""
        if self.start is None or self.end is None:
            return None
        return self.total / max(_SHORTEST, (self.end - self.start).total_seconds())

    def metric(self, name: str) -> float | None:
        """A figure by the name that rules use: one of ``METRICS``, ``live.accuracy`` and the like, or the last of a recorded value.

        None without data.
        """
        if name in METRICS:
            found: float | None = getattr(self, name)
            return found
        family, _, live = name.partition(".")
        if family == LIVE and live in LIVE_METRICS and self.quality.n:
            estimate = self.quality.estimate(live)
            return None if estimate is None else estimate.value
        return self.figure(name) if name in self.values else None

    def proved(self, name: str, *, above: bool) -> float | None:
        """The figure as far as it is proved; of one without an interval the figure.

        Of others it is the interval's low end for who asks whether the figure is ``above`` a bound, else its high end.
        """
        family, _, live = name.partition(".")
        estimate = self.quality.estimate(live) if family == LIVE and live in LIVE_METRICS and self.quality.n else None
        if estimate is None:
            return self.metric(name)
        return estimate.low if above else estimate.high

    def figure(self, name: str) -> float:
        """The last of a recorded value, or its sum where it is a counter."""
        return self.values[name].sum if name in COUNTERS else self.values[name].last

    def count(self, version: str, revision: int | None = None, *, since: int = 0) -> VariantCount:
        """Totals of one version: under one routing revision, or under all from ``since`` on (then the answer carries revision 0)."""
        found = [one for one in self.counts if one.version == version and one.revision >= since and revision in (None, one.revision)]
        return VariantCount(
            version,
            revision or 0,
            sum(one.total for one in found),
            sum(one.errors for one in found),
            repeated=sum(one.repeated for one in found),
            histogram=merge_counts(one.histogram for one in found),
        )


@frozen
class HealthReport(Record):
    """A verdict on a window, with its reasons: one line each, none for ``healthy``."""

    status: HealthStatus
    reasons: tuple[str, ...] = ()
    window: Window = Window()


def assess_health(window: Window, *, max_error_rate: float = 0.05) -> HealthReport:
    """Judge a window: above ``max_error_rate`` (a fraction) it is unhealthy, above half of it degraded, without predictions unknown."""
    rate = window.error_rate
    if rate is None:
        return HealthReport(HealthStatus.UNKNOWN, ("no predictions in the window",), window)
    said = f"error rate {rate:.2%} ({window.errors} of {window.total})"
    if rate > max_error_rate:
        return HealthReport(HealthStatus.UNHEALTHY, (f"{said} is above the maximum of {max_error_rate:.2%}",), window)
    if rate > max_error_rate * _DEGRADED_SHARE:
        return HealthReport(HealthStatus.DEGRADED, (f"{said} is above half the maximum of {max_error_rate:.2%}",), window)
    return HealthReport(HealthStatus.HEALTHY, (), window)


def merge_segments(segments: Sequence[Segment]) -> tuple[Segment, ...]:
    """Roll segments up: one per series and routing revision, since a segment never spans two.

    The merged one carries the writer and sequence of its latest part, and at most 10,000 rows of the samples and the
    newest 100 of the failures.
    """
    groups: dict[tuple[SeriesKey, int], list[Segment]] = {}
    for segment in sorted(segments, key=_order):
        groups.setdefault((segment.series, segment.revision), []).append(segment)
    return tuple(_merge_group(groups[key]) for key in sorted(groups))


def _merge_group(found: Sequence[Segment]) -> Segment:
    merged = Window.merge(found)
    return evolve(
        found[-1],
        start=min(segment.start for segment in found),
        total=merged.total,
        errors=merged.errors,
        repeated_errors=merged.repeated_errors,
        errors_by_type=merged.errors_by_type,
        latency_sum=merged.latency_sum,
        histogram=merged.histogram,
        values=merged.values,
        sample=uniform((row for segment in found for row in segment.sample), MOST_ROWS),
        failures=tuple(row for segment in found for row in segment.failures)[-_MOST_FAILURES:],
        quality=merged.quality if merged.quality.n else None,
    )


def _order(segment: Segment) -> tuple[datetime, str, int]:
    """Time first; writer and sequence so that the order is the same for everybody."""
    return segment.end, segment.writer, segment.sequence


def _by_frequency(parts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for part in parts:
        counts.update(part)
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _merge_values(found: Sequence[Segment]) -> dict[str, ValueSum]:
    parts: dict[str, list[tuple[datetime, float, ValueSum]]] = {}
    for segment in found:
        for name, value in segment.values.items():
            parts.setdefault(name, []).append((value.at or segment.end, value.last, value))
    return {name: _merge_value(group) for name, group in sorted(parts.items())}


def _merge_value(group: Sequence[tuple[datetime, float, ValueSum]]) -> ValueSum:
    """Of two recorded at the same moment the larger is the last: any rule will do that does not depend on the order of merging."""
    at, last = max((at, last) for at, last, _ in group)
    values = [value for _, _, value in group]
    return ValueSum(sum(value.count for value in values), exact_sum(value.sum for value in values), last, at)


def exact_sum(parts: Iterable[float]) -> float:
    """A sum, exact where it can be; one beyond every number is the largest, so that a figure that nobody believes harms no other."""
    given = list(parts)
    try:
        return math.fsum(given)
    except OverflowError:
        return max(-sys.float_info.max, min(sum(given), sys.float_info.max))


def _count_variants(found: Sequence[Segment], histogram: Mapping[int, int]) -> tuple[VariantCount, ...]:
    groups: dict[tuple[str, int], list[Segment]] = {}
    for segment in found:
        groups.setdefault((segment.series.version, segment.revision), []).append(segment)
    return tuple(
        VariantCount(
            *key,
            sum(segment.total for segment in group),
            sum(segment.errors for segment in group),
            repeated=sum(segment.repeated_errors for segment in group),
            histogram=histogram if len(groups) == 1 else merge_counts(segment.histogram for segment in group),
        )
        for key, group in sorted(groups.items())
    )
