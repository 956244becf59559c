"""One deployment from state to state."""

from __future__ import annotations

from typing import Any

import pytest

from mlops_core.deployment.desk import Desk
from mlops_core.deployment.drive import Driver
from mlops_core.exceptions import DeploymentError
from mlops_core.records import DeploymentStatus as S
from mlops_core.records import EndpointKey, Observed, Variant
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


@pytest.mark.parametrize("look", [1, 2, 3])
def test_a_look_that_fails_is_no_refusal(world: Any, slow: Slow, monkeypatch: pytest.MonkeyPatch, look: int) -> None:
    """The routes are set, and it cannot be told whether they hold yet."""
    slow.deployer.delay = 6
    world.deployment.deploy_model("delays", "2.0.0", "production", wait=False)
    world.deployment.advance()
    looks = iter(range(1, look + 1))

    def observe(self: MemoryDeployer, endpoint: EndpointKey, *, since: int | None = None) -> Observed:
        if next(looks, 0) == look:
            raise DeploymentError("deployer: its answer is not readable")
        return seen(self, endpoint, since=since)

    seen = MemoryDeployer.observe
    with monkeypatch.context() as blip:
        blip.setattr(MemoryDeployer, "observe", observe)
        world.deployment.advance()
    assert slow.statuses() == [S.LIVE, S.PROMOTING]
    while slow.statuses()[-1] is S.PROMOTING:
        world.deployment.advance()
    assert slow.statuses() == [S.DRAINING, S.LIVE]


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


class Slow:
    """A world whose production takes two looks to apply routes, and its first deployment."""

    def __init__(self, world: Any) -> None:
        self.deployer = world.deployers["production"] = MemoryDeployer(delay=0)
        world.deployment.deploy_model("delays", "1.0.0", "production")
        self.deployer.delay = 3
        self.deployment = world.deployment

    def statuses(self) -> list[S]:
        return [one.status for one in self.deployment.history("delays", "production")]


@pytest.fixture
def slow(world: Any) -> Slow:
    return Slow(world)


def test_a_deployment_is_live_once_its_routes_hold(world: Any, slow: Slow) -> None:
    done = world.deployment.deploy_model("delays", "2.0.0", "production")

    assert (done.status, done.revision, done.confirmed) == (S.LIVE, 2, True)
    assert world.ask(5) == ["2.0.0"] * 5
    assert slow.deployer.observe(KEY).operation == "applied"


def test_a_deployment_whose_routes_take_too_long_is_told_and_goes_on(world: Any, slow: Slow) -> None:
    slow.deployer.delay = 60
    with pytest.raises(DeploymentError, match=r"deployment production/delays/2: its routes do not hold after 20 s - the control loop"):
        world.deployment.deploy_model("delays", "2.0.0", "production", timeout=20.0)
    assert slow.statuses() == [S.LIVE, S.PROMOTING]
    assert world.ask(5) == ["1.0.0"] * 5

    for _ in range(60):
        world.deployment.advance()
    assert slow.statuses() == [S.DRAINING, S.LIVE]
    assert world.deployment.get("production/delays/2").revision == 2


def test_a_pass_of_the_control_loop_waits_for_nothing(world: Any, slow: Slow) -> None:
    slow.deployer.delay = 6
    world.deployment.deploy_model("delays", "2.0.0", "production", wait=False)
    world.deployment.advance()
    assert (slow.statuses(), world.clock.monotonic()) == ([S.LIVE, S.PROMOTING], 0.0)
    while slow.statuses()[-1] is S.PROMOTING:
        world.deployment.advance()
    assert slow.statuses() == [S.DRAINING, S.LIVE]


def test_a_canary_begins_when_its_share_holds(world: Any, slow: Slow, plan: Any) -> None:
    canary = world.deployment.start_canary("delays", "2.0.0", "production", canary=plan)

    assert (canary.status, canary.confirmed, canary.weight) == (S.CANARY, True, 0.1)
    assert canary.rollout is not None
    assert canary.rollout.step_started == world.clock.now() > canary.rollout.started
    assert canary.rollout.weights == {2: 0.1}


def test_routes_that_fail_to_hold_take_the_deployment_back_with_the_reason(world: Any, slow: Slow) -> None:
    slow.deployer.fault = "no instance of ml.m5.large is left"
    with pytest.raises(DeploymentError) as raised:
        world.deployment.deploy_model("delays", "2.0.0", "production")

    assert raised.value.message == "deployment production/delays/2: its routes failed to hold: no instance of ml.m5.large is left"
    assert slow.statuses() == [S.LIVE, S.ROLLED_BACK]
    assert world.ask(5) == ["1.0.0"] * 5
    assert world.deployment.deploy_model("delays", "3.0.0", "production").status is S.LIVE


def test_a_step_of_a_canary_that_fails_to_hold_ends_it(world: Any, slow: Slow, plan: Any) -> None:
    slow.deployer.delay = 0
    canary = world.deployment.start_canary("delays", "2.0.0", "production", canary=plan)
    world.ask(1000)
    world.clock.advance(61)
    slow.deployer.delay, slow.deployer.fault = 3, "an alarm rang"
    for _ in range(4):
        world.deployment.advance()

    ended = world.deployment.get(canary.deployment_id)
    assert (ended.status, ended.reason) == (S.ROLLED_BACK, "its routes failed to hold: an alarm rang")


def test_a_rollback_while_routes_are_applied_wins(world: Any, slow: Slow) -> None:
    slow.deployer.delay = 8
    world.deployment.deploy_model("delays", "2.0.0", "production", wait=False)
    world.deployment.advance()
    assert slow.deployer.observe(KEY).operation == "applying"
    done = world.deployment.rollback_deployment("production/delays/2")

    assert (done.status, slow.deployer.observe(KEY).operation) == (S.ROLLED_BACK, "applied")
    assert slow.statuses() == [S.LIVE, S.ROLLED_BACK]
    assert world.ask(5) == ["1.0.0"] * 5


def test_a_rollback_that_fails_to_hold_is_told_and_set_again(world: Any, slow: Slow) -> None:
    world.deployment.deploy_model("delays", "2.0.0", "production")
    slow.deployer.fault = "the service is down"
    with pytest.raises(
        DeploymentError, match=r"delays/2: rolled back, but the endpoint does not follow: the service is down - the control"
    ):
        world.deployment.rollback_deployment("production/delays/2")
    assert world.ask(5) == ["2.0.0"] * 5

    for _ in range(5):
        world.deployment.advance()
    assert world.ask(5) == ["1.0.0"] * 5
    assert slow.statuses() == [S.LIVE, S.ROLLED_BACK]


def test_a_withdrawal_is_done_when_nothing_answers(world: Any, slow: Slow) -> None:
    world.deployment.withdraw("delays", "production")
    assert (slow.deployer.observe(KEY).operation, slow.deployer.observe(KEY).loaded) == ("applied", ())


def test_a_rollback_that_does_not_hold_in_time_is_told_and_goes_on(world: Any, slow: Slow) -> None:
    world.deployment.deploy_model("delays", "2.0.0", "production")
    slow.deployer.delay = 60
    with pytest.raises(DeploymentError, match=r"delays/2: rolled back, but the endpoint is still changing after 20 s - the control loop"):
        world.deployment.rollback_deployment("production/delays/2", timeout=20.0)
    assert slow.statuses() == [S.LIVE, S.ROLLED_BACK]

    for _ in range(60):
        world.deployment.advance()
    assert (world.ask(5), slow.deployer.observe(KEY).loaded) == (["1.0.0"] * 5, ("1.0.0",))


def test_a_withdrawal_that_does_not_hold_in_time_is_told_and_goes_on(world: Any, slow: Slow) -> None:
    slow.deployer.delay = 60
    with pytest.raises(DeploymentError, match=r"delays/1: withdrawn, but the endpoint is still changing after 20 s - the control loop"):
        world.deployment.withdraw("delays", "production", timeout=20.0)

    for _ in range(60):
        world.deployment.advance()
    assert (slow.statuses(), slow.deployer.observe(KEY).loaded) == ([S.RETIRED], ())


def test_routes_are_not_set_over_a_change_that_is_under_way(world: Any, slow: Slow) -> None:
    """Such as the release of instances: a pass of the control loop comes back later."""
    slow.deployer.delay = 30
    slow.deployer.set_routes(KEY, slow.deployer.observe(KEY).routes, None, 1)
    world.deployment.deploy_model("delays", "2.0.0", "production", wait=False)
    world.deployment.advance()
    seen = slow.deployer.observe(KEY)
    assert (seen.revision, seen.operation, slow.statuses()) == (2, "applying", [S.LIVE, S.PROMOTING])

    for _ in range(40):
        world.deployment.advance()
    assert (slow.statuses(), slow.deployer.observe(KEY).revision) == ([S.DRAINING, S.LIVE], 3)
