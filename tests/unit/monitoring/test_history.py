"""A window in steps, by one read."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from attrs import evolve

from mlops_core.exceptions import MonitoringError
from mlops_core.monitoring import ModelMonitoring
from mlops_core.monitoring.history import History, check_steps
from mlops_core.records import HealthStatus, Segment, SeriesKey
from mlops_core.testing.clock import FakeClock
from mlops_core.testing.memory_sink import MemorySink
from mlops_core.testing.sink_suite import segment

AT = datetime(2024, 5, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
FIRST, SECOND = (SeriesKey("acme", "production", "m", version) for version in ("1", "2"))


def history(segments: list[Segment], steps: int = 4) -> History:
    return History.of(segments, AT, AT + 4 * MINUTE, steps, about=("m", None, None), max_error_rate=0.05)


def at(number: int, seconds: float, **more: Any) -> Segment:
    """A segment of one second that ends then, after the beginning."""
    made = segment(number, 0, **more)
    end = AT + timedelta(seconds=seconds)
    return evolve(made, start=end - timedelta(seconds=1), end=end)


def test_each_segment_counts_in_the_step_in_which_it_ends() -> None:
    found = history([at(1, 0.5, total=1), at(2, 60, total=2), at(3, 60.1, total=4), at(4, 240, total=8), at(5, 300, total=16)])
    assert [point.total_predictions for point in found.points] == [3, 4, 0, 24]
    assert [point.end - point.start for point in found.points] == [MINUTE] * 4
    assert (found.points[0].start, found.points[-1].end) == (AT, AT + 4 * MINUTE)
    assert found.points[0].throughput == 3 / 60
    empty = found.points[2]
    assert (empty.throughput, empty.error_rate, empty.p50_latency, empty.p99_latency) == (0, None, None, None)


def test_the_whole_is_what_a_window_says(monitoring: ModelMonitoring, clock: FakeClock) -> None:
    for number in range(100):
        for version in ("1", "2"):
            error = None if number % 10 else "ValueError"
            monitoring.track_prediction("m", 0.01 * (1 + number % 7), error is None, error, environment="production", version=version)
        if number % 20 == 0:
            monitoring.record_values("m", {"drift.p_value": number / 100}, environment="production", version="1")
        monitoring.flush()
        clock.advance(1)
    choices: list[dict[str, Any]] = [{}, {"version": "1"}, {"environment": "elsewhere"}]
    for asked in choices:
        whole = monitoring.history("m", 10 * MINUTE, 7, **asked)
        assert whole.metrics == monitoring.get_metrics("m", 10 * MINUTE, **asked)
        assert whole.health.status == monitoring.check_health("m", 10 * MINUTE, **asked).status
        assert sum(point.total_predictions for point in whole.points) == whole.metrics.total_predictions
    both = monitoring.history("m", 10 * MINUTE)
    assert {name: one.total_predictions for name, one in both.versions.items()} == {"1": 100, "2": 100}
    assert both.versions["2"] == monitoring.get_metrics("m", 10 * MINUTE, version="2")
    assert both.values["drift.p_value"].last == 0.8
    assert both.values["drift.p_value"].at == clock.now() - timedelta(seconds=20)


def test_nothing_recorded_is_unknown(monitoring: ModelMonitoring) -> None:
    found = monitoring.history("m", steps=3)
    assert (found.health.status, len(found.points), found.versions, found.values) == (HealthStatus.UNKNOWN, 3, {}, {})


def test_segments_are_read_once(monitoring: ModelMonitoring, sink: MemorySink, monkeypatch: pytest.MonkeyPatch) -> None:
    monitoring.track_prediction("m", 0.1, success=True)
    monitoring.flush()
    asked: list[SeriesKey] = []
    read = MemorySink.read

    def counted(self: MemorySink, series: SeriesKey, *given: Any) -> Iterator[Segment]:
        asked.append(series)
        return read(self, series, *given)

    monkeypatch.setattr(MemorySink, "read", counted)
    monitoring.history("m", steps=200)
    assert len(asked) == 1


@pytest.mark.parametrize("steps", [0, -1, 1001, 2.5, "60", True])
def test_a_wrong_number_of_steps_is_one_line(steps: Any) -> None:
    with pytest.raises(MonitoringError, match="steps: expected a whole number from 1 to 1000"):
        check_steps(steps)
    assert check_steps(1000) == 1000


def test_a_long_window_is_told_in_steps_as_well(monitoring: ModelMonitoring, clock: FakeClock) -> None:
    for hour in range(48):
        clock.advance(1800)
        for version in ("1", "2"):
            monitoring.track_prediction("m", 0.01 * (1 + hour % 7), success=hour % 5 > 0, environment="production", version=version)
        monitoring.record_values("m", {"drift.p_value": hour / 100}, environment="production", version="1")
        monitoring.flush()
        clock.advance(1800)
    found = monitoring.history("m", timedelta(days=2), 12)
    assert found.metrics == monitoring.get_metrics("m", timedelta(days=2))
    assert found.versions["2"] == monitoring.get_metrics("m", timedelta(days=2), version="2")
    assert sum(point.total_predictions for point in found.points) == found.metrics.total_predictions
    assert {point.total_predictions for point in found.points} == {8}
    assert found.values["drift.p_value"].last == 0.47
    quiet = monitoring.history("m", timedelta(days=2), 12, end=clock.now() - timedelta(days=90))
    assert (quiet.versions, {point.total_predictions for point in quiet.points}) == ({}, {0})
