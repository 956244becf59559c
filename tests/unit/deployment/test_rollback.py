"""Back to what served before."""

from __future__ import annotations

from typing import Any

import pytest

from mlops_core.deployment.desk import Desk
from mlops_core.deployment.rollback import NeedsDeployment, move_traffic, record
from mlops_core.exceptions import DeploymentError
from mlops_core.records import DeploymentStatus as S
from mlops_core.records import EndpointKey, Variant
from mlops_core.testing.memory_deployer import MemoryDeployer

KEY = EndpointKey("acme", "production", "delays")


def test_traffic_returns_to_the_routes_before(world: Any) -> None:
    for version in ("1.0.0", "2.0.0"):
        world.deployment.deploy_model("delays", version, "production")
    moved = move_traffic(Desk(world.stack, KEY), 2)

    assert moved.routes == (Variant("1-1.0.0", "1.0.0", 1.0),)
    assert (moved.revision, moved.version) == (3, "2.0.0")
    assert record(Desk(world.stack, KEY), 2, moved, "because").status is S.ROLLED_BACK


def test_what_waits_is_fenced_and_what_is_over_is_left_alone(world: Any) -> None:
    world.deployment.deploy_model("delays", "1.0.0", "production")
    world.deployment.deploy_model("delays", "2.0.0", "production", wait=False)
    desk = Desk(world.stack, KEY)

    assert move_traffic(desk, 2).revision == 2
    assert desk.deployer.observe(KEY).routes == (Variant("1-1.0.0", "1.0.0", 1.0),)
    assert move_traffic(desk, 2).revision == 3


def test_what_was_unloaded_needs_a_deployment(world: Any) -> None:
    for version in ("1.0.0", "2.0.0"):
        world.deployment.deploy_model("delays", version, "production")
    world.clock.advance(3600)
    world.deployment.advance()
    with pytest.raises(NeedsDeployment) as raised:
        move_traffic(Desk(world.stack, KEY), 2)
    assert raised.value.deployment.number == 1


def test_routes_that_never_rest_are_told(world: Any) -> None:
    class Restless(MemoryDeployer):
        contract = 1

        def set_routes(self, endpoint: EndpointKey, variants: tuple[Variant, ...], shadow: str | None, expected_revision: int) -> int:
            if self.observe(endpoint).revision:
                super().set_routes(endpoint, self.observe(endpoint).routes, None, expected_revision)
            return super().set_routes(endpoint, variants, shadow, expected_revision)

    world.deployers["production"] = Restless()
    world.deployment.deploy_model("delays", "1.0.0", "production")
    with pytest.raises(DeploymentError, match="the routes changed 20 times meanwhile - roll back again"):
        world.deployment.rollback_deployment("production/delays/1")
