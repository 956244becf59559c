"""Sums beside the segments: what a window reads in place of the many segments of a closed bucket. They can always be made anew.

A segment is in the bucket (b, b + width] in which it ends. A sum stands for all segments of its bucket, under one routing revision, or it
is not there: whatever changes a segment erases the sums of its buckets in the same transaction, and a roll-up, which comes by wherever
something changed, makes them again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlalchemy import and_, bindparam, delete, func, insert, select

from mlops_core.records import merge_segments
from mlops_sink_sql.covering import cover
from mlops_sink_sql.rows import merged_of, segment_row
from mlops_sink_sql.schema import SEGMENTS, SUMMED, SUMS, WIDTHS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy import Connection

    from mlops_core.records import SeriesKey

__all__ = ["close_buckets", "closing", "forget", "renew"]

_FEWEST: Final = 5  # rows: fewer are read as fast as their sum
_LATE: Final = 1_000_000  # microseconds
_ITS: Final = and_(*(SUMS.c[name] == bindparam(f"its_{name}") for name in ("series", "width", "bucket")))
_ERASE: Final = delete(SUMS).where(_ITS)
_ONE: Final = select(SUMS.c.id).where(_ITS)
_ANY: Final = select(SUMS.c.bucket).where(SUMS.c.series == bindparam("its_series"), SUMS.c.bucket >= bindparam("least")).limit(1)
_NEWEST: Final = select(func.max(SEGMENTS.c.end)).where(SEGMENTS.c.series == bindparam("its_series"))


def closing(newest: int, width: int = WIDTHS[0]) -> int:
    """The end of the latest bucket that is closed once a segment that ends here is written: those of other writers may be late."""
    return (newest - _LATE) // width * width


def forget(connection: Connection, series: int, ends: set[int]) -> None:
    """Erase the sums of the buckets that hold these ends of segments; called after those were written."""
    # Mostly there are none, since buckets of the present are not closed yet.
    if ends and connection.execute(_ANY, {"its_series": series, "least": min(ends)}).first() is not None:
        erased = [{"its_series": series, "its_width": width, "its_bucket": bucket} for width, bucket in _buckets(ends, WIDTHS)]
        connection.execute(_ERASE, erased)


def renew(connection: Connection, series: SeriesKey, number: int, ends: set[int], level: int) -> None:
    """Make the sums of the closed buckets that hold these ends and are so wide that they hold enough segments of this level."""
    newest = connection.execute(_NEWEST, {"its_series": number}).scalar() or 0
    for width, bucket in _buckets(ends, [width for width in WIDTHS if width >= _FEWEST * level]):
        if bucket <= newest:  # the narrowest first: wider ones are made of them
            _sum_up(connection, series, number, width, bucket, level)


def close_buckets(connection: Connection, series: SeriesKey, number: int, newest: int) -> None:
    """Make the sums of the latest buckets, unless they are there: a roll-up comes by only later."""
    for width in WIDTHS[:2]:
        bucket = closing(newest, width)
        if connection.execute(_ONE, {"its_series": number, "its_width": width, "its_bucket": bucket}).first() is None:
            _sum_up(connection, series, number, width, bucket, 0)


def _sum_up(connection: Connection, series: SeriesKey, number: int, width: int, bucket: int, level: int) -> None:
    rows = cover(connection, number, [(bucket - width, bucket)], [one for one in WIDTHS if level < one < width])
    if len(rows) >= _FEWEST:
        own = {"series": number, "width": width, "bucket": bucket}
        kept = [segment_row(one, number, 0) for one in merge_segments(merged_of(rows, series))]
        connection.execute(insert(SUMS), [{**own, "latest": row["end"], **{name: row[name] for name in SUMMED}} for row in kept])


def _buckets(ends: Iterable[int], widths: Sequence[int]) -> list[tuple[int, int]]:
    """Widths, in their order, and ends of the buckets."""
    return [(width, bucket) for width in widths for bucket in sorted({-(-end // width) * width for end in ends})]
