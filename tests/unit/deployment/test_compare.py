"""The versions of a rollout side by side."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from mlops_core.exceptions import DeploymentError
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


def test_a_plain_deployment_is_no_rollout(world: World) -> None:
    world.deployment.deploy_model("delays", "1.0.0", "production")
    with pytest.raises(DeploymentError, match="is live, and no canary, shadow or A/B test of it has begun"):
        world.deployment.compare("production/delays/1")
