"""Roll-up: exact sums at ever coarser resolutions, and an end to everything."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops_core.config.settings import MonitoringSettings
from mlops_core.monitoring.rollup import roll_up
from mlops_core.records import Segment, SeriesKey, Window
from mlops_core.testing.memory_sink import MemorySink
from mlops_sink_sql.sqlite import SqliteSink

if TYPE_CHECKING:
    from pathlib import Path

    from mlops_core.roles import MonitorSink

AT = datetime(2024, 5, 1, tzinfo=UTC)
KEY = SeriesKey("acme", "production", "m", "1")
SECOND, HOUR, DAY = timedelta(seconds=1), timedelta(hours=1), timedelta(days=1)
LEVELS = MonitoringSettings().levels
ALWAYS = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)


@pytest.fixture(params=["memory", "sqlite"])
def sink(request: pytest.FixtureRequest, tmp_path: Path) -> MonitorSink:
    return MemorySink() if request.param == "memory" else SqliteSink(path=tmp_path / "sink.db")


def segment(number: int, seconds: float, length: float = 0.1, **more: Any) -> Segment:
    end = AT + timedelta(seconds=seconds)
    return Segment(KEY, end - timedelta(seconds=length), end, "w", number, **{"total": 1, "histogram": {0: 1}, "latency_sum": 1.0, **more})


def kept(sink: MonitorSink, level: timedelta | None = None) -> list[Segment]:
    return list(sink.read(KEY, *ALWAYS, level=level))


def levels_of(sink: MonitorSink) -> dict[timedelta, int]:
    return {width: len(kept(sink, width)) for width in (timedelta(0), *(width for width, _ in LEVELS)) if kept(sink, width)}


def test_a_day_of_figures_grows_coarser_and_stays_exact(sink: MonitorSink) -> None:
    for number in range(1, 601):  # two minutes, every 0.2 s
        sink.write([segment(number, number * 0.2, errors=number % 2)])
    whole = Window.merge(kept(sink))
    roll_up(sink, KEY, LEVELS, AT + timedelta(minutes=4))
    assert levels_of(sink) == {SECOND: 120}
    roll_up(sink, KEY, LEVELS, AT + 2 * HOUR)
    assert levels_of(sink) == {10 * SECOND: 12}
    roll_up(sink, KEY, LEVELS, AT + 2 * DAY)
    assert levels_of(sink) == {60 * SECOND: 2}
    now = Window.merge(kept(sink))
    assert (now.total, now.errors, now.histogram, now.latency_sum) == (600, 300, whole.histogram, 600.0)
    roll_up(sink, KEY, LEVELS, AT + 40 * DAY)
    assert levels_of(sink) == {HOUR: 1}
    roll_up(sink, KEY, LEVELS, AT + 731 * DAY)
    assert kept(sink) == []


def test_what_is_young_stays_as_it_was_written(sink: MonitorSink) -> None:
    sink.write([segment(1, 10), segment(2, 10.3)])
    assert roll_up(sink, KEY, LEVELS, AT + timedelta(seconds=60)) == 0
    assert levels_of(sink) == {timedelta(0): 2}


def test_a_second_pass_finds_nothing_to_do(sink: MonitorSink) -> None:
    sink.write([segment(number, number * 0.13) for number in range(1, 200)])
    for later in (timedelta(minutes=3), 3 * HOUR, 3 * DAY):
        assert roll_up(sink, KEY, LEVELS, AT + later) > 0
        assert roll_up(sink, KEY, LEVELS, AT + later) == 0


def test_what_arrives_late_is_found(sink: MonitorSink) -> None:
    sink.write([segment(1, 5)])
    roll_up(sink, KEY, LEVELS, AT + 3 * HOUR)
    sink.write([segment(2, 7)])
    roll_up(sink, KEY, LEVELS, AT + 3 * HOUR)
    (only,) = kept(sink)
    assert only.total == 2


def test_a_segment_counts_where_it_ends(sink: MonitorSink) -> None:
    sink.write([segment(1, 0.95), segment(2, 1.02), segment(3, 2.0)])  # the second one began before the full second
    roll_up(sink, KEY, LEVELS, AT + timedelta(minutes=2))
    assert [(one.total, one.start, one.end) for one in kept(sink)] == [
        (1, AT + 0.85 * SECOND, AT + 0.95 * SECOND),
        (2, AT + SECOND, AT + 2 * SECOND),
    ]


def test_a_long_segment_stays_whole_and_is_not_looked_at_again(sink: MonitorSink) -> None:
    sink.write([segment(1, 30, length=25, total=5), segment(2, 30.5)])
    roll_up(sink, KEY, LEVELS, AT + timedelta(minutes=2))
    assert sorted(one.total for one in kept(sink)) == [1, 5]
    assert roll_up(sink, KEY, LEVELS, AT + timedelta(minutes=2)) == 0
    roll_up(sink, KEY, LEVELS, AT + 2 * DAY)
    (merged,) = kept(sink)
    assert (merged.total, merged.start) == (6, AT + timedelta(seconds=5))


def test_revisions_and_series_are_kept_apart(sink: MonitorSink) -> None:
    other = SeriesKey("acme", "production", "m", "2")
    sink.write([segment(1, 1, revision=1), segment(2, 1, revision=2), Segment(other, AT, AT + SECOND, "w", 3, total=7)])
    roll_up(sink, KEY, LEVELS, AT + timedelta(minutes=2))
    assert sorted((one.revision, one.total) for one in kept(sink)) == [(1, 1), (2, 1)]
    assert [one.total for one in sink.read(other, *ALWAYS)] == [7]


def test_samples_and_values_are_carried(sink: MonitorSink) -> None:
    rows = [{"prediction_id": f"p{number}", "features": {"x": number}, "share": 1.0} for number in range(3)]
    sink.write([segment(number + 1, 1 + number * 0.2, sample=(row,)) for number, row in enumerate(rows)])
    roll_up(sink, KEY, LEVELS, AT + 3 * HOUR)
    (only,) = kept(sink)
    assert [row["features"]["x"] for row in only.sample] == [0, 1, 2]


@settings(max_examples=40)
@given(
    written=st.lists(st.tuples(st.floats(0, 7200), st.floats(0.001, 3)), min_size=1, max_size=40),
    passes=st.lists(st.integers(60, 90 * 86_400), min_size=1, max_size=4),
)
def test_nothing_is_lost_or_counted_twice_whenever_passes_come(written: list[tuple[float, float]], passes: list[int]) -> None:
    sink = MemorySink()
    sink.write([segment(number, at, length, total=number, errors_by_type={"E": 1}) for number, (at, length) in enumerate(written, 1)])
    expected = sum(range(1, len(written) + 1))
    for later in sorted(passes):
        roll_up(sink, KEY, LEVELS, AT + timedelta(seconds=7200 + later))
        found = kept(sink)
        assert sum(one.total for one in found) == expected
        assert sum((Counter(one.errors_by_type) for one in found), Counter[str]()) == {"E": len(written)}
        assert all(one.start < one.end for one in found)
        assert roll_up(sink, KEY, LEVELS, AT + timedelta(seconds=7200 + later)) == 0


def test_a_long_time_without_a_pass_is_made_up_piece_by_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    sink, longest = MemorySink(), []
    replace = MemorySink.replace

    def counted(self: MemorySink, key: SeriesKey, start: datetime, end: datetime, level: timedelta, merge: Any) -> int:
        longest.append(replace(self, key, start, end, level, merge))
        return longest[-1]

    monkeypatch.setattr(MemorySink, "replace", counted)
    sink.write([segment(number, number * 10, length=1) for number in range(1, 5001)])  # 14 hours
    roll_up(sink, KEY, LEVELS, AT + 3 * DAY)
    assert sum(one.total for one in kept(sink)) == 5000
    assert len(kept(sink)) == 834
    assert max(longest) <= 600 * 6  # segments of so many minutes
