"""How a time is read: the widest sums that lie within it, narrower ones towards its ends, and segments where there are no sums."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import text

from mlops_sink_sql.schema import SUMMED, WIDTHS
from mlops_sink_sql.series import number_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection, Row, TextClause

    from mlops_core.records import SeriesKey

    Gap = tuple[int, int]

__all__ = ["cover", "cover_window"]

_MOST: Final = 50  # parts of one statement
_READ: Final = ", ".join(SUMMED)
_SEGMENTS: Final = f'SELECT 0 AS width, 0 AS bucket, "end", {_READ} FROM sink_segments WHERE series = :series AND "end" > '  # noqa: S608  names only
_SUMS: Final = f'SELECT width, bucket, latest AS "end", {_READ} FROM sink_sums WHERE series = :series AND width = '  # noqa: S608  names only
_ITS: Final = "(SELECT id FROM sink_series WHERE tenant = :tenant AND model = :model AND environment = :environment AND version = :version)"


def cover_window(connection: Connection, series: SeriesKey, start: int, end: int) -> list[Row[Any]]:
    """Rows of sums and segments that together are all segments that overlap [start, end).

    One statement reads it as if every bucket had its sum. Where one has none, as it is quiet or something in it changed, more are needed.
    """
    wanted, gaps = _ideal(start, end)
    bounds = {f"gap{place}{side}": gap[side] for place, gap in enumerate(gaps) for side in (0, 1)}
    bounds |= {f"sum{place}{side}": part[side] for place, part in enumerate(wanted) for side in (0, 1, 2)}
    named = {"tenant": series.tenant, "model": series.model, "environment": series.environment, "version": series.version}
    rows = [*connection.execute(_window_statement(len(wanted), len(gaps)), {**named, **bounds, "until": end}).all()]
    found: dict[int, set[int]] = {}
    for row in rows:
        found.setdefault(row[0], set()).add(row[1])
    for width, first, last in wanted:
        there = sorted(bucket for bucket in found.get(width, ()) if first < bucket <= last)
        missing = _without([(first, last)], there, width)
        if missing and (number := number_of(connection, series)) is not None:
            rows += cover(connection, number, missing, [one for one in WIDTHS if one < width])
    return rows


def _ideal(start: int, end: int) -> tuple[list[tuple[int, int, int]], list[Gap]]:
    """Widths with the bounds of what is read in sums of them, and the rest."""
    wanted, gaps = [], [(start, end)]
    for width in reversed(WIDTHS):
        rest = []
        for first, last in gaps:
            begin, stop = -(-first // width) * width, last // width * width
            if width == WIDTHS[0] and last != end:  # so narrow ones are at the end, if anywhere
                begin = stop
            if begin < stop:
                wanted.append((width, begin, stop))
            rest += [(first, begin), (stop, last)] if begin < stop else [(first, last)]
        gaps = [(first, last) for first, last in rest if first < last]
    return wanted, gaps


@cache
def _window_statement(sums: int, gaps: int) -> TextClause:
    parts = [f"{_SUMS} :sum{place}0 AND bucket > :sum{place}1 AND bucket <= :sum{place}2" for place in range(sums)]
    parts += [f'{_SEGMENTS} :gap{place}0 AND "end" <= :gap{place}1' for place in range(gaps)]
    parts.append(f"{_SEGMENTS} :until AND start < :until")
    return text(" UNION ALL ".join(parts).replace(":series", _ITS))


def cover(connection: Connection, series: int, gaps: Sequence[Gap], widths: Sequence[int]) -> list[Row[Any]]:
    """Rows of segments, and of sums of these widths, that together are all segments that end in these times, (first, last] each."""
    rows: list[Row[Any]] = []
    for width in reversed(widths):
        whole = [(-(-first // width) * width, last // width * width) for first, last in gaps]
        found = _between(connection, series, [(first, last) for first, last in whole if first < last], width)
        if found:
            rows += found
            gaps = _without(gaps, sorted({row.bucket for row in found}), width)
    return rows + _between(connection, series, gaps, 0)


def _between(connection: Connection, series: int, gaps: Sequence[Gap], width: int) -> list[Row[Any]]:
    found: list[Row[Any]] = []
    for begin in range(0, len(gaps), _MOST):
        some = gaps[begin : begin + _MOST]
        bounds = {f"gap{place}{side}": gap[side] for place, gap in enumerate(some) for side in (0, 1)}
        named = {"series": series, "width": width} if width else {"series": series}
        found += connection.execute(_gaps_statement(len(some), sums=bool(width)), {**named, **bounds}).all()
    return found


@cache
def _gaps_statement(gaps: int, *, sums: bool) -> TextClause:
    """A union, since the planners find the index of each part."""
    query, column = (f"{_SUMS} :width AND bucket >", "bucket") if sums else (_SEGMENTS, '"end"')
    return text(" UNION ALL ".join(f"{query} :gap{place}0 AND {column} <= :gap{place}1" for place in range(gaps)))


def _without(gaps: Sequence[Gap], buckets: Sequence[int], width: int) -> list[Gap]:
    """What buckets of this width, sorted, leave of the gaps."""
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
