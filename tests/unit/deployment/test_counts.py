"""What a canary is judged by."""

from __future__ import annotations

import contextlib
from datetime import timedelta
from typing import Any

import pytest
from attrs import evolve

from mlops_core.deployment.counts import check_countable, look_at, quality_of
from mlops_core.deployment.desk import Desk
from mlops_core.exceptions import DeploymentError
from mlops_core.records import EndpointKey, Observed, Quality, Segment, SeriesKey, VariantCount
from mlops_core.testing.memory_deployer import MemoryDeployer

KEY = EndpointKey("acme", "production", "delays")


class Uncounting(MemoryDeployer):
    contract = 1
    capabilities = frozenset({"in-process"})


class Costly(MemoryDeployer):
    """A deployer for which counting is a call of its own."""

    contract = 1
    asked: list[int | None]

    def observe(self, endpoint: EndpointKey, *, since: int | None = None) -> Observed:
        self.asked.append(since)
        seen = super().observe(endpoint)
        return evolve(seen, counters=tuple(one for one in seen.counters if since is not None and one.revision >= since))


def begun(world: Any, plan: Any) -> tuple[Desk, Any, Any]:
    world.deployment.deploy_model("delays", "1.0.0", "production")
    canary = world.deployment.start_canary("delays", "2.0.0", "production", canary=plan)
    desk = Desk(world.stack, KEY)
    return desk, desk.ledger.read(), canary.rollout


def test_a_deployer_that_counts_is_believed(world: Any, plan: Any) -> None:
    desk, state, rollout = begun(world, plan)
    world.ask(200)
    look = look_at(desk, state, rollout, world.clock.now())

    assert look.canary.total + look.baseline.total == 200
    assert look.step_requests == look.canary.total > 0
    assert look.canary.errors == 0


def test_errors_of_a_unit_that_failed_before_are_told_apart(world: Any, plan: Any) -> None:
    """Also by a sink: the canary's and those of the version beside it."""
    desk, state, rollout = begun(world, plan)
    for unit in [str(number) for number in range(30)] * 3:
        with contextlib.suppress(DeploymentError):
            world.deployment.predict("delays", "production", {"x": [-1.0]}, unit=unit)
    look = look_at(desk, state, rollout, world.clock.now())
    assert (look.canary.errors + look.baseline.errors, look.canary.repeated_errors + look.baseline.repeated_errors) == (90, 60)

    world.deployers["production"] = Uncounting()
    series = SeriesKey("acme", "production", "delays", "2.0.0")
    at = world.clock.now()
    world.sink.write([Segment(series, at, at, "w", 1, rollout.first_revision, total=9, errors=5, repeated_errors=3)])
    found = look_at(Desk(world.stack, KEY), state, rollout, at).canary
    assert (found.errors, found.repeated_errors, found.counts[0].repeated) == (5, 3, 3)


def test_counts_are_asked_for_by_the_look_alone_and_from_the_rollouts_beginning(world: Any, plan: Any) -> None:
    world.deployers["production"] = costly = Costly()
    costly.asked = []
    desk, state, rollout = begun(world, plan)
    assert set(costly.asked) == {None}
    world.ask(100)
    look = look_at(desk, state, rollout, world.clock.now())

    assert [since for since in costly.asked if since is not None] == [rollout.first_revision] == [2]
    assert look.canary.total + look.baseline.total == 100


def test_only_the_step_in_force_counts_for_its_requests(world: Any, plan: Any) -> None:
    desk, state, rollout = begun(world, plan)
    world.ask(200)
    later = evolve(rollout, step_revision=rollout.first_revision + 1)

    look = look_at(desk, state, later, world.clock.now())
    assert look.step_requests == 0
    assert look.canary.total > 0


def test_segments_count_from_the_rollouts_first_revision_on(world: Any, plan: Any) -> None:
    world.deployers["production"] = Uncounting()
    desk, state, rollout = begun(world, plan)
    at = world.clock.now() + timedelta(seconds=10)
    for sequence, (version, revision, total, errors) in enumerate(
        [("2.0.0", 1, 99, 99), ("2.0.0", 2, 10, 1), ("2.0.0", 3, 5, 0), ("1.0.0", 1, 500, 0), ("1.0.0", 2, 90, 2)], 1
    ):
        series = SeriesKey("acme", "production", "delays", version)
        world.sink.write([Segment(series, at - timedelta(seconds=1), at, "server", sequence, revision, total, errors)])

    look = look_at(desk, state, evolve(rollout, step_revision=3), at)
    assert (look.canary.total, look.canary.errors) == (15, 1)
    assert look.canary.count("2.0.0", 3) == VariantCount("2.0.0", 3, 5, 0)
    assert (look.baseline.total, look.baseline.errors) == (90, 2)
    assert look.step_requests == 5


@pytest.mark.parametrize("length", [timedelta(minutes=20), timedelta(hours=1), timedelta(hours=7, minutes=10)])
def test_outcomes_count_where_they_lie_within_the_time_and_once(world: Any, length: timedelta) -> None:
    desk, series = Desk(world.stack, KEY), SeriesKey("acme", "production", "delays", "1.0.0")
    start = world.clock.now() + timedelta(minutes=50.5)
    end, second = start + length, timedelta(seconds=1)
    inside = [start, end - second, *(start + length * share / 4 for share in (1, 2, 3))]
    outside = [start - second / 2, start - second, end - second / 2, end]
    pieces = [(at, second) for at in inside + outside] + [(start - second, timedelta(minutes=1)), (end - second, timedelta(hours=1))]
    hour = start.replace(minute=0, second=0) + timedelta(hours=2)
    pieces += [(hour, timedelta(hours=1))] if length > timedelta(hours=4) else []
    world.sink.write(
        [Segment(series, at, at + width, f"{number}", 1, quality=Quality(labelled=1)) for number, (at, width) in enumerate(pieces)]
    )
    assert quality_of(desk, "1.0.0", start, end).labelled == len(inside) + (length > timedelta(hours=4))


def test_somebody_has_to_count(world: Any) -> None:
    check_countable(Desk(world.stack, KEY), {"error_rate": 0.01})
    world.deployers["production"] = Uncounting()
    check_countable(Desk(world.stack, KEY), {"p95_latency": 0.1})
    with pytest.raises(DeploymentError, match=r"monitoring\.sinks: none can be read"):
        check_countable(Desk(world.compose("acme", sinks={}), KEY), {})


def test_a_deployer_that_only_counts_keeps_no_latency(world: Any) -> None:
    with pytest.raises(DeploymentError) as raised:
        check_countable(Desk(world.stack, KEY), {"error_rate": 0.01, "p95_latency": 0.1, "avg_latency": 0.1})
    said = "the deployer of production counts requests and does not time them - bound error_rate or success_rate instead"
    assert raised.value.message == f"canary.slo.avg_latency: {said}"
