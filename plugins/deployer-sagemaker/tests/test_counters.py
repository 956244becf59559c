"""Counts by version and revision, from the minutes in which nothing changed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from mlops_core.records import VariantCount
from mlops_deployer_sagemaker.aws import Aws
from mlops_deployer_sagemaker.counters import count_requests, whole_minutes
from mlops_deployer_sagemaker.record import Serving, Span

AT = datetime(2024, 5, 1, 12, tzinfo=UTC)


def test_only_minutes_that_lie_within_count() -> None:
    second = timedelta(seconds=1)
    assert whole_minutes(AT, AT + 60 * second) == (AT, AT + 60 * second)
    assert whole_minutes(AT + second, AT + 119 * second) == (AT + 60 * second, AT + 60 * second)
    assert whole_minutes(AT + second, AT + 185 * second) == (AT + 60 * second, AT + 180 * second)


def ask(rig: Any, minutes: int, each: int) -> None:
    """Requests at the same pace."""
    for _ in range(minutes):
        rig.asks(each)
        rig.clock.advance(60)


def totals(rig: Any, since: int = 1) -> dict[tuple[str, int], tuple[int, int]]:
    found = rig.deployer.observe(rig.endpoint, since=since).counters
    return {(one.version, one.revision): (one.total, one.errors) for one in found}


def test_requests_are_counted_by_version_and_revision_and_mixed_minutes_by_none(rig: Any) -> None:
    for name in ("1.0.0", "2.0.0"):
        rig.load(name)
    rig.route(("1.0.0", 0.8), ("2.0.0", 0.2))
    rig.cloud.broken.add("2.0.0")
    ask(rig, 5, 100)
    first = totals(rig)
    assert first.keys() == {("1.0.0", 1), ("2.0.0", 1)}
    assert 300 <= sum(total for total, _ in first.values()) <= 500
    assert first["1.0.0", 1][1] == 0
    assert first["2.0.0", 1][0] == first["2.0.0", 1][1] > 40

    rig.asks(50)
    rig.begin(("1.0.0", 0.5), ("2.0.0", 0.5))
    rig.asks(50)
    rig.settle()
    ask(rig, 4, 100)
    second = totals(rig)
    assert sum(second[name, 1][0] for name in ("1.0.0", "2.0.0")) == sum(total for total, _ in first.values()), "they stay what they were"
    assert 250 <= sum(second[name, 2][0] for name in ("1.0.0", "2.0.0")) <= 400
    assert totals(rig, since=2).keys() == {("1.0.0", 2), ("2.0.0", 2)}
    assert rig.seen.counters == ()
    assert rig.again().observe(rig.endpoint, since=1).counters == rig.deployer.observe(rig.endpoint, since=1).counters


def test_minutes_in_which_instances_are_replaced_are_nobodys(rig: Any) -> None:
    for name in ("1.0.0", "2.0.0"):
        rig.load(name)
    rig.route(("1.0.0", 1.0))
    rig.begin(("1.0.0", 0.5), ("2.0.0", 0.5))
    for _ in range(3):
        rig.clock.advance(59)
        rig.asks(10)
    assert rig.seen.operation == "applying"
    rig.clock.advance(60)
    ask(rig, 3, 10)
    assert totals(rig, since=2).keys() == {("1.0.0", 2), ("2.0.0", 2)}
    assert sum(total for total, _ in totals(rig, since=2).values()) in {20, 30}


def test_a_clients_mistake_is_counted_in_neither_figure(rig: Any) -> None:
    import numpy as np
    import pytest

    from mlops_core.exceptions import DeploymentError

    rig.load("1.0.0")
    rig.route(("1.0.0", 1.0))
    rig.clock.advance(60)
    rig.asks(3)
    for _ in range(4):
        with pytest.raises(DeploymentError, match=r"endpoint staging/delays: column 'y' is unknown \(422\)"):
            rig.deployer.predict(rig.endpoint, {"y": np.ones(1)})
    rig.clock.advance(120)
    assert totals(rig) == {("1.0.0", 1): (3, 0)}


def test_what_comes_late_comes_in_at_the_next_look(rig: Any) -> None:
    rig.load("1.0.0")
    rig.route(("1.0.0", 1.0))
    rig.clock.advance(60)
    minute = rig.clock.now().replace(second=0)
    rig.clock.advance(180)
    assert totals(rig) == {("1.0.0", 1): (0, 0)}
    (name,) = rig.cloud.endpoints[rig.name].weights
    rig.cloud.counts[rig.name, name, "Invocations", minute] = 7
    assert totals(rig) == {("1.0.0", 1): (7, 0)}


def test_a_version_that_took_the_name_of_another_has_its_own_counts(make_rig: Any) -> None:
    rig = make_rig(guardrails="canary")
    for name in ("1.0.0", "2.0.0"):
        rig.load(name)
        rig.route((name, 1.0))
        ask(rig, 3, 10)
    found = totals(rig)
    assert found.keys() == {("1.0.0", 1), ("2.0.0", 2)}
    assert all(total in {20, 30} for total, _ in found.values())


def test_pages_are_read_to_the_end_and_old_minutes_are_not_asked_for(monkeypatch: Any) -> None:
    asked: list[dict[str, Any]] = []

    def call(self: Aws, service: str, operation: str, **arguments: Any) -> Any:
        asked.append(arguments)
        more = {"NextToken": "more"} if "NextToken" not in arguments else {}
        at = AT + timedelta(minutes=len(asked))
        return {"MetricDataResults": [{"Id": "q0", "Timestamps": [at], "Values": [5.0]}], **more}

    monkeypatch.setattr(Aws, "call", call)
    span = Span(3, AT - timedelta(days=400), AT + timedelta(hours=1), (Serving("a", "1.0.0", "m"),))
    found = count_requests(Aws(), "e", [span], AT + timedelta(hours=1))

    assert found == (VariantCount("1.0.0", 3, 10, 0),)
    assert (len(asked), asked[0]["StartTime"]) == (2, AT + timedelta(hours=1) - timedelta(days=15))
