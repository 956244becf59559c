"""The hot path: exact counts whatever threads do, and one line for what cannot be counted."""

import math
import sys
import threading
from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from mlops_core.exceptions import MonitoringError
from mlops_core.monitoring.recorder import OTHER, SeriesRecorder, Tally
from mlops_core.monitoring.sampling import Reservoir, Sampling
from mlops_core.records import SeriesKey
from mlops_core.testing.clock import FakeClock

SERIES = SeriesKey("acme", "production", "tickets", "1.0.0")


def awake() -> None:
    """What a recorder calls when a thread counts for the first time."""


@pytest.fixture
def record(clock: FakeClock) -> SeriesRecorder:
    return SeriesRecorder(SERIES, 0, awake, clock)


@pytest.fixture
def restless() -> Iterator[None]:
    """Threads are switched as often as the interpreter can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def drained(record: SeriesRecorder) -> Tally:
    found = record.drain()
    assert found is not None
    return found


def test_counts_successes_and_failures(record: SeriesRecorder) -> None:
    record.count(0.5, success=True)
    record.count(0.25, success=False, error="ValueError: secret data")
    record.count(1, success=False)
    tally = drained(record)
    assert (tally.total, tally.errors, tally.latency_sum) == (3, 2, 1.75)
    assert tally.errors_by_type == {"ValueError": 1, "unspecified": 1}
    assert tally.histogram == {-64: 1, -32: 1, 0: 1}
    assert record.drain() is None


def test_says_since_when_it_counted(record: SeriesRecorder, clock: FakeClock) -> None:
    for pause in (10, 5):
        clock.advance(pause)
        record.count(0.5, success=True)
    assert drained(record).since == 10
    clock.advance(1)
    record.count(0.5, success=True)
    assert drained(record).since == 16


def test_wants_no_sample_where_none_is_configured(record: SeriesRecorder) -> None:
    record.sample("p1", {"x": [1]}, {})
    assert record.wants("p1") is False
    assert record.drain() is None


def test_errors_of_units_that_failed_before_are_told_apart(record: SeriesRecorder) -> None:
    for repeated in (False, True, True):
        record.count(0.1, False, "Timeout", repeated)
    record.count(0.1, True)
    tally = drained(record)
    assert (tally.total, tally.errors, tally.repeated_errors, tally.errors_by_type) == (4, 3, 2, {"Timeout": 3})


def test_copies_that_a_shadow_had_no_time_for_are_counted_apart(record: SeriesRecorder) -> None:
    record.drop()
    record.drop()
    record.count(0.5, success=True)
    tally = drained(record)
    assert (tally.total, tally.copies_dropped) == (1, 2)
    record.drop()
    assert (drained(record).copies_dropped, record.drain()) == (1, None)


@pytest.fixture
def sampling(clock: FakeClock) -> SeriesRecorder:
    return SeriesRecorder(SERIES, 0, awake, clock, Reservoir(Sampling(frozenset({"x"}), 1.0)))


def test_a_sample_goes_with_the_counts(sampling: SeriesRecorder) -> None:
    sampling.count(0.5, success=True)
    assert sampling.wants("p1")
    sampling.sample("p1", {"x": [1], "secret": ["s"]}, {})
    tally = drained(sampling)
    assert (tally.total, [row["features"] for row in tally.sample], tally.dropped) == (1, [{"x": 1}], 0)
    sampling.sample("p2", {"x": [2]}, {})  # its prediction was counted a moment before, and drained
    assert (drained(sampling).total, sampling.drain()) == (0, None)


def test_odd_features_fail_no_prediction(sampling: SeriesRecorder, caplog: pytest.LogCaptureFixture) -> None:
    sampling.sample("p1", {"x": 5}, {})
    assert "tickets: a prediction is not sampled: TypeError" in caplog.text
    assert sampling.drain() is None


def test_a_forked_child_samples_anew(sampling: SeriesRecorder) -> None:
    sampling.sample("p1", {"x": [1]}, {})
    sampling.reset()
    assert sampling.drain() is None


@pytest.mark.usefixtures("restless")
def test_eight_threads_lose_nothing_while_a_ninth_drains(record: SeriesRecorder) -> None:
    each, threads = 4000, 8
    done = threading.Event()
    tallies: list[Tally] = []

    def count(number: int) -> None:
        for step in range(each):
            if step % 8 == number:
                record.count(0.5, success=False, error=f"Error{number}")
            else:
                record.count(0.5, success=True)

    def drain() -> None:
        while not done.is_set():
            tallies.extend(filter(None, [record.drain()]))

    drainer = threading.Thread(target=drain)
    counters = [threading.Thread(target=count, args=(number,)) for number in range(threads)]
    for thread in (drainer, *counters):
        thread.start()
    for thread in counters:
        thread.join()
    done.set()
    drainer.join()
    tallies.extend(filter(None, [record.drain()]))
    assert sum(tally.total for tally in tallies) == each * threads
    assert sum(tally.errors for tally in tallies) == each * threads / 8
    assert sum(tally.histogram[-32] for tally in tallies) == each * threads
    assert sum(tally.latency_sum for tally in tallies) == each * threads / 2
    for number in range(threads):
        assert sum(tally.errors_by_type.get(f"Error{number}", 0) for tally in tallies) == each / 8


def test_what_an_ended_thread_counted_is_kept(record: SeriesRecorder) -> None:
    for _ in range(20):
        thread = threading.Thread(target=record.count, args=(0.5, True))
        thread.start()
        thread.join()
    assert drained(record).total == 20
    record.count(0.5, success=True)
    assert drained(record).total == 1


def test_a_forked_child_forgets_what_it_inherited(record: SeriesRecorder) -> None:
    record.count(0.5, success=True)
    record.reset()
    assert record.drain() is None
    record.count(0.5, success=False)
    assert drained(record).total == 1


def test_a_recorder_that_may_not_wake_its_collector_counts_nothing(clock: FakeClock) -> None:
    def closed() -> None:
        raise MonitoringError("monitoring: it is closed")

    record = SeriesRecorder(SERIES, 0, closed, clock)
    with pytest.raises(MonitoringError, match="closed"):
        record.count(0.5, success=True)
    assert record.drain() is None


@pytest.mark.parametrize(
    ("seconds", "taken"),
    [(0.0, 0), (-0.0, 0), (2, 2), (np.float32(0.5), 0.5), (np.int64(3), 3), (Decimal("0.5"), 0.5), (Fraction(1, 2), 0.5)],
)
def test_any_finite_number_of_seconds_is_a_latency(record: SeriesRecorder, seconds: Any, taken: float) -> None:
    record.count(seconds, success=True)
    assert drained(record).latency_sum == taken


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ((-0.1, True), "prediction_time: -0.1 is no duration"),
        ((math.nan, True), "prediction_time: nan is no duration"),
        ((math.inf, False), "prediction_time: inf is no duration"),
        ((1e308, True), "prediction_time: 1e+308 is no duration - give seconds from 0 to a year"),
        ((1e308, False, "Timeout"), "prediction_time: 1e+308 is no duration"),
        ((10**400, True), "prediction_time: int is no number of seconds"),
        (("0.1", True), "prediction_time: expected seconds, got str"),
        ((True, True), "prediction_time: expected seconds, got bool"),
        ((None, True), "prediction_time: expected seconds, got NoneType"),
        ((np.array([0.1, 0.2]), True), "prediction_time: ndarray is no number of seconds"),
        ((0.1, 1), "success: expected True or False, got int"),
        ((0.1, "yes"), "success: expected True or False, got str"),
        ((0.1, None), "success: expected True or False, got NoneType"),
        ((0.1, False, ValueError("x")), "error: expected text, got ValueError"),
        ((0.1, True, "x"), "error: given for a success"),
        ((0.1, False, "x" * 1_000_000), "error: 1000000 characters are too many"),
    ],
)
def test_what_cannot_be_counted_is_one_line_and_not_counted(record: SeriesRecorder, given: Any, said: str) -> None:
    with pytest.raises(MonitoringError) as caught:
        record.count(*given)
    assert said in caught.value.message
    assert "\n" not in caught.value.message
    assert len(caught.value.message) < 250
    assert record.drain() is None


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Timeout", "Timeout"),
        ("Invalid input format", "Invalid input format"),
        ("KeyError: 'name of a person'", "KeyError"),
        ("first line\nsecond line", "first line"),
        ("", "unspecified"),
        (" : \n", "unspecified"),
        ("x" * 300, "x" * 64),
        ("caf\udce9 failed", "caf? failed"),
        ("a\x00b\x1b[1m: c", "a?b?[1m"),
    ],
)
def test_an_error_is_counted_by_its_type(record: SeriesRecorder, text: str, kind: str) -> None:
    record.count(0.1, success=False, error=text)
    assert drained(record).errors_by_type == {kind: 1}


def test_types_are_capped_over_the_life_of_a_series(record: SeriesRecorder) -> None:
    for number in range(40):
        record.count(0.1, success=False, error=f"Error{number}")
    first = drained(record)
    record.count(0.1, success=False, error="Error1")
    record.count(0.1, success=False, error="Error39")
    assert len(first.errors_by_type) == 33
    assert first.errors_by_type[OTHER] == 8
    assert drained(record).errors_by_type == {"Error1": 1, OTHER: 1}
