"""What ``get_metrics`` answers."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from attrs import field, frozen

from mlops_core.records import Estimate, Record, Window

__all__ = ["Metrics"]


@frozen
class Metrics(Record):
    """Figures of one model over a window. Latencies in seconds, rates as fractions, throughput per second; None without data.

    ``environment`` and ``version`` are those asked for (None: all of them). ``values`` holds the last of each recorded figure; ``live``
    what is known of the predictions since: ``accuracy``, ``f1``, ``rmse`` ... with n and 95 % interval. ``start`` and ``end`` are the
    interval truly covered.
    """

    model: str
    environment: str | None
    version: str | None
    total_predictions: int
    total_errors: int
    success_rate: float | None
    error_rate: float | None
    avg_latency: float | None
    p50_latency: float | None
    p95_latency: float | None
    p99_latency: float | None
    throughput: float | None
    errors_by_type: Mapping[str, int] = field(factory=dict)
    values: Mapping[str, float] = field(factory=dict)
    live: Mapping[str, Estimate] = field(factory=dict)
    start: datetime | None = None
    end: datetime | None = None

    @classmethod
    def of(cls, window: Window, model: str, environment: str | None, version: str | None) -> Metrics:
        """The figures of a window."""
        return cls(
            model=model,
            environment=environment,
            version=version,
            total_predictions=window.total,
            total_errors=window.errors,
            success_rate=window.success_rate,
            error_rate=window.error_rate,
            avg_latency=window.avg_latency,
            p50_latency=window.p50_latency,
            p95_latency=window.p95_latency,
            p99_latency=window.p99_latency,
            throughput=window.throughput,
            errors_by_type=window.errors_by_type,
            values={name: window.figure(name) for name in window.values},
            live=window.quality.estimates(),
            start=window.start,
            end=window.end,
        )
