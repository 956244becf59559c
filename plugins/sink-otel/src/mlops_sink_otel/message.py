"""Segments as an OTLP message: one data point per segment and metric, in delta temporality, so that nothing is re-bucketed or kept here.

OTLP's exponential histogram of scale 5 has our buckets: its bucket ``i`` holds (g ** i, g ** (i + 1)] with g = 2 ** (2 ** -5), ours
(g ** (i - 1), g ** i], so that its index is ours less one (OpenTelemetry metrics data model, "ExponentialHistogram").
"""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest, ExportMetricsServiceResponse
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    AggregationTemporality,
    ExponentialHistogram,
    ExponentialHistogramDataPoint,
    Gauge,
    Metric,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from mlops_core.records.histogram import BUCKETS_PER_DOUBLING, ZERO, upper_bound

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from mlops_core.records import Segment

__all__ = ["message_of", "rejected"]

_SCALE: Final = int(math.log2(BUCKETS_PER_DOUBLING))
_DELTA: Final = AggregationTemporality.AGGREGATION_TEMPORALITY_DELTA
_SCOPE: Final = "mlops_core.monitoring"
_OTHER: Final = "other"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


def message_of(segments: Sequence[Segment], resource: Mapping[str, str]) -> bytes:
    """The body of a request, always the same for the same segments.

    Raises:
        ValueError: A segment holds what OTLP cannot say: negative counts, sums that are not finite, numbers beyond 64 bits.
    """
    for segment in segments:
        _check(segment)
    kinds = (_predictions(segments), _errors(segments), _latencies(segments), _values(segments))
    metrics = [metric for metric in kinds if metric is not None]
    scoped = [ScopeMetrics(scope=InstrumentationScope(name=_SCOPE), metrics=metrics)] if metrics else []
    whole = ResourceMetrics(resource=Resource(attributes=_attributes(resource)), scope_metrics=scoped)
    return ExportMetricsServiceRequest(resource_metrics=[whole] if scoped else []).SerializeToString(deterministic=True)


def rejected(answer: bytes) -> int:
    """How many data points a receiver that took the request has dropped; it says so only where it did."""
    try:
        return int(ExportMetricsServiceResponse.FromString(answer).partial_success.rejected_data_points)
    except DecodeError:
        return 0


def _predictions(segments: Iterable[Segment]) -> Metric | None:
    points = [_number(one, as_int=one.total) for one in segments if one.total]
    return _sum("mlops.predictions", "Predictions.", "{prediction}", points)


def _errors(segments: Iterable[Segment]) -> Metric | None:
    points = [
        _number(one, {"error.type": kind}, as_int=count) for one in segments for kind, count in sorted(_by_type(one).items()) if count
    ]
    return _sum("mlops.prediction.errors", "Predictions that failed, by type of error.", "{prediction}", points)


def _latencies(segments: Iterable[Segment]) -> Metric | None:
    points = [_histogram(one) for one in segments if one.histogram]
    if not points:
        return None
    told = ExponentialHistogram(data_points=points, aggregation_temporality=_DELTA)
    return Metric(name="mlops.prediction.latency", description="How long predictions took.", unit="s", exponential_histogram=told)


def _values(segments: Iterable[Segment]) -> Metric | None:
    points = [
        NumberDataPoint(
            attributes=_attributes({**_place(one), "name": name}), time_unix_nano=_nanos(value.at or one.end), as_double=value.last
        )
        for one in segments
        for name, value in sorted(one.values.items())
    ]
    return Metric(name="mlops.value", description="Recorded values, by name.", gauge=Gauge(data_points=points)) if points else None


def _sum(name: str, description: str, unit: str, points: Sequence[NumberDataPoint]) -> Metric | None:
    if not points:
        return None
    return Metric(
        name=name, description=description, unit=unit, sum=Sum(data_points=points, aggregation_temporality=_DELTA, is_monotonic=True)
    )


def _number(segment: Segment, further: Mapping[str, str] | None = None, **value: Any) -> NumberDataPoint:
    attributes = _attributes({**_place(segment), **(further or {})})
    return NumberDataPoint(attributes=attributes, start_time_unix_nano=_nanos(segment.start), time_unix_nano=_nanos(segment.end), **value)


def _histogram(segment: Segment) -> ExponentialHistogramDataPoint:
    """Whatever is below the smallest bucket is in the zero bucket, whose width is told."""
    above = {index - 1: count for index, count in segment.histogram.items() if index > ZERO}
    first, last = min(above, default=0), max(above, default=-1)
    dense = ExponentialHistogramDataPoint.Buckets(offset=first, bucket_counts=[above.get(index, 0) for index in range(first, last + 1)])
    return ExponentialHistogramDataPoint(
        attributes=_attributes(_place(segment)),
        start_time_unix_nano=_nanos(segment.start),
        time_unix_nano=_nanos(segment.end),
        count=sum(segment.histogram.values()),
        sum=segment.latency_sum,
        scale=_SCALE,
        zero_count=sum(count for index, count in segment.histogram.items() if index <= ZERO),
        zero_threshold=upper_bound(ZERO),
        positive=dense,
    )


def _by_type(segment: Segment) -> dict[str, int]:
    """Errors without a type, which a segment that was cut down to its counts brings, are other ones: the sum is that of all."""
    found = dict(segment.errors_by_type)
    if (untold := segment.errors - sum(found.values())) > 0:
        found[_OTHER] = found.get(_OTHER, 0) + untold
    return found


def _place(segment: Segment) -> dict[str, str]:
    series = segment.series
    return {"tenant": series.tenant, "environment": series.environment, "model": series.model, "version": series.version}


def _attributes(named: Mapping[str, str]) -> list[KeyValue]:
    """Text that UTF-8 cannot hold is shown with question marks."""
    plain = {name: value.encode("utf-8", "replace").decode("utf-8") for name, value in named.items()}
    return [KeyValue(key=name, value=AnyValue(string_value=value)) for name, value in plain.items()]


def _nanos(at: datetime) -> int:
    return (at - _EPOCH) // _MICROSECOND * 1000


def _check(segment: Segment) -> None:
    """What protobuf would take, and no receiver should."""
    counts = (segment.total, segment.errors, *segment.errors_by_type.values(), *segment.histogram.values())
    if min(counts) < 0 or not 0 <= segment.latency_sum < math.inf or not all(math.isfinite(one.last) for one in segment.values.values()):
        raise ValueError(f"segment {segment.sequence} of {segment.series.model}: its figures are negative or not finite")
