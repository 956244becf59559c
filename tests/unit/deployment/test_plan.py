"""What a deployment would do."""

from __future__ import annotations

from typing import Any

import pytest

from mlops_core.exceptions import DeploymentError
from mlops_core.records import DeploymentStatus, Plan, PlannedCall


def test_a_first_deployment_loads_and_routes(world: Any) -> None:
    found = world.deployment.plan("delays", "1.0.0", "production", weight=0.1)
    load = PlannedCall("load", {"version": "1.0.0"})

    assert found == Plan((load, PlannedCall("set_routes", {"weights": {"1.0.0": 1.0}, "shadow": None})))
    assert world.deployment.list() == ()
    assert world.deployer().observe(world.deployment._desk("delays", "production", 1.0).endpoint).revision == 0  # noqa: SLF001  the key


def test_a_step_of_a_canary_leaves_the_rest_to_what_is_live(world: Any) -> None:
    world.deployment.deploy_model("delays", "1.0.0", "production")
    found = world.deployment.plan("delays", "2.0.0", "prod", weight=0.25)

    assert [call.name for call in found.calls] == ["load", "set_routes"]
    assert found.calls[-1].arguments["weights"] == {"1.0.0": 0.75, "2.0.0": 0.25}
    assert world.deployment.plan("delays", "2.0.0", "production").calls[-1].arguments["weights"] == {"2.0.0": 1.0}


def test_an_ab_test_loads_what_is_not_there_and_shares_the_requests(world: Any) -> None:
    world.deployment.deploy_model("delays", "1.0.0", "production")
    shares = {"1.0.0": 0.5, "2.0.0": 0.3, "3.0.0": 0.2}
    found = world.deployment.plan("delays", "2.0.0", "production", weight=shares)
    done = world.deployment.set_traffic("delays", "production", shares)

    assert [(call.name, call.arguments.get("version")) for call in found.calls] == [
        ("load", "2.0.0"),
        ("load", "3.0.0"),
        ("set_routes", None),
    ]
    assert found.calls[-1].arguments["weights"] == {one.version: one.weight for one in done.variants} == shares
    with pytest.raises(DeploymentError, match="plan: these shares are live already in production - give others"):
        world.deployment.plan("delays", "2.0.0", "production", weight=shares)
    with pytest.raises(DeploymentError, match=r"plan: version 2\.0\.0 has no share - give it one beside 1\.0\.0, 3\.0\.0"):
        world.deployment.plan("delays", "2.0.0", "production", weight={"1.0.0": 0.5, "3.0.0": 0.5})


def test_what_is_loaded_is_not_loaded_again(world: Any) -> None:
    for version in ("1.0.0", "2.0.0"):
        world.deployment.deploy_model("delays", version, "production")
    assert [call.name for call in world.deployment.plan("delays", "1.0.0", "production").calls] == ["set_routes"]


@pytest.mark.parametrize("weight", [0, -0.1, 1.5, True, "10%", float("nan")])
def test_a_weight_that_is_none_is_refused(world: Any, weight: Any) -> None:
    with pytest.raises(DeploymentError, match="is no fraction above 0 - give one"):
        world.deployment.plan("delays", "1.0.0", "production", weight=weight)


def test_a_shadow_goes_on_and_another_version_waits_for_its_end(world: Any) -> None:
    world.deployment.deploy_model("delays", "1.0.0", "production")
    world.deployment.start_shadow("delays", "2.0.0", "production")
    found = world.deployment.plan("delays", "2.0.0", "production", weight=0.25)

    assert found.calls == (PlannedCall("set_routes", {"weights": {"1.0.0": 0.75, "2.0.0": 0.25}, "shadow": None}),)
    with pytest.raises(DeploymentError, match="deployment production/delays/2: is shadow - plan what comes after it once it has ended"):
        world.deployment.plan("delays", "3.0.0", "production")


def test_what_is_live_or_has_to_wait_has_no_plan(world: Any, plan: Any) -> None:
    world.deployment.deploy_model("delays", "1.0.0", "production")
    with pytest.raises(DeploymentError, match=r"plan: version 1\.0\.0 is live already in production - give another version"):
        world.deployment.plan("delays", "1.0.0", "production")
    assert world.deployment.start_canary("delays", "2.0.0", "production", canary=plan).status is DeploymentStatus.CANARY
    with pytest.raises(DeploymentError, match="deployment production/delays/2: is canary - plan what comes after it once it has ended"):
        world.deployment.plan("delays", "3.0.0", "production")
