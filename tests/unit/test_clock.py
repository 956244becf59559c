import time
from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from mlops_core.clock import SystemClock, aware
from mlops_core.exceptions import MLOpsError, MonitoringError


def test_the_time_is_aware_utc() -> None:
    before = datetime.now(UTC)
    now = SystemClock().now()
    assert now.tzinfo is UTC
    assert before <= now <= datetime.now(UTC)


def test_durations_never_go_back() -> None:
    clock = SystemClock()
    readings = [clock.monotonic() for _ in range(100)]
    assert readings == sorted(readings)


def test_sleeping_takes_at_least_that_long_and_a_negative_time_none() -> None:
    clock, start = SystemClock(), time.monotonic()
    clock.sleep(0.01)
    assert time.monotonic() - start >= 0.01
    clock.sleep(0)
    clock.sleep(-5)


def test_a_time_is_answered_in_utc() -> None:
    east = datetime(2024, 1, 15, 14, 30, tzinfo=timezone(timedelta(hours=2)))
    found = aware(east, "start")
    assert found == east
    assert found.tzinfo is UTC


def test_a_naive_time_is_refused_with_the_remedy() -> None:
    with pytest.raises(MonitoringError, match=r"start: 2024-01-15T12:30:00 has no time zone - use datetime\.now\(UTC\)"):
        aware(datetime(2024, 1, 15, 12, 30), "start", MonitoringError)  # noqa: DTZ001  the point of the test


@pytest.mark.parametrize("value", ["2024-01-15", 1705321800, None, date(2024, 1, 15)])
def test_what_is_no_time_is_refused(value: object) -> None:
    with pytest.raises(MLOpsError, match=f"start: expected a datetime, got {type(value).__name__}"):
        aware(value, "start")
