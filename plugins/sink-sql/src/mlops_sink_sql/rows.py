"""Records to rows and back."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

from mlops_core.records import Logged, Quality, Segment, SeriesKey, ValueSum
from mlops_sink_sql.packing import pack, unpack, unpack_sum

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Row

__all__ = ["json_text", "log_row", "logged_of", "merged_of", "micros", "segment_of", "segment_row", "span"]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


def micros(at: datetime) -> int:
    """Whole microseconds since 1970."""
    return (at - _EPOCH) // _MICROSECOND


def span(length: timedelta) -> int:
    """Whole microseconds."""
    return length // _MICROSECOND


def _time(at: int) -> datetime:
    return _EPOCH + timedelta(microseconds=at)


def segment_row(segment: Segment, series: int, level: int) -> Mapping[str, Any]:
    """A row of the table of segments."""
    return {
        "series": series,
        "level": level,
        "start": micros(segment.start),
        "end": micros(segment.end),
        "writer": segment.writer,
        "sequence": segment.sequence,
        "revision": segment.revision,
        "total": segment.total,
        "errors": segment.errors,
        "unit_errors": segment.unit_errors,
        "latency_sum": segment.latency_sum,
        "histogram": pack(segment.histogram),
        "detail": _detail(segment) if segment.errors_by_type or segment.values else None,
        "quality": json_text(segment.quality.to_dict()) if segment.quality is not None else None,
        "sample": json_text([dict(row) for row in segment.sample]) if segment.sample else None,
        "failures": json_text([dict(row) for row in segment.failures]) if segment.failures else None,
    }


def _detail(segment: Segment) -> str:
    values = {
        name: [value.count, value.sum, value.last, None if value.at is None else micros(value.at)] for name, value in segment.values.items()
    }
    return json_text([dict(segment.errors_by_type), values])


def segment_of(row: Row[Any], series: SeriesKey, histogram: Mapping[int, int] | None = None) -> Segment:
    """The segment of a row, with its own histogram unless another is given."""
    errors_by_type, values = json.loads(row.detail) if row.detail else ({}, {})
    return Segment(
        series,
        _time(row.start),
        _time(row.end),
        row.writer,
        row.sequence,
        row.revision,
        row.total,
        row.errors,
        row.unit_errors,
        errors_by_type,
        row.latency_sum,
        unpack(row.histogram) if histogram is None else histogram,
        {name: ValueSum(count, total, last, None if at is None else _time(at)) for name, (count, total, last, at) in values.items()},
        tuple(json.loads(row.sample)) if row.sample else (),
        tuple(json.loads(row.failures)) if row.failures else (),
        Quality.from_dict(json.loads(row.quality)) if row.quality else None,
    )


def merged_of(rows: Sequence[Row[Any]], series: SeriesKey) -> list[Segment]:
    """Segments of these rows, of which the first of each routing revision carries the histogram of all."""
    segments = []
    for _, group in groupby(sorted(rows, key=attrgetter("revision")), key=attrgetter("revision")):
        one, *others = group
        segments.append(segment_of(one, series, unpack_sum([row.histogram for row in (one, *others)])))
        segments += [segment_of(row, series, {}) for row in others]
    return segments


def log_row(row: Logged, series: int) -> Mapping[str, Any]:
    """A row of the prediction log."""
    return {
        "series": series,
        "tenant": row.series.tenant,
        "kind": row.kind,
        "prediction_id": row.prediction_id,
        "row": row.row,
        "at": micros(row.at),
        "value": json_text(row.value),
        "fresh": 1,
        "joined": 0,
    }


def logged_of(row: Row[Any], series: SeriesKey) -> Logged:
    """The record of a row of the log."""
    return Logged(series, row.kind, row.prediction_id, _time(row.at), json.loads(row.value), row.row)


def json_text(value: Any) -> str:
    """ASCII, since text may hold what UTF-8 cannot."""
    return json.dumps(value, separators=(",", ":"))
