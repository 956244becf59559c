"""Totals of series in the text format of Prometheus, version 0.0.4."""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING, Final

from mlops_core.records.histogram import BUCKETS_PER_DOUBLING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mlops_core.records import SeriesKey, Window

__all__ = ["CONTENT_TYPE", "render"]

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_OTHER: Final = "other"
_LEAST, _MOST = -14, 6  # doublings: the bounds reach from 61 us to 64 s
_ESCAPES: Final = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})
_FAMILIES: Final = {
    "mlops_predictions_total": ("counter", "Predictions."),
    "mlops_predictions_failed_total": ("counter", "Predictions that failed."),
    "mlops_prediction_errors_total": ("counter", "Predictions that failed, by type of error."),
    "mlops_prediction_latency_seconds": ("histogram", "Seconds that predictions took."),
    "mlops_value": ("gauge", "The last of a recorded value, by name."),
    "mlops_value_timestamp_seconds": ("gauge", "When that was recorded, in seconds since 1970."),
}


def render(totals: Mapping[SeriesKey, Window], schema: int) -> str:
    """All families, those without a sample left out.

    Args:
        totals: What was counted since the beginning, by series.
        schema: Of native histograms: a doubling of latency has 2 ** schema buckets, each made of whole buckets of ours.
    """
    lines: dict[str, list[str]] = {name: [] for name in _FAMILIES}
    bounds = _bounds(schema)
    for series, window in sorted(totals.items()):
        labels = _labels(tenant=series.tenant, environment=series.environment, model=series.model, version=series.version)
        for name, line in _samples(labels, window, bounds):
            lines[name].append(line)
    return "".join(
        f"# HELP {name} {said}\n# TYPE {name} {kind}\n{''.join(lines[name])}" for name, (kind, said) in _FAMILIES.items() if lines[name]
    )


def _samples(labels: str, window: Window, bounds: Mapping[int, str]) -> Iterator[tuple[str, str]]:
    """Families and lines."""

    def line(name: str, value: float, further: str = "", suffix: str = "") -> tuple[str, str]:
        return name, f"{name}{suffix}{{{labels}{further}}} {value}\n"

    yield line("mlops_predictions_total", window.total)
    yield line("mlops_predictions_failed_total", window.errors)
    for kind, count in sorted(_by_type(window).items()):
        yield line("mlops_prediction_errors_total", count, f",{_labels(type=kind)}")
    latency = "mlops_prediction_latency_seconds"
    for bound, count in _cumulative(window.histogram, bounds):
        yield line(latency, count, f',le="{bound}"', "_bucket")
    yield line(latency, window.latency_sum, suffix="_sum")
    yield line(latency, sum(window.histogram.values()), suffix="_count")
    for name, value in sorted(window.values.items()):
        yield line("mlops_value", value.last, f",{_labels(name=name)}")
        if value.at is not None:
            yield line("mlops_value_timestamp_seconds", value.at.timestamp(), f",{_labels(name=name)}")


def _bounds(schema: int) -> dict[int, str]:
    """Our bucket that ends at each bound, and the bound as text: all are powers of 2 ** (2 ** -schema)."""
    step = BUCKETS_PER_DOUBLING >> schema
    indexes = range(_LEAST * BUCKETS_PER_DOUBLING, _MOST * BUCKETS_PER_DOUBLING + 1, step)
    return {index: repr(2.0 ** (index / BUCKETS_PER_DOUBLING)) for index in indexes}


def _cumulative(histogram: Mapping[int, int], bounds: Mapping[int, str]) -> Iterator[tuple[str, int]]:
    """How many are not above each bound; a bucket of ours lies on one side of every bound."""
    step = (_MOST - _LEAST) * BUCKETS_PER_DOUBLING // (len(bounds) - 1)
    counts = dict.fromkeys((*bounds, _MOST * BUCKETS_PER_DOUBLING + step), 0)
    for index, count in histogram.items():
        within = min(max(-(-index // step) * step, _LEAST * BUCKETS_PER_DOUBLING), _MOST * BUCKETS_PER_DOUBLING + step)
        counts[within] += count
    return zip((*bounds.values(), "+Inf"), accumulate(counts.values()), strict=True)


def _by_type(window: Window) -> dict[str, int]:
    """Errors without a type, which a segment that was cut down to its counts brings, are other ones: the sum is that of all."""
    found = dict(window.errors_by_type)
    if (untold := window.errors - sum(found.values())) > 0:
        found[_OTHER] = found.get(_OTHER, 0) + untold
    return found


def _labels(**labels: str) -> str:
    return ",".join(f'{name}="{value.translate(_ESCAPES)}"' for name, value in labels.items())
