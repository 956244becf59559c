"""Time: aware, monotonic, and never waiting for nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from mlops_core.clock import SystemClock, aware
from mlops_core.exceptions import MLOpsError, MonitoringError


def test_the_system_clock_tells_aware_and_monotonic_time() -> None:
    clock = SystemClock()
    before = clock.monotonic()
    assert clock.now().tzinfo is UTC
    assert abs(clock.now() - datetime.now(UTC)) < timedelta(minutes=1)
    clock.sleep(0)
    clock.sleep(-1)
    clock.sleep(0.001)
    assert clock.monotonic() >= before + 0.001


def test_any_zone_becomes_utc() -> None:
    at = datetime(2024, 5, 1, 12, tzinfo=timezone(timedelta(hours=2)))
    assert aware(at, "at") == datetime(2024, 5, 1, 10, tzinfo=UTC)
    assert aware(at, "at").tzinfo is UTC


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (datetime(2024, 5, 1), "end: 2024-05-01T00:00:00 has no time zone - use datetime.now"),  # noqa: DTZ001  it is refused
        ("2024-05-01", "end: expected a datetime, got str - give datetime.now"),
        (None, "end: expected a datetime, got NoneType"),
    ],
)
def test_a_naive_time_is_refused_in_the_callers_class(value: object, says: str) -> None:
    with pytest.raises(MonitoringError) as caught:
        aware(value, "end", MonitoringError)
    assert caught.value.message.startswith(says)
    with pytest.raises(MLOpsError):
        aware(value, "end")
