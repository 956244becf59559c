"""Alert rules at work: one incident, told until it is heard, whoever evaluates."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from mlops_core.config.settings import AlertRule
from mlops_core.exceptions import MonitoringError, VersioningError
from mlops_core.journal import Journal
from mlops_core.monitoring import ModelMonitoring
from mlops_core.monitoring.incidents import Book, Incident
from mlops_core.records import AlertRaised, NewEntry
from mlops_core.stack import Stack
from mlops_core.testing.clock import FakeClock
from mlops_core.testing.stack import GivenParts

MakeStack = Callable[..., Stack]
MINUTE = timedelta(minutes=1)
ERRORS = AlertRule("errors", "error_rate > 0.5", hold_for=MINUTE, window=MINUTE)


def events_of(stack: Stack) -> list[AlertRaised]:
    assert isinstance(stack.parts, GivenParts)
    return [event for event in stack.parts.events if isinstance(event, AlertRaised)]


def fail(monitoring: ModelMonitoring, count: int = 3, *, success: bool = False) -> None:
    for _ in range(count):
        monitoring.track_prediction("m", 0.1, success, environment="production")
    monitoring.flush()


def test_an_incident_from_the_first_failure_to_the_all_clear(make: MakeStack, clock: FakeClock, inbox: Any) -> None:
    stack = make(ERRORS)
    with ModelMonitoring(stack=stack) as monitoring:
        fail(monitoring)
        assert monitoring.evaluate() == ()
        assert monitoring.incidents() == []
        assert [one.state for one in monitoring.incidents(resolved=True)] == ["pending"]
        clock.advance(30)
        fail(monitoring)
        clock.advance(30)
        (opened,) = monitoring.evaluate()
        assert (opened.state, opened.rule, opened.model, opened.environment, opened.value) == ("firing", "errors", "m", "production", 1.0)
        assert monitoring.evaluate() == ()
        assert monitoring.incidents("m") == [opened]
        clock.advance(120)
        fail(monitoring, success=True)
        (ended,) = monitoring.evaluate()
        assert (ended.state, ended.key, monitoring.incidents("m")) == ("resolved", opened.key, [])
    assert [alert.state for alert in inbox.sent] == ["firing", "resolved"]
    assert [event.alert for event in events_of(stack)] == inbox.sent


def test_a_channel_that_fails_is_tried_again_at_the_next_pass(
    make: MakeStack, clock: FakeClock, inbox: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with ModelMonitoring(stack=make(AlertRule("errors", "error_rate > 0.5"))) as monitoring:
        fail(monitoring)
        inbox.broken = True
        monitoring.evaluate()
        clock.advance(600)
        monitoring.evaluate()
        assert inbox.sent == []
        inbox.broken = False
        monitoring.evaluate()
        monitoring.evaluate()
    assert inbox.calls == ["firing", "firing", "firing", "resolved"], "each alert until it was taken, and then no more"
    assert [alert.state for alert in inbox.sent] == ["firing", "resolved"]
    assert "channel inbox: acme/m/production/errors/" in caplog.text
    assert "is not delivered: OSError: no route to host" in caplog.text


@pytest.mark.parametrize("rule", [{"clear": "error_rate < 30%"}, {"keep": 5 * MINUTE}])
def test_a_metric_that_swings_around_its_bound_is_one_incident_and_one_alert(
    make: MakeStack, clock: FakeClock, inbox: Any, rule: dict[str, Any]
) -> None:
    with ModelMonitoring(stack=make(AlertRule("errors", "error_rate > 0.5", window=MINUTE, **rule))) as monitoring:
        changes: list[Incident] = []
        for number in range(200):
            fail(monitoring, 6 if number % 2 == 0 else 4)
            fail(monitoring, 4 if number % 2 == 0 else 6, success=True)
            changes += monitoring.evaluate()
            clock.advance(61)
    assert [one.state for one in changes] == ["firing"]
    assert inbox.calls == ["firing"]


def test_what_a_channel_took_is_owed_no_more(make: MakeStack, inbox: Any) -> None:
    stack = make(AlertRule("errors", "error_rate > 0.5"))
    with ModelMonitoring(stack=stack) as monitoring:
        fail(monitoring)
        for _ in range(3):
            monitoring.evaluate()
    assert inbox.calls == ["firing"]
    assert Book.from_dict(dict(Journal(stack.parts.registry, "acme", "incidents/m").head().state)).owed == ()


def test_alerts_of_a_rule_that_flaps_while_its_channel_is_away_are_given_up_but_for_the_newest(
    make: MakeStack, clock: FakeClock, inbox: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with ModelMonitoring(stack=make(AlertRule("errors", "error_rate > 0.5", window=MINUTE))) as monitoring:
        inbox.broken = True
        for _ in range(5):
            fail(monitoring)
            monitoring.evaluate()
            clock.advance(600)
            monitoring.evaluate()
        inbox.broken = False
        monitoring.evaluate()
    assert [alert.state for alert in inbox.sent] == ["firing", "resolved"] * 2
    assert caplog.text.count("is given up, newer alerts of the rule wait") == 6


def test_a_channel_that_is_gone_is_owed_nothing(make: MakeStack, inbox: Any, caplog: pytest.LogCaptureFixture) -> None:
    stack = make(AlertRule("errors", "error_rate > 0.5"))
    inbox.broken = True
    with ModelMonitoring(stack=stack) as monitoring:
        fail(monitoring)
        monitoring.evaluate()
    assert isinstance(stack.parts, GivenParts)
    stack.parts.channels = {}
    with ModelMonitoring(stack=stack) as monitoring:
        for _ in range(2):
            monitoring.evaluate()
    assert caplog.text.count("channel inbox: is not configured any more") == 1


def test_a_journal_of_a_newer_release_is_refused(make: MakeStack) -> None:
    stack = make()
    entry = NewEntry(stack.clock.now(), "evaluated", state={"format": 4, "incidents": {}, "owed": [], "muted": []})
    stack.parts.registry.append("acme", "incidents/m", 0, entry)
    with ModelMonitoring(stack=stack) as monitoring, pytest.raises(MonitoringError, match=r"^incidents: format 4 of the journal"):
        monitoring.incidents("m")


def test_another_process_goes_on_where_one_ended(make: MakeStack, clock: FakeClock, inbox: Any) -> None:
    stack = make(ERRORS)
    with ModelMonitoring(stack=stack) as first:
        fail(first)
        first.evaluate()
    clock.advance(30)
    with ModelMonitoring(stack=stack) as second:
        fail(second)
        clock.advance(30)
        (opened,) = second.evaluate()
    assert (opened.since, len(inbox.sent)) == (clock.now() - MINUTE, 1)


def test_two_that_evaluate_at_once_open_one_incident(make: MakeStack, inbox: Any) -> None:
    stack = make(AlertRule("errors", "error_rate > 0.5"))
    with ModelMonitoring(stack=stack) as one, ModelMonitoring(stack=stack) as other:
        fail(one)
        assert (len(one.evaluate()), len(other.evaluate())) == (1, 0)
    assert (len(inbox.sent), len(events_of(stack))) == (1, 1)


def test_an_alert_sent_before_the_crash_is_sent_under_the_same_key(make: MakeStack, inbox: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def dies(*_: object) -> None:
        raise KeyboardInterrupt

    with ModelMonitoring(stack=make(AlertRule("errors", "error_rate > 0.5"))) as monitoring:
        fail(monitoring)
        with monkeypatch.context() as crash:
            crash.setattr("mlops_core.monitoring.alerting.settle", dies)
            with pytest.raises(KeyboardInterrupt):
                monitoring.evaluate()
        assert len(inbox.sent) == 1
        monitoring.evaluate()
    assert len(inbox.sent) == 1


def test_silence_of_a_named_model_is_an_incident(make: MakeStack, inbox: Any) -> None:
    with ModelMonitoring(stack=make(AlertRule("silent", "total_predictions < 10", model="never.used"))) as monitoring:
        (opened,) = monitoring.evaluate()
    assert (opened.model, opened.environment, opened.value) == ("never.used", "default", 0)
    assert len(inbox.sent) == 1


def test_drift_alerts_through_the_same_rules(make: MakeStack, clock: FakeClock) -> None:
    with ModelMonitoring(stack=make(AlertRule("drift", "drift.ks.p_value < 0.05", window=timedelta(days=1)))) as monitoring:
        monitoring.record_values("m", {"drift.ks.p_value": 0.5})
        assert monitoring.evaluate() == ()
        clock.advance(1)
        monitoring.record_values("m", {"drift.ks.p_value": 0.01})
        (opened,) = monitoring.evaluate()
    assert opened.value == 0.01


def test_a_rule_taken_out_of_the_configuration_ends_its_incident(make: MakeStack, inbox: Any) -> None:
    with ModelMonitoring(stack=make(AlertRule("errors", "error_rate > 0.5"))) as monitoring:
        fail(monitoring)
        monitoring.evaluate()
    with ModelMonitoring(stack=make()) as monitoring:
        (ended,) = monitoring.evaluate()
        assert ended.state == "resolved"
        assert monitoring.evaluate() == ()
    assert [alert.state for alert in inbox.sent] == ["firing", "resolved"]


def test_a_pass_can_be_made_for_a_past_moment(make: MakeStack, clock: FakeClock) -> None:
    with ModelMonitoring(stack=make(AlertRule("errors", "error_rate > 0.5", window=MINUTE))) as monitoring:
        fail(monitoring)
        at = clock.now()
        clock.advance(3600)
        assert len(monitoring.evaluate(at)) == 1


def test_tenants_have_incidents_of_their_own(make: MakeStack) -> None:
    stack = make(AlertRule("errors", "error_rate > 0.5"))
    with ModelMonitoring("one", stack=stack) as one, ModelMonitoring("two", stack=stack) as two:
        fail(one)
        assert (len(one.evaluate()), two.evaluate(), two.incidents()) == (1, (), [])


def test_a_wrong_rule_is_the_facades_error(make: MakeStack) -> None:
    with (
        ModelMonitoring(stack=make(AlertRule("errors", "eror_rate > 0.5"))) as monitoring,
        pytest.raises(MonitoringError, match=r"monitoring\.alerts\[0\]\.when: unknown metric 'eror_rate'"),
    ):
        monitoring.evaluate()


@pytest.mark.parametrize(
    ("raised", "said"),
    [(VersioningError("registry: away"), "registry: away"), (OSError("disk\nfull"), "monitoring: OSError: disk full - `mlops check")],
)
def test_a_registry_that_is_away_is_the_facades_error(
    make: MakeStack, monkeypatch: pytest.MonkeyPatch, raised: Exception, said: str
) -> None:
    stack = make()

    def away(*_: object, **__: object) -> None:
        raise raised

    monkeypatch.setattr(type(stack.parts.registry), "journals", away)
    with ModelMonitoring(stack=stack) as monitoring:
        for call in (monitoring.incidents, monitoring.evaluate):
            with pytest.raises(MonitoringError, match=f"^{said}"):
                call()


def test_a_journal_of_the_release_before_is_read_on(make: MakeStack) -> None:
    stack = make(ERRORS)
    old = {
        "format": 1,
        "owed": [],
        "incidents": {
            "errors/default": {
                "tenant": "acme",
                "rule": "errors",
                "model": "m",
                "environment": "default",
                "state": "firing",
                "since": "2024-01-01T00:00:00+00:00",
                "at": "2024-01-01T00:00:00+00:00",
                "condition": "error_rate > 0.1",
                "value": 0.5,
                "key": "k",
            }
        },
    }
    stack.parts.registry.append("acme", "incidents/m", 0, NewEntry(at=stack.clock.now(), kind="evaluated", state=old))
    with ModelMonitoring(stack=stack) as monitoring:
        (incident,) = monitoring.incidents("m")
        assert (incident.state, incident.lapsed) == ("firing", None)
        monitoring.evaluate()
    (newest,) = stack.parts.registry.read("acme", "incidents/m", limit=1, newest_first=True)
    assert newest.state is not None
    assert newest.state["format"] == 3
