"""Records to rows and back."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from mlops_core.records import Logged, Quality, Segment, SeriesKey, ValueSum
from mlops_core.records.window import exact_sum
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
        "unit_errors": segment.repeated_errors,
        "latency_sum": segment.latency_sum,
        "histogram": pack(segment.histogram),
        "errors_by_type": json_text(dict(segment.errors_by_type)) if segment.errors_by_type else None,
        "recorded": _recorded(segment.values) if segment.values else None,
        "quality": json_text(segment.quality.to_dict()) if segment.quality is not None else None,
        "sample": json_text([dict(row) for row in segment.sample]) if segment.sample else None,
        "failures": json_text([dict(row) for row in segment.failures]) if segment.failures else None,
    }


def _recorded(values: Mapping[str, ValueSum]) -> str:
    return json_text(
        {name: [value.count, value.sum, value.last, None if value.at is None else micros(value.at)] for name, value in values.items()}
    )


def segment_of(row: Row[Any], series: SeriesKey) -> Segment:
    """The segment of a row."""
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
        json.loads(row.errors_by_type) if row.errors_by_type else {},
        row.latency_sum,
        unpack(row.histogram),
        _values(row.recorded) if row.recorded else {},
        tuple(json.loads(row.sample)) if row.sample else (),
        tuple(json.loads(row.failures)) if row.failures else (),
        _quality(row.quality) if row.quality else None,
    )


def _values(recorded: str) -> dict[str, ValueSum]:
    found = json.loads(recorded).items()
    return {name: ValueSum(count, total, last, None if at is None else _time(at)) for name, (count, total, last, at) in found}


def _quality(known: str) -> Quality:
    return Quality.from_dict(json.loads(known))


def merged_of(rows: Sequence[Row[Any]], series: SeriesKey) -> list[Segment]:
    """Segments of which a window makes the same as of those of these rows: of each routing revision one carries what is merely counted."""
    merged = []
    revisions = {row.revision for row in rows}
    for revision in revisions:
        found = [row for row in rows if row.revision == revision] if len(revisions) > 1 else rows
        columns = dict(zip(found[0]._fields, zip(*found, strict=True), strict=True))
        merged.append(_counted(columns, series, revision))
        if any(columns["recorded"]) or any(columns["quality"]):
            merged += [_known(row, series) for row in found if row.recorded or row.quality]
    return merged


def _counted(columns: Mapping[str, Sequence[Any]], series: SeriesKey, revision: int) -> Segment:
    errors_by_type: Counter[str] = Counter()
    for text in filter(None, columns["errors_by_type"]):
        errors_by_type.update(json.loads(text))
    return Segment(
        series,
        _time(min(columns["start"])),
        _time(max(columns["end"])),
        "",
        0,
        revision,
        sum(columns["total"]),
        sum(columns["errors"]),
        sum(columns["unit_errors"]),
        errors_by_type,
        exact_sum(columns["latency_sum"]),
        unpack_sum(columns["histogram"]),
    )


def _known(row: Row[Any], series: SeriesKey) -> Segment:
    values = _values(row.recorded) if row.recorded else {}
    quality = _quality(row.quality) if row.quality else None
    return Segment(series, _time(row.start), _time(row.end), "", 0, row.revision, values=values, quality=quality)


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
