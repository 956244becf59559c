"""The alerts' side of the facade: incidents somebody looks after, and such that nobody is to hear of."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from mlops_core.config.settings import AlertRule
from mlops_core.exceptions import MonitoringError
from mlops_core.monitoring import ModelMonitoring
from mlops_core.records import AlertRaised
from mlops_core.stack import Stack
from mlops_core.testing.clock import FakeClock

from .conftest import events_of

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
ERRORS = AlertRule("errors", "error_rate > 0.5", window=MINUTE)


@pytest.fixture
def monitoring(make: Callable[..., Stack]) -> Iterator[ModelMonitoring]:
    with ModelMonitoring(stack=make(ERRORS)) as facade:
        yield facade


def fail(monitoring: ModelMonitoring, *, success: bool = False) -> list[str]:
    """Three predictions, and the states of the incidents that a pass changes."""
    for _ in range(3):
        monitoring.track_prediction("m", 0.1, success, environment="production")
    return [one.state for one in monitoring.evaluate()]


def test_what_opens_in_a_silence_is_told_when_it_is_over(monitoring: ModelMonitoring, clock: FakeClock, inbox: Any) -> None:
    silence = monitoring.silence(HOUR, "a release", rule="errors", by="ann")
    assert fail(monitoring) == ["firing"]
    (open_,) = monitoring.incidents()
    assert (open_.silenced, open_.untold, inbox.calls) == (silence.until, True, [])
    clock.advance(3599)
    assert fail(monitoring) == []
    assert inbox.calls == []
    clock.advance(1)
    assert fail(monitoring) == []
    (alert,) = inbox.sent
    assert (alert.state, alert.key, alert.at) == ("firing", f"{open_.key}/firing", open_.at)
    assert (monitoring.incidents()[0].silenced, monitoring.incidents()[0].untold) == (None, False)
    clock.advance(61)
    assert fail(monitoring, success=True) == ["resolved"]
    assert inbox.calls == ["firing", "resolved"]


def test_the_end_of_what_nobody_heard_of_is_not_told(monitoring: ModelMonitoring, clock: FakeClock, inbox: Any, stack: Stack) -> None:
    monitoring.silence(HOUR, "a release")
    fail(monitoring)
    clock.advance(61)
    assert fail(monitoring, success=True) == ["resolved"]
    clock.advance(7200)
    assert fail(monitoring, success=True) == []
    assert inbox.calls == []
    assert [event for event in events_of(stack) if isinstance(event, AlertRaised)] == []
    assert fail(monitoring) == []
    clock.advance(61)
    assert fail(monitoring) == ["firing"]
    assert inbox.calls == ["firing"], "the next one is told"


def test_the_end_of_what_was_told_before_the_silence_is_told(monitoring: ModelMonitoring, clock: FakeClock, inbox: Any) -> None:
    fail(monitoring)
    monitoring.silence(HOUR, "known")
    clock.advance(61)
    fail(monitoring, success=True)
    assert inbox.calls == ["firing", "resolved"]


@pytest.mark.parametrize(
    ("covers", "told"),
    [
        ({}, []),
        ({"rule": "errors", "model_id": "m", "environment": "production"}, []),
        ({"model_id": "other"}, ["firing"]),
        ({"environment": "staging"}, ["firing"]),
    ],
)
def test_a_silence_covers_what_it_names(monitoring: ModelMonitoring, inbox: Any, covers: dict[str, str], told: list[str]) -> None:
    monitoring.silence(HOUR, "a release", **covers)
    fail(monitoring)
    assert inbox.calls == told


def test_ending_one_of_two_silences_leaves_the_other(monitoring: ModelMonitoring, clock: FakeClock, inbox: Any) -> None:
    first, second = monitoring.silence(HOUR, "a"), monitoring.silence(2 * HOUR, "b", model_id="m")
    assert monitoring.silences() == [first, second]
    fail(monitoring)
    assert monitoring.incidents()[0].silenced == second.until
    ended = monitoring.unsilence(second.id)
    assert (ended.id, ended.until, monitoring.silences()) == (second.id, clock.now(), [first])
    fail(monitoring)
    assert inbox.calls == []
    monitoring.unsilence(first.id)
    fail(monitoring)
    assert inbox.calls == ["firing"]
    with pytest.raises(MonitoringError, match="there is none"):
        monitoring.unsilence(first.id)


def test_of_an_acknowledged_incident_only_the_end_is_told(monitoring: ModelMonitoring, clock: FakeClock, inbox: Any) -> None:
    inbox.broken = True
    fail(monitoring)
    known = monitoring.acknowledge("errors", "m", "production", note="rolling back", by="ann")
    assert known.acknowledged is not None
    assert (known.acknowledged.by, known.acknowledged.at, known.acknowledged.note) == ("ann", clock.now(), "rolling back")
    assert monitoring.incidents() == [known]
    inbox.broken = False
    fail(monitoring)
    assert inbox.calls == ["firing"], "the attempt that failed is not repeated"
    clock.advance(61)
    fail(monitoring, success=True)
    assert inbox.calls == ["firing", "resolved"]
    (last,) = monitoring.incidents("m", resolved=True)
    assert (last.state, last.acknowledged) == ("resolved", known.acknowledged)
    clock.advance(61)
    fail(monitoring)
    assert monitoring.incidents()[0].acknowledged is None, "the next incident is nobody's yet"


def test_what_is_acknowledged_in_a_silence_is_never_told(monitoring: ModelMonitoring, clock: FakeClock, inbox: Any) -> None:
    monitoring.silence(MINUTE, "a release")
    fail(monitoring)
    monitoring.acknowledge("errors", "m", "production")
    clock.advance(120)
    fail(monitoring)
    clock.advance(120)
    fail(monitoring, success=True)
    assert inbox.calls == []


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda one: one.silence(timedelta(0), "x"), "is no duration above zero - give timedelta"),
        (lambda one: one.silence(5, "x"), "5 is no duration above zero"),
        (lambda one: one.silence(HOUR, ""), "reason: expected text of 1 to 1000 characters"),
        (lambda one: one.silence(HOUR, "x" * 1001), "reason: expected text"),
        (lambda one: one.silence(HOUR, "x", by=5), "by: expected text"),
        (lambda one: one.silence(HOUR, "x", model_id="no name"), "model: "),
        (lambda one: one.silence(HOUR, "x", rule="erors"), "silence: no rule 'erors' - did you mean 'errors'"),
        (lambda one: one.silence(timedelta.max, "x"), "longer than any that can be kept"),
        (lambda one: one.acknowledge("errors", "m", "production"), "no open incident of 'errors' for m in production - there are: none"),
        (lambda one: one.acknowledge("errors", "../m", "production"), "model: "),
        (lambda one: one.acknowledge("errors", "m", "production", note=5), "note: expected text"),
        (lambda one: one.incidents("no name"), "model: "),
        (lambda one: one.evaluate(datetime(2024, 1, 1, tzinfo=UTC).replace(tzinfo=None)), "now: .* has no time zone"),
    ],
)
def test_wrong_input_is_one_line(monitoring: ModelMonitoring, call: Callable[[Any], object], told: str) -> None:
    with pytest.raises(MonitoringError, match=told) as caught:
        call(monitoring)
    assert "\n" not in caught.value.message
    assert monitoring.silences() == []
