"""What is exposed of the totals, whatever the format."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import accumulate
from typing import TYPE_CHECKING, Final

from attrs import frozen

from mlops_core.records.histogram import BUCKETS_PER_DOUBLING, upper_bound

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlops_core.records import SeriesKey, Window

__all__ = ["FAMILIES", "LATENCY", "Latencies", "Number", "samples_of"]

LATENCY: Final = "mlops_prediction_latency_seconds"
FAMILIES: Final = {
    "mlops_predictions_total": ("counter", "Predictions."),
    "mlops_predictions_failed_total": ("counter", "Predictions that failed."),
    "mlops_prediction_errors_total": ("counter", "Predictions that failed, by type of error."),
    LATENCY: ("histogram", "Seconds that predictions took."),
    "mlops_value": ("gauge", "The last of a recorded value, by name."),
    "mlops_value_timestamp_seconds": ("gauge", "When that was recorded, in seconds since 1970."),
}
"""Type and help by name, in their order."""

_OTHER: Final = "other"
_LEAST, _MOST = -14, 6  # doublings: the bounds reach from 61 us to 64 s


@frozen
class Number:
    """A sample of a counter or a gauge."""

    family: str
    labels: Mapping[str, str]
    value: float


@frozen
class Latencies:
    """A histogram of seconds.

    ``recorded`` counts by bucket of ``mlops_core.records.histogram``, ``within`` says of each bound how many are not above it.
    """

    family: str
    labels: Mapping[str, str]
    sum: float
    count: int
    recorded: Mapping[int, int]
    within: Mapping[float, int]


def samples_of(totals: Mapping[SeriesKey, Window], schema: int) -> Iterator[Number | Latencies]:
    """Every sample, by series.

    Args:
        totals: What was counted since the beginning, by series.
        schema: Of native histograms: the bounds are the powers of 2 ** (2 ** -schema), each of which is one of a recorded bucket.
    """
    for series, window in sorted(totals.items()):
        place = {"tenant": series.tenant, "environment": series.environment, "model": series.model, "version": series.version}
        yield Number("mlops_predictions_total", place, window.total)
        yield Number("mlops_predictions_failed_total", place, window.errors)
        for kind, count in sorted(_by_type(window).items()):
            yield Number("mlops_prediction_errors_total", {**place, "type": kind}, count)
        counts = window.histogram
        yield Latencies(LATENCY, place, window.latency_sum, sum(counts.values()), counts, _within(counts, BUCKETS_PER_DOUBLING >> schema))
        for name, value in sorted(window.values.items()):
            yield Number("mlops_value", {**place, "name": name}, value.last)
            if value.at is not None:
                yield Number("mlops_value_timestamp_seconds", {**place, "name": name}, value.at.timestamp())


def _within(histogram: Mapping[int, int], step: int) -> dict[float, int]:
    """How many are not above each bound; a recorded bucket lies on one side of every bound."""
    first, last = _LEAST * BUCKETS_PER_DOUBLING, _MOST * BUCKETS_PER_DOUBLING
    counts = dict.fromkeys(range(first, last + 1, step), 0)
    for index, count in histogram.items():
        if index <= last:
            counts[max(-(-index // step) * step, first)] += count
    return dict(zip(map(upper_bound, counts), accumulate(counts.values()), strict=True))


def _by_type(window: Window) -> dict[str, int]:
    """Errors without a type, which a segment that was cut down to its counts brings, are other ones: the sum is that of all."""
    found = dict(window.errors_by_type)
    if (untold := window.errors - sum(found.values())) > 0:
        found[_OTHER] = found.get(_OTHER, 0) + untold
    return found
