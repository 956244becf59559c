"""The versions of a rollout side by side."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from attrs import evolve

from mlops_core.exceptions import DeploymentError
from mlops_core.records import DeploymentStatus as S
from mlops_core.records import Segment, SeriesKey, ValueSum
from mlops_core.records.histogram import histogram_of
from mlops_core.records.threshold import SHADOW_DROPPED
from mlops_core.testing.memory_deployer import MemoryDeployer

if TYPE_CHECKING:
    from mlops_core.config.settings import CanarySettings

World = Any  # the fixture's class lives in the conftest


class Uncounting(MemoryDeployer):
    """A deployer whose requests monitoring counts."""

    contract = 1
    capabilities = frozenset({"in-process", "shadow"})


def test_a_sink_tells_latencies_and_dropped_copies_of_the_time_in_shadow_only(world: World) -> None:
    world.deployers["production"] = Uncounting()
    world.deployment.deploy_model("delays", "1.0.0", "production")
    begun = world.deployment.start_shadow("delays", "2.0.0", "production")
    at = world.clock.now() + timedelta(seconds=1)
    given = [("1.0.0", 1, 90), ("1.0.0", 2, 10), ("2.0.0", 1, 90), ("2.0.0", 2, 8), ("2.0.0", 3, 50)]
    for sequence, (version, revision, total) in enumerate(given, 1):
        taken = [0.1 if version == "1.0.0" else 0.2] * total
        dropped = {SHADOW_DROPPED: ValueSum(1, 2, 2, at)} if version == "2.0.0" else {}
        counts: dict[str, Any] = {"latency_sum": sum(taken), "histogram": histogram_of(taken), "values": dropped}
        series = SeriesKey("acme", "production", "delays", version)
        world.sink.write([Segment(series, at - timedelta(seconds=1), at, "server", sequence, revision, total, **counts)])
    world.deployment.deploy_model("delays", "2.0.0", "production")

    live, new = world.deployment.compare(begun.deployment_id).figures
    assert (live.requests, new.requests, live.dropped, new.dropped) == (10, 8, 0, 2)
    assert [round(one.p99_latency, 2) for one in (live, new)] == [0.1, 0.2]


def test_a_canary_is_compared_since_its_first_step(world: World, plan: CanarySettings) -> None:
    world.deployment.deploy_model("delays", "1.0.0", "production")
    world.ask(30)
    begun = world.deployment.start_canary("delays", "2.0.0", "production", canary=plan)
    world.ask(200)
    seen = world.deployment.compare(model_id="delays", environment="production")

    assert (seen.kind, seen.deployment.number, seen.ended) == ("canary", begun.number, None)
    assert sum(one.requests for one in seen.figures) == 200
    assert [(one.role, one.weight) for one in seen.figures] == [("live", 0.9), ("canary", 0.1)]
    rollout = seen.deployment.rollout
    assert rollout is not None
    assert (rollout.verdict, "evidence.worse" in rollout.metrics) == ("continue", True), "it is judged when it is looked at"
    assert seen.deployment.reason == "19 of 20 requests seen"
    kept = world.deployment.get(begun.deployment_id)
    assert kept.rollout is not None
    assert (kept.rollout.verdict, kept.reason) == ("", "")
    world.deployment.pause(begun.deployment_id)
    held = world.deployment.compare(begun.deployment_id).deployment
    assert held.rollout is not None
    assert (held.status, held.rollout.verdict) == ("paused", "continue")
    world.deployment.rollback_deployment(begun.deployment_id)
    world.ask(20)
    over = world.deployment.compare(begun.deployment_id)
    assert (sum(one.requests for one in over.figures), over.ended) == (200, world.clock.now())


def test_an_a_b_test_without_an_end_is_compared_also_once_it_is_superseded(world: World) -> None:
    begun = world.deployment.set_traffic("delays", "production", {"1.0.0": 0.5, "2.0.0": 0.5})
    world.ask(40)
    seen = world.deployment.compare(begun.deployment_id)
    assert (seen.kind, {one.role for one in seen.figures}, sum(one.requests for one in seen.figures)) == ("test", {"variant"}, 40)
    world.clock.advance(60)
    world.deployment.deploy_model("delays", "3.0.0", "production")
    over = world.deployment.compare(begun.deployment_id)
    assert (sum(one.requests for one in over.figures), over.ended) == (40, world.clock.now())


class Told:
    """Asks an endpoint, and has a sink know of it what its deployer would count."""

    def __init__(self, world: World, *, counted: bool) -> None:
        self.world, self.counted, self.written = world, counted, 0
        if not counted:
            world.deployers["production"] = Uncounting()

    def ask(self, count: int) -> None:
        self.world.clock.advance(1)
        versions = self.world.ask(count)
        self.world.deployer().settle()
        if not self.counted:
            now, endpoint = self.world.clock.now(), self.world.deployment.status("delays", "production")
            for version in {*versions, endpoint.shadow} - {None}:
                self.written += 1
                series = SeriesKey("acme", "production", "delays", version)
                total = count if version == endpoint.shadow else versions.count(version)
                self.world.sink.write([Segment(series, now, now, "server", self.written, endpoint.revision, total)])
        self.world.clock.advance(1)

    def requests(self, deployment: Any) -> tuple[int, Any]:
        seen = self.world.deployment.compare(deployment.deployment_id)
        return sum(one.requests for one in seen.figures), seen.ended


@pytest.mark.parametrize("counted", [True, False])
def test_the_report_of_an_a_b_test_ends_when_it_is_superseded(world: World, counted: bool) -> None:  # noqa: FBT001
    told = Told(world, counted=counted)
    begun = world.deployment.set_traffic("delays", "production", {"1.0.0": 0.5, "2.0.0": 0.5})
    told.ask(13)
    superseded = world.clock.now()
    world.deployment.deploy_model("delays", "1.0.0", "production")
    for _ in range(3):  # also once it is retired
        told.ask(500)
        assert told.requests(begun) == (13, superseded)
        world.clock.advance(7200)
        world.deployment.advance()
    assert world.deployment.get(begun.deployment_id).status is S.RETIRED


@pytest.mark.parametrize("counted", [True, False])
def test_an_a_b_test_that_is_live_again_is_compared_anew(world: World, counted: bool) -> None:  # noqa: FBT001
    told = Told(world, counted=counted)
    begun = world.deployment.set_traffic("delays", "production", {"1.0.0": 0.5, "2.0.0": 0.5})
    told.ask(13)
    after = world.deployment.deploy_model("delays", "1.0.0", "production")
    told.ask(500)
    world.deployment.rollback_deployment(after.deployment_id)
    again = world.clock.now()
    told.ask(17)
    assert told.requests(begun) == (17, None)
    assert world.deployment.compare(begun.deployment_id).started == again
    world.deployment.withdraw("delays", "production")
    withdrawn = world.clock.now()
    world.deployment.deploy_model("delays", "1.0.0", "production")
    told.ask(500)
    assert told.requests(begun) == (17, withdrawn)


@pytest.mark.parametrize("counted", [True, False])
def test_the_report_of_a_canary_ends_when_it_goes_live(world: World, plan: CanarySettings, counted: bool) -> None:  # noqa: FBT001
    told = Told(world, counted=counted)
    world.deployment.deploy_model("delays", "1.0.0", "production")
    told.ask(500)
    begun = world.deployment.start_canary("delays", "2.0.0", "production", canary=evolve(plan, steps=(0.5, 1.0)))
    told.ask(300)
    world.clock.advance(60)
    world.deployment.advance()
    over = world.clock.now()
    assert world.deployment.get(begun.deployment_id).status is S.LIVE
    told.ask(500)
    assert told.requests(begun) == (300, over)
    world.deployment.rollback_deployment(begun.deployment_id)
    told.ask(500)
    assert told.requests(begun) == (300, over)


@pytest.mark.parametrize("counted", [True, False])
def test_the_report_of_a_shadow_ends_when_it_gets_requests(world: World, counted: bool) -> None:  # noqa: FBT001
    told = Told(world, counted=counted)
    world.deployment.deploy_model("delays", "1.0.0", "production")
    begun = world.deployment.start_shadow("delays", "2.0.0", "production")
    told.ask(20)
    over = world.clock.now()
    world.deployment.deploy_model("delays", "2.0.0", "production")
    told.ask(500)
    assert told.requests(begun) == (40, over)
    world.deployment.rollback_deployment(begun.deployment_id)
    told.ask(500)
    assert told.requests(begun) == (40, over)


def test_a_plain_deployment_is_no_rollout(world: World) -> None:
    world.deployment.deploy_model("delays", "1.0.0", "production")
    with pytest.raises(DeploymentError, match="is live, and no canary, shadow or A/B test of it has begun"):
        world.deployment.compare("production/delays/1")
