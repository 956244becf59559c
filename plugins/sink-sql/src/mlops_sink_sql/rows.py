"""Records to rows and back."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from mlops_core.records import Logged, Segment, SeriesKey, ValueSum

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import RowMapping

__all__ = ["log_row", "logged_of", "micros", "segment_of", "segment_row", "span"]

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
    values = {
        name: [value.count, value.sum, value.last, None if value.at is None else micros(value.at)] for name, value in segment.values.items()
    }
    detail = [dict(segment.errors_by_type), {str(index): count for index, count in segment.histogram.items()}, values]
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
        "detail": _text(detail),
        "sample": _text([dict(row) for row in segment.sample]) if segment.sample else None,
    }


def segment_of(row: RowMapping, series: SeriesKey) -> Segment:
    """The segment of a row."""
    errors_by_type, histogram, values = json.loads(row["detail"])
    return Segment(
        series=series,
        start=_time(row["start"]),
        end=_time(row["end"]),
        writer=row["writer"],
        sequence=row["sequence"],
        revision=row["revision"],
        total=row["total"],
        errors=row["errors"],
        unit_errors=row["unit_errors"],
        errors_by_type=errors_by_type,
        latency_sum=row["latency_sum"],
        histogram={int(index): count for index, count in histogram.items()},
        values={name: ValueSum(count, total, last, None if at is None else _time(at)) for name, (count, total, last, at) in values.items()},
        sample=tuple(json.loads(row["sample"])) if row["sample"] else (),
    )


def log_row(row: Logged, series: int) -> Mapping[str, Any]:
    """A row of the prediction log."""
    return {
        "series": series,
        "tenant": row.series.tenant,
        "kind": row.kind,
        "prediction_id": row.prediction_id,
        "at": micros(row.at),
        "value": _text(row.value),
    }


def logged_of(row: RowMapping, series: SeriesKey) -> Logged:
    """The record of a row of the log."""
    return Logged(series, row["kind"], row["prediction_id"], _time(row["at"]), json.loads(row["value"]))


def _text(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))  # ASCII, since text may hold what UTF-8 cannot
