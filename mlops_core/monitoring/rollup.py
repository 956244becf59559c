"""Roll-up: what was written every 100 ms is kept by the second, later by ten seconds, the minute and the hour, and erased in the end.

A segment belongs to the bucket in which it ends. Each pass looks for segments of a finer resolution than their age allows, so that it needs
no memory of its own, and what a sink received late is found as well. Merging is exact for everything that is counted; a window whose
bounds lie within a bucket takes in the whole of it.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING, Final

from attrs import evolve

from mlops_core.records import Segment, merge_segments

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mlops_core.records import SeriesKey
    from mlops_core.roles import MonitorSink

__all__ = ["Levels", "roll_up"]

Levels = tuple[tuple[timedelta, timedelta], ...]
"""Widths of buckets, each with the age up to which they are kept; both rise."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_WRITTEN: Final = timedelta(0)
_PIECE: Final = 600  # buckets
_GRACE: Final = timedelta(minutes=1)  # in which segments of a second arrive


def roll_up(sink: MonitorSink, key: SeriesKey, levels: Levels, now: datetime, recent: timedelta | None = None) -> int:
    """Merge and erase what is due of one series; answers how many segments were replaced or erased.

    With ``recent`` only what reached an age in that time is looked at, and nothing is erased.
    """
    count = 0
    until = _floor(now - _GRACE, levels[0][0])
    for place, (width, keep) in enumerate(levels):
        after = levels[place + 1][0] if place + 1 < len(levels) else width
        since = _floor(now - keep, after)
        finer = [_WRITTEN, *(narrow for narrow, _ in levels[:place])]
        begin = since if recent is None else max(since, _floor(until - recent, width) - width)
        while begin < until:  # piece by piece: after a long time without a pass there may be any number of segments
            end = min(begin + _PIECE * width, until)
            found = [one for level in finer for one in sink.read(key, begin, end, level=level) if begin < one.end <= end]
            for first, last in _runs(found, width):
                count += sink.replace(key, first, last, width, partial(_merged, width=width))
            begin = end
        until = since
    return count if recent is not None else count + sink.replace(key, _EPOCH, until, levels[-1][0], lambda _: ())


def _floor(at: datetime, width: timedelta) -> datetime:
    return _EPOCH + (at - _EPOCH) // width * width


def _bucket(segment: Segment, width: timedelta) -> datetime:
    """The beginning of the bucket (b, b + width] in which it ends."""
    return _floor(segment.end - timedelta(microseconds=1), width)


def _runs(found: Sequence[Segment], width: timedelta) -> Iterator[tuple[datetime, datetime]]:
    """Spans that hold these segments: buckets that follow one another in one, so that many are merged in one step."""
    starts: dict[datetime, datetime] = {}
    for one in found:
        bucket = _bucket(one, width)
        starts[bucket] = min(one.start, starts.get(bucket, bucket))
    begun: tuple[datetime, datetime] | None = None
    for bucket, start in sorted(starts.items()):
        if begun is not None and bucket == begun[1]:
            begun = min(begun[0], start), bucket + width
            continue
        if begun is not None:
            yield begun
        begun = start, bucket + width
    if begun is not None:
        yield begun


def _merged(segments: Sequence[Segment], width: timedelta) -> list[Segment]:
    """One segment for each bucket and routing revision; one that is longer than a bucket, as its process could not write, stays whole."""

    def bucket(segment: Segment) -> datetime:
        return _bucket(segment, width)

    whole = [one for one in segments if one.end - one.start > width]
    short = sorted((one for one in segments if one.end - one.start <= width), key=bucket)
    merged = [
        evolve(one, start=max(one.start, start)) for start, group in groupby(short, key=bucket) for one in merge_segments(list(group))
    ]
    return [*whole, *merged]
