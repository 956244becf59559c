"""One deployment from state to state."""

from __future__ import annotations

from typing import Any

import pytest

from mlops_core.deployment.desk import Desk
from mlops_core.deployment.drive import Driver
from mlops_core.exceptions import DeploymentError
from mlops_core.records import DeploymentStatus as S
from mlops_core.records import EndpointKey, Variant
from mlops_core.testing.memory_deployer import MemoryDeployer

KEY = EndpointKey("acme", "production", "delays")


class Stubborn(MemoryDeployer):
    """Refuses to change its routes while told to, or to route one version."""

    contract = 1
    stuck = False
    refused = ""
    dies = False
    meanwhile: Any = None

    def set_routes(self, endpoint: EndpointKey, variants: tuple[Variant, ...], shadow: str | None, expected_revision: int) -> int:
        if self.meanwhile is not None:
            meanwhile, self.meanwhile = self.meanwhile, None
            meanwhile()
        if self.stuck:
            raise DeploymentError("deployer: the load balancer does not answer")
        if self.refused in {variant.version for variant in variants}:
            if self.dies:
                raise KeyboardInterrupt
            raise DeploymentError(f"deployer: version {self.refused} has no quota - ask for more")
        return super().set_routes(endpoint, variants, shadow, expected_revision)


@pytest.fixture
def stubborn(world: Any) -> Stubborn:
    world.deployers["production"] = Stubborn()
    return world.deployers["production"]  # type: ignore[no-any-return]  # made above


def begin(world: Any, plan: Any) -> None:
    world.deployment.deploy_model("delays", "1.0.0", "production")
    world.deployment.start_canary("delays", "2.0.0", "production", canary=plan)


def test_a_rollback_that_failed_is_written_down_and_repeated(world: Any, stubborn: Stubborn, plan: Any) -> None:
    begin(world, plan)
    stubborn.stuck = True
    with pytest.raises(DeploymentError, match="the load balancer does not answer"):
        world.deployment.rollback_deployment("production/delays/2", reason="too slow")

    failed = world.deployment.get("production/delays/2")
    assert (failed.status, failed.weight) == (S.ROLLBACK_FAILED, 0.1)
    assert failed.reason == "too slow; the traffic could not be moved: deployer: the load balancer does not answer"
    world.deployment.advance()
    assert world.deployment.get("production/delays/2").status is S.ROLLBACK_FAILED
    stubborn.stuck = False
    assert [one.status for one in world.deployment.advance() if one.number == 2] == [S.ROLLED_BACK]
    assert set(world.ask(20)) == {"1.0.0"}


def test_a_canary_whose_rollback_fails_is_told(world: Any, stubborn: Stubborn, plan: Any) -> None:
    begin(world, plan)
    for _ in range(60):
        try:
            world.ask(x=-1.0)
        except DeploymentError:
            continue
    stubborn.stuck = True
    done = next(one for one in world.deployment.advance() if one.number == 2)

    assert done.status is S.ROLLBACK_FAILED
    assert "break the objective of error_rate 0.1; the traffic could not be moved" in done.reason


def test_a_deployment_whose_routes_are_refused_is_rolled_back_and_blocks_nothing(world: Any, stubborn: Stubborn) -> None:
    world.deployment.deploy_model("delays", "1.0.0", "production")
    stubborn.refused = "2.0.0"
    with pytest.raises(DeploymentError) as raised:
        world.deployment.deploy_model("delays", "2.0.0", "production")

    said = "its routes were refused: deployer: version 2.0.0 has no quota - ask for more"
    assert raised.value.message == f"deployment production/delays/2: {said}"
    assert world.deployment.get("production/delays/2").status is S.ROLLED_BACK
    assert world.deployment.status("delays", "production").loaded == ("1.0.0",)
    assert world.deployment.deploy_model("delays", "3.0.0", "production").status is S.LIVE


def test_a_canary_whose_routes_are_refused_is_rolled_back(world: Any, stubborn: Stubborn, plan: Any) -> None:
    stubborn.refused = "2.0.0"
    with pytest.raises(DeploymentError, match=r"deployment production/delays/2: its routes were refused"):
        begin(world, plan)

    assert set(world.ask(20)) == {"1.0.0"}
    assert world.deployment.get("production/delays/2").status is S.ROLLED_BACK


@pytest.mark.parametrize("finish", ["advance", "deploy"])
def test_a_refusal_after_a_crash_is_no_dead_end(world: Any, stubborn: Stubborn, finish: str) -> None:
    world.deployment.deploy_model("delays", "1.0.0", "production")
    stubborn.refused, stubborn.dies = "2.0.0", True
    with pytest.raises(KeyboardInterrupt):
        world.deployment.deploy_model("delays", "2.0.0", "production")
    stubborn.dies = False
    if finish == "deploy":
        world.deployment.deploy_model("delays", "3.0.0", "production")
    else:
        world.deployment.advance()

    assert world.deployment.get("production/delays/2").status is S.ROLLED_BACK
    assert set(world.ask(20)) == {"3.0.0" if finish == "deploy" else "1.0.0"}


def test_an_outage_of_the_deployer_is_no_refusal(world: Any, stubborn: Stubborn, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: Any) -> int:
        raise OSError("no route to host")

    world.deployment.deploy_model("delays", "1.0.0", "production")
    with monkeypatch.context() as outage:
        outage.setattr(stubborn.__class__, "set_routes", away)
        with pytest.raises(DeploymentError, match="no route to host"):
            world.deployment.deploy_model("delays", "2.0.0", "production")
    assert [one.status for one in world.deployment.advance() if one.number == 2] == [S.LIVE]


def test_a_deployment_that_was_rolled_back_meanwhile_stops(world: Any, stubborn: Stubborn) -> None:
    """The rollback comes between the intent and its effect: its fence makes the effect impossible."""
    world.deployment.deploy_model("delays", "1.0.0", "production")
    stubborn.meanwhile = lambda: world.deployment.rollback_deployment("production/delays/2")
    with pytest.raises(DeploymentError):
        world.deployment.deploy_model("delays", "2.0.0", "production")

    assert set(world.ask(20)) == {"1.0.0"}
    assert world.deployment.get("production/delays/2").status is S.ROLLED_BACK
    assert world.deployment.deploy_model("delays", "2.0.0", "production").number == 3


def test_a_first_deployment_that_was_rolled_back_meanwhile_serves_nothing(world: Any, stubborn: Stubborn) -> None:
    stubborn.meanwhile = lambda: world.deployment.rollback_deployment("production/delays/1")
    with pytest.raises(DeploymentError):
        world.deployment.deploy_model("delays", "1.0.0", "production")

    assert world.deployment.status("delays", "production").routes == ()
    assert world.deployment.get("production/delays/1").status is S.ROLLED_BACK


def test_a_deployment_that_is_over_is_answered_as_it_is(world: Any) -> None:
    done = world.deployment.deploy_model("delays", "1.0.0", "production")
    assert Driver(Desk(world.stack, KEY), world.clock.now()).run(1) == done
