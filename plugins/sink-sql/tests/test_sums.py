"""Windows out of sums: the same as of all segments, whatever was written, merged, matched and erased, and in whatever order."""

from __future__ import annotations

import random
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import attrs
import pytest

from mlops_core.records import Joined, Logged, Quality, Segment, SeriesKey, ValueSum, Window, merge_segments
from mlops_sink_sql.packing import pack, unpack, unpack_sum
from mlops_sink_sql.postgres import PostgresSink
from mlops_sink_sql.sqlite import SqliteSink

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from mlops_core.testing.servers import PostgresServer
    from mlops_sink_sql.sink import SqlSink

AT: Final = datetime(2024, 5, 1, tzinfo=UTC)
SERIES: Final = SeriesKey("acme", "production", "tickets", "1.0.0")
SECOND, MINUTE, HOUR, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
EVER: Final = AT - DAY, AT + 40 * DAY


@pytest.fixture(params=["sqlite", "postgres"])
def sink(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SqlSink]:
    if request.param == "sqlite":
        made: SqlSink = SqliteSink(path=tmp_path / "monitoring.db")
    else:
        server: PostgresServer = request.getfixturevalue("postgres")
        made = PostgresSink(server.database())
    with closing(made):
        yield made


def segment(sequence: int, seconds: float, width: float = 1.0, **fields: Any) -> Segment:
    """One that ends so many seconds after midnight."""
    end = AT + timedelta(seconds=seconds)
    counted = {"total": 3, "errors": 1, "errors_by_type": {"Timeout": 1}, "histogram": {-100: 2, sequence % 7: 1}, "latency_sum": 0.1}
    return Segment(SERIES, end - timedelta(seconds=width), end, "w1", sequence, **{**counted, **fields})


def by_bucket(found: Sequence[Segment], width: timedelta) -> list[Segment]:
    """As a roll-up merges."""
    buckets: dict[int, list[Segment]] = {}
    for one in found:
        buckets.setdefault(-(-(one.end - AT) // width), []).append(one)
    return [merged for bucket in buckets.values() for merged in merge_segments(bucket)]


def rolled(sink: SqlSink, start: datetime, end: datetime, width: timedelta) -> int:
    return sink.replace(SERIES, start, end, width, lambda found: by_bucket(found, width))


def check(sink: SqlSink, start: datetime, end: datetime) -> Window:
    """The window out of sums, after it was compared with that out of all segments."""
    plain = Window.merge(sink.read(SERIES, start, end))
    summed = Window.merge(sink.read(SERIES, start, end, merged=True))
    assert summed.latency_sum == pytest.approx(plain.latency_sum)
    assert attrs.evolve(summed, latency_sum=0) == attrs.evolve(plain, latency_sum=0)
    return summed


def test_any_window_is_the_same_whatever_happened(sink: SqlSink) -> None:
    chance = random.Random(5)
    sequence = 0
    for _ in range(25):
        batch = []
        for _ in range(chance.randint(1, 80)):
            sequence += 1
            width = chance.choice([0.1, 1, 1, 1, 30, 400])
            fields: dict[str, Any] = {"revision": chance.choice([0, 0, 0, 4])}
            if chance.random() < 0.1:
                fields["values"] = {"live.f1": ValueSum(1, 0.5, chance.random(), AT + timedelta(seconds=sequence))}
            if chance.random() < 0.1:
                fields["quality"] = Quality(labelled=2, correct=1, confusion={"a": {"a": 1, "b": 1}})
            batch.append(segment(sequence, round(chance.triangular(0, 3 * 86400, 86400 / 2), chance.choice([0, 1, 6])), width, **fields))
        sink.write(batch)
        begin = AT + timedelta(hours=chance.randint(0, 70))
        rolled(sink, begin, begin + timedelta(hours=chance.choice([1, 5, 30])), chance.choice([SECOND, 10 * SECOND, MINUTE, HOUR]))
        for _ in range(4):
            start = AT + timedelta(seconds=chance.uniform(-100, 3 * 86400))
            check(sink, start, start + timedelta(seconds=chance.choice([1, 50, 5000, 90000, 3 * 86400])))
    assert check(sink, *EVER).total == 3 * sequence


def test_sums_are_what_a_window_reads(tmp_path: Path) -> None:
    """Or it would see that the segments beside them were tampered with."""
    path = tmp_path / "monitoring.db"
    with closing(SqliteSink(path=path)) as sink:
        sink.write([segment(number, number * 60, 60) for number in range(1, 3 * 1440)])
        rolled(sink, AT, AT + 3 * DAY, MINUTE)
        with sqlite3.connect(path) as connection:
            connection.execute("UPDATE sink_segments SET total = 0")
        connection.close()
        within = Window.merge(sink.read(SERIES, AT + HOUR / 2, AT + 2 * DAY + 90 * MINUTE, merged=True))
        assert within.total == 3 * (2 * 1440 + 60)
        off = Window.merge(sink.read(SERIES, AT + HOUR / 2 + 61 * SECOND, AT + 2 * DAY, merged=True))
        assert off.total == 3 * (2 * 1440 - 30 - 10)  # nine minutes to the next ten, read one by one, and the one that it begins in


def test_the_present_is_summed_up_as_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "monitoring.db"
    with closing(SqliteSink(path=path)) as sink:
        for number in range(1, 401):  # forty seconds
            sink.write([segment(number, number / 10, 0.1)])
        with sqlite3.connect(path) as connection:
            connection.execute("UPDATE sink_segments SET total = 0")
        connection.close()
        assert Window.merge(sink.read(SERIES, *EVER, merged=True)).total == 3 * 380  # all but the latest two seconds
        sink.write([segment(401, 15, 0.1)])  # is counted, and the others of its two seconds are read one by one again
        assert Window.merge(sink.read(SERIES, *EVER, merged=True)).total == 3 * (380 - 20 + 1)


def test_what_comes_late_is_counted_at_once_and_summed_by_the_next_roll_up(sink: SqlSink) -> None:
    sink.write([segment(number, number * 60, 60) for number in range(1, 1500)])
    rolled(sink, AT, AT + 25 * HOUR, MINUTE)
    assert check(sink, *EVER).total == 3 * 1499
    sink.write([segment(1500, 7230)])
    assert check(sink, *EVER).total == 3 * 1500
    assert rolled(sink, AT + 2 * HOUR, AT + 2 * HOUR + MINUTE, MINUTE) == 2
    assert check(sink, AT + HOUR, AT + 5 * HOUR).total == 3 * (240 + 1)


def test_what_is_matched_later_is_in_the_window(sink: SqlSink) -> None:
    sink.write([segment(number, number * 60, 60) for number in range(1, 1500)])
    rolled(sink, AT, AT + 25 * HOUR, MINUTE)
    at = AT + 3 * HOUR
    sink.log([Logged(SERIES, kind, "p1", at, 1) for kind in ("prediction", "outcome")])

    def tally(pairs: Sequence[Joined]) -> list[Segment]:
        return [Segment(SERIES, at, at + MINUTE, "", 0, quality=Quality(labelled=len(pairs)))]

    assert sink.join("acme", tally) == 2
    assert check(sink, *EVER).quality.labelled == 1


def test_what_is_erased_is_gone(sink: SqlSink) -> None:
    sink.write([segment(number, number * 60, 60) for number in range(1, 3000)])
    rolled(sink, AT, AT + 3 * DAY, MINUTE)
    assert sink.replace(SERIES, AT, AT + DAY + HOUR / 2, DAY, lambda _: ()) == 1470
    assert check(sink, *EVER).total == 3 * (2999 - 1470)
    sink.replace(SERIES, *EVER, DAY, lambda _: ())
    assert check(sink, *EVER) == Window()


@pytest.mark.parametrize("count", [1, 255, 256, 65535, 65536, 2**32 - 1, 2**32, 2**63 - 1])
def test_histograms_are_packed_without_loss(count: int) -> None:
    histogram = {-960: 1, 0: count, 1024: 2}
    assert unpack(pack(histogram)) == histogram
    assert unpack_sum([pack(histogram), b"", pack({5: 1})]) == {-960: 1, 0: count, 5: 1, 1024: 2}


def test_many_histograms_are_added_as_few_are() -> None:
    packed = [pack(dict.fromkeys(range(-number, number), 1 << number)) for number in range(40)]
    whole = unpack_sum(packed)
    assert whole == {place: sum(1 << number for number in range(40) if -number <= place < number) for place in range(-39, 39)}


@pytest.mark.parametrize("histogram", [{1 << 15: 1}, {0: -1}, {0: 1 << 63}])
def test_what_cannot_be_packed_is_refused(histogram: dict[int, int]) -> None:
    with pytest.raises(ValueError, match="cannot be kept"):
        pack(histogram)
