"""Sums beside the segments: what a window reads in place of the many segments of a closed bucket. They can always be made anew.

A segment is in the bucket (b, b + width] in which it ends. A sum stands for all segments of its bucket, under one routing revision, or it
is not there: whatever changes a segment erases the sums of its buckets in the same transaction, and a roll-up, which comes by wherever
something changed, makes them again. So a window reads the widest sums that lie within it, narrower ones towards its ends, and segments
where there are no sums.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import bindparam, delete, func, insert, select, text

from mlops_core.records import merge_segments
from mlops_sink_sql.rows import segment_of, segment_row
from mlops_sink_sql.schema import SEGMENTS, SUMS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy import Connection, Row, TextClause

    from mlops_core.records import SeriesKey

    Gap = tuple[int, int]

__all__ = ["WIDTHS", "cover", "forget", "later", "renew"]

_SECOND: Final = 1_000_000
WIDTHS: Final = tuple(seconds * _SECOND for seconds in (10, 60, 600, 3600, 86400))
"""Of buckets, in microseconds; each a multiple of the one before."""

_FEWEST: Final = 5  # rows: fewer are read as fast as their sum
_MOST_GAPS: Final = 50  # of one statement
_KEPT: Final = ("start", "revision", "total", "errors", "unit_errors", "latency_sum", "histogram", "detail", "quality")
_READ: Final = f"{', '.join(_KEPT)}, '' AS writer, 0 AS sequence, NULL AS sample, NULL AS failures"
_SEGMENTS: Final = f'SELECT 0 AS bucket, "end", {_READ} FROM sink_segments WHERE series = :series AND "end"'  # noqa: S608  names of columns only
_SUMS: Final = f'SELECT bucket, latest AS "end", {_READ} FROM sink_sums WHERE series = :series AND width = :width AND bucket'  # noqa: S608
_LATER: Final = text(f"{_SEGMENTS} > :end AND start < :end")
_ERASE: Final = delete(SUMS).where(*(SUMS.c[name] == bindparam(f"its_{name}") for name in ("series", "width", "bucket")))
_ANY: Final = select(SUMS.c.bucket).where(SUMS.c.series == bindparam("its_series"), SUMS.c.bucket >= bindparam("least")).limit(1)
_NEWEST: Final = select(func.max(SEGMENTS.c.end)).where(SEGMENTS.c.series == bindparam("its_series"))


def forget(connection: Connection, series: int, ends: set[int]) -> None:
    """Erase the sums of the buckets that hold these ends of segments; called after those were written."""
    # Mostly there are none, since buckets of the present are not closed yet.
    if ends and connection.execute(_ANY, {"its_series": series, "least": min(ends)}).first() is not None:
        erased = [{"its_series": series, "its_width": width, "its_bucket": bucket} for width, bucket in _buckets(ends, WIDTHS)]
        connection.execute(_ERASE, erased)


def renew(connection: Connection, series: SeriesKey, number: int, ends: set[int], level: int) -> None:
    """Make the sums of the closed buckets, wider than ``level``, that hold these ends; narrower ones would be of one segment each."""
    newest = connection.execute(_NEWEST, {"its_series": number}).scalar() or 0
    for width, bucket in _buckets(ends, [width for width in WIDTHS if width > level]):
        if bucket <= newest:  # the narrowest first: wider ones are made of them
            rows = cover(connection, number, bucket - width, bucket, [one for one in WIDTHS if one < width])
            if len(rows) >= _FEWEST:
                merged = merge_segments([segment_of(row, series) for row in rows])
                own = {"series": number, "width": width, "bucket": bucket}
                kept = [segment_row(one, number, 0) for one in merged]
                connection.execute(insert(SUMS), [{**own, "latest": row["end"], **{name: row[name] for name in _KEPT}} for row in kept])


def _buckets(ends: Iterable[int], widths: Sequence[int]) -> list[tuple[int, int]]:
    """Widths, in their order, and ends of the buckets."""
    return [(width, bucket) for width in widths for bucket in sorted({-(-end // width) * width for end in ends})]


def cover(connection: Connection, series: int, start: int, end: int, widths: Sequence[int] = WIDTHS) -> list[Row[Any]]:
    """Rows of sums and segments that together are all segments that end in (start, end]."""
    gaps = [(start, end)]
    rows: list[Row[Any]] = []
    for width in reversed(widths):
        whole = [(-(-first // width) * width, last // width * width) for first, last in gaps]
        found = _between(connection, _SUMS, [(first, last) for first, last in whole if first < last], series=series, width=width)
        if found:
            rows += found
            gaps = _without(gaps, sorted({row.bucket for row in found}), width)
    return rows + _between(connection, _SEGMENTS, gaps, series=series)


def later(connection: Connection, series: int, end: int) -> list[Row[Any]]:
    """Rows of segments that begin before ``end`` and end after it."""
    return list(connection.execute(_LATER, {"series": series, "end": end}))


def _between(connection: Connection, query: str, gaps: Sequence[Gap], **named: int) -> list[Row[Any]]:
    found: list[Row[Any]] = []
    for begin in range(0, len(gaps), _MOST_GAPS):
        some = gaps[begin : begin + _MOST_GAPS]
        bounds = {f"{side}{place}": bound for place, gap in enumerate(some) for side, bound in zip(("first", "last"), gap, strict=True)}
        found += connection.execute(_statement(query, len(some)), {**named, **bounds})
    return found


@cache
def _statement(query: str, count: int) -> TextClause:
    """A union, since the planners find the index of each part."""
    column = query.rpartition(" ")[2]
    return text(" UNION ALL ".join(f"{query} > :first{place} AND {column} <= :last{place}" for place in range(count)))


def _without(gaps: Sequence[Gap], buckets: Sequence[int], width: int) -> list[Gap]:
    """What these buckets leave of the gaps."""
    left, rest = [], iter([*buckets, None])
    bucket = next(rest)
    for first, last in gaps:
        begin = first
        while bucket is not None and bucket <= last:
            if begin < bucket - width:
                left.append((begin, bucket - width))
            begin, bucket = bucket, next(rest)
        if begin < last:
            left.append((begin, last))
    return left
