"""Deployments from the outside, over backends in memory."""

from __future__ import annotations

import contextlib
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pytest
from attrs import evolve

from mlops_core.deployment import ModelDeployment
from mlops_core.deployment.endpoint import move
from mlops_core.exceptions import DeploymentError
from mlops_core.records import DeploymentStatus as S
from mlops_core.records import EndpointKey, HealthStatus, NewEntry, Observed, Segment, SeriesKey, Variant
from mlops_core.testing.memory_deployer import MemoryDeployer

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlops_core.config.settings import CanarySettings

World = Any  # the fixture's class lives in the conftest, which is no module to import from

MINUTE = timedelta(minutes=1)


def statuses(world: World) -> list[tuple[int, str]]:
    return [(one.number, str(one.status)) for one in world.deployment.history("delays", "production")]


# --- deploying


def test_the_specification_s_example(world: World) -> None:
    info = world.deployment.deploy_model(model_id="delays", version="1.0.0", environment="production")

    assert info["deployment_id"] == info.deployment_id == "production/delays/1"
    assert info["status"] == "live"
    assert world.ask() == ["1.0.0"]
    world.deployment.rollback_deployment(info["deployment_id"])
    with pytest.raises(DeploymentError, match="nothing is routed here"):
        world.ask()


def test_a_deployment_walks_through_its_states(world: World) -> None:
    world.deployment.deploy_model("delays", "1.0.0", "production")

    assert [event.state for event in world.events] == ["pending", "loading", "warming", "ready", "live"]
    assert world.events[-1].routes == (Variant("1-1.0.0", "1.0.0", 1.0),)
    assert {event.deployment_id for event in world.events} == {"production/delays/1"}


def test_the_next_version_takes_over_and_the_last_stays_warm_for_its_window(world: World) -> None:
    world.deployment.deploy_model("delays", "1.0.0", "production")
    world.deployment.deploy_model("delays", "2.0.0", "prod")

    assert world.ask(3) == ["2.0.0"] * 3
    assert statuses(world) == [(1, "draining"), (2, "live")]
    world.clock.advance(3599)
    assert world.deployment.advance() == ()
    assert world.deployment.status("delays", "production").loaded == ("1.0.0", "2.0.0")
    world.clock.advance(1)
    assert [(one.number, one.status) for one in world.deployment.advance()] == [(1, S.RETIRED)]
    assert world.deployment.status("delays", "production").loaded == ("2.0.0",)
    assert world.deployment.advance() == ()


def test_what_is_kept_for_a_rollback_is_told_until_when(world: World) -> None:
    world.deployment.deploy_model("delays", "1.0.0", "production")
    world.deployment.deploy_model("delays", "2.0.0", "production")
    seen = world.deployment.status("delays", "production")

    assert [(one.version, one.retire_at) for one in seen.kept] == [("1.0.0", world.clock.now() + timedelta(hours=1))]
    world.clock.advance(3600)
    world.deployment.advance()
    assert (world.deployment.status("delays", "production").kept, seen.loaded) == ((), ("1.0.0", "2.0.0"))


def test_a_window_of_nothing_releases_at_once(world: World) -> None:
    environments = {name: evolve(one, rollback_window=timedelta(0)) for name, one in world.settings.environments.items()}
    world.settings = evolve(world.settings, environments=environments)
    deployment = ModelDeployment(stack=world.compose("acme"))
    deployment.deploy_model("delays", "1.0.0", "production")
    deployment.deploy_model("delays", "2.0.0", "production")
    seen = deployment.status("delays", "production")

    assert (seen.kept, seen.loaded) == ((), ("2.0.0",))
    assert deployment.get("production/delays/1").status is S.RETIRED


def test_deploying_what_is_live_is_answered_as_it_is(world: World) -> None:
    first = world.deployment.deploy_model("delays", "1.0.0", "production")
    assert world.deployment.deploy_model("delays", "1.0.0", "production") == first


def test_what_is_live_needs_no_second_deployment_to_be_written_down(world: World) -> None:
    first = world.deployment.deploy_model("delays", "1.0.0", "production")
    assert world.deployment.deploy_model("delays", "1.0.0", "production", wait=False) == first


@pytest.mark.parametrize("wait", [True, False])
def test_a_key_that_found_its_version_live_is_remembered(world: World, wait: bool) -> None:  # noqa: FBT001
    first = world.deployment.deploy_model("delays", "1.0.0", "production")
    world.deployment.deploy_model("delays", "1.0.0", "production", key="run-7/deployment", wait=wait)
    world.deployment.deploy_model("delays", "2.0.0", "production")

    again = world.deployment.deploy_model("delays", "1.0.0", "production", key="run-7/deployment")
    assert (again.number, again.status) == (first.number, S.DRAINING)
    assert world.ask() == ["2.0.0"]


class Stoppable(MemoryDeployer):
    """A server that a person can shut down, and that comes back at another address."""

    contract = 1
    stopped = False
    starts = 0

    def load(self, *args: Any) -> None:
        super().load(*args)
        self.starts += self.stopped
        self.stopped = False

    def shutdown(self) -> None:
        super().shutdown()
        self.stopped = True

    def observe(self, endpoint: EndpointKey, *, since: int | None = None) -> Observed:
        seen = super().observe(endpoint, since=since)
        return evolve(seen, url=f"http://host:{8000 + self.starts}", detail={"server": "stopped" if self.stopped else "running"})


@pytest.mark.parametrize("key", [None, "run-7/deployment"])
def test_deploying_what_is_live_starts_a_server_that_was_shut_down(world: World, key: str | None) -> None:
    world.deployers["production"] = Stoppable()
    first = world.deployment.deploy_model("delays", "1.0.0", "production", key=key)
    world.deployment.shutdown("production")
    assert world.deployment.advance() == ()
    again = world.deployment.deploy_model("delays", "1.0.0", "production", key=key)

    assert (again.number, again.status, again.url) == (first.number, S.LIVE, "http://host:8001")
    seen = world.deployment.status("delays", "production")
    assert (seen.loaded, seen.detail["server"]) == (("1.0.0",), "running")


def test_a_repeated_key_deploys_nothing_twice(world: World) -> None:
    first = world.deployment.deploy_model("delays", "1.0.0", "production", key="run-7/deployment")
    world.deployment.deploy_model("delays", "2.0.0", "production", key="run-8/deployment")

    again = world.deployment.deploy_model("delays", "1.0.0", "production", key="run-7/deployment")
    assert again.number == first.number
    assert world.ask() == ["2.0.0"]


def test_a_key_that_failed_may_be_tried_again(world: World) -> None:
    world.register("4.0.0", fault="load")
    for number in (1, 2):
        with pytest.raises(DeploymentError, match=f"deployment production/delays/{number}: .*does not load"):
            world.deployment.deploy_model("delays", "4.0.0", "production", key="run-7/deployment")
    assert world.deployment.deploy_model("delays", "1.0.0", "production", key="run-7/deployment").number == 3


def test_an_alias_names_a_version(world: World) -> None:
    entry = NewEntry(world.clock.now(), "set", state={"version": "2.0.0"})
    world.registry.append("acme", "aliases/delays/champion", 0, entry)

    assert world.deployment.deploy_model("delays", "@champion", "production").version == "2.0.0"


def test_what_is_only_written_down_is_carried_out_by_the_next_pass(world: World) -> None:
    waiting = world.deployment.deploy_model("delays", "1.0.0", "production", wait=False)

    assert waiting.status is S.PENDING
    assert world.deployment.status("delays", "production").open == waiting
    assert [one.status for one in world.deployment.advance()] == [S.LIVE]
    assert world.ask() == ["1.0.0"]


@pytest.mark.parametrize(("fault", "said"), [("load", "does not load: artifact delays: does not match its sha256"), ("predict", "")])
def test_a_bad_version_harms_nobody(world: World, fault: str, said: str) -> None:
    world.deployment.deploy_model("delays", "1.0.0", "production")
    world.register("4.0.0", fault=fault)
    if fault == "load":
        with pytest.raises(DeploymentError) as raised:
            world.deployment.deploy_model("delays", "4.0.0", "production")
        assert said in raised.value.message
        assert "\n" not in raised.value.message
        assert statuses(world) == [(1, "live"), (2, "failed")]
    assert world.deployment.status("delays", "production").loaded == ("1.0.0",)
    assert world.ask(5) == ["1.0.0"] * 5


def test_an_unhealthy_version_is_not_routed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    class Sickly(MemoryDeployer):
        def health(self, endpoint: Any, version: str) -> Any:
            found = super().health(endpoint, version)
            return evolve(found, status=HealthStatus.UNHEALTHY, detail="it fails on a made-up row") if version == "2.0.0" else found

    world.deployers["production"] = Sickly()
    world.deployment.deploy_model("delays", "1.0.0", "production")
    with pytest.raises(DeploymentError, match=r"version 2\.0\.0 is unhealthy: it fails on a made-up row"):
        world.deployment.deploy_model("delays", "2.0.0", "production")
    assert world.ask() == ["1.0.0"]
    assert world.deployment.status("delays", "production").loaded == ("1.0.0",)


def test_a_gate_is_asked_before_traffic_moves(world: World) -> None:
    world.deployment.deploy_model("delays", "1.0.0", "production")
    world.veto("the accuracy was not signed off")
    with pytest.raises(DeploymentError, match="vetoed by a gate: the accuracy was not signed off"):
        world.deployment.deploy_model("delays", "2.0.0", "production")

    assert world.ask() == ["1.0.0"]
    assert statuses(world) == [(1, "live"), (2, "failed")]


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda d: d.deploy_model("delays", "1.0.0", "nowhere"), "environments: no environment 'nowhere' (there are: staging, production)"),
        (lambda d: d.deploy_model("nothing", "1.0.0", "production"), "model nothing: no version '1.0.0' is registered"),
        (lambda d: d.deploy_model("delays", "9.9.9", "production"), "model delays: no version '9.9.9' is registered"),
        (lambda d: d.deploy_model("delays", "@none", "production"), "model delays: no version '@none' is registered"),
        (lambda d: d.deploy_model("delays", 1.0, "production"), "version: expected text, got float"),
        (lambda d: d.deploy_model("../delays", "1.0.0", "production"), "model: '../delays' is not a name"),
        (lambda d: d.deploy_model("delays", "1.0.0", None), "environment: expected text, got NoneType"),
        (lambda d: d.deploy_model("delays", "1.0.0", "production", timeout=0), "timeout: 0 is no number of seconds above zero"),
        (lambda d: d.deploy_model("delays", "1.0.0", "production", key=""), "key: expected text of 1 to 400 characters"),
        (lambda d: d.set_traffic("delays", "production", {"1.0.0": 0.5}), "weights: they sum to 0.5, not 1"),
        (lambda d: d.set_traffic("delays", "production", {"1.0.0": 0.5, "9.9.9": 0.5}), "model delays: no version '9.9.9'"),
        (lambda d: d.start_canary("delays", "1.0.0", "production", canary={}), "canary: expected CanarySettings, got dict"),
        (lambda d: d.promote("delays", "staging", "production"), "promote: nothing is live in staging"),
        (lambda d: d.rollback_deployment("production/delays"), "deployment 'production/delays': this is no deployment id"),
        (lambda d: d.rollback_deployment(model_id="delays", environment="production"), "endpoint production/delays: nothing is live"),
        (lambda d: d.rollback_deployment("production/delays/7"), "deployment production/delays/7: there is none of that number"),
        (lambda d: d.withdraw("delays", "production"), "endpoint production/delays: nothing is live here"),
        (lambda d: d.pause("production/delays/1"), "deployment 1: there is none of that number"),
        (lambda d: d.get("production/delays/1"), "deployment production/delays/1: there is none of that number"),
        (lambda d: d.predict("delays", "production", {"x": [1.0]}), "endpoint: nothing is routed here"),
        (lambda d: d.predict("delays", "production", [1.0]), "columns: expected a mapping of names to values, got list"),
        (lambda d: d.advance(now="soon"), "now: expected a datetime, got str"),
    ],
)
def test_what_is_refused_is_one_line_and_changes_nothing(world: World, call: Callable[[ModelDeployment], Any], said: str) -> None:
    with pytest.raises(DeploymentError) as raised:
        call(world.deployment)

    assert raised.value.message.startswith(said)
    assert "\n" not in raised.value.message
    assert world.registry.journals("acme", "deployments/").items == ()
    assert world.deployer().observe(world.deployment._desk("delays", "production", 1.0).endpoint).revision == 0  # noqa: SLF001  the key


def test_tenants_are_apart(world: World) -> None:
    world.deployment.deploy_model("delays", "1.0.0", "production")
    other = ModelDeployment("globex", stack=world.stack)

    assert other.history("delays", "production") == ()
    assert other.list() == ()
    for call in (
        lambda: other.deploy_model("delays", "1.0.0", "production"),
        lambda: other.rollback_deployment("production/delays/1"),
        lambda: other.predict("delays", "production", {"x": [1.0]}),
    ):
        with pytest.raises(DeploymentError):
            call()
    assert world.ask() == ["1.0.0"]


# --- sharing traffic


def test_an_ab_test_is_one_deployment(world: World) -> None:
    world.deployment.deploy_model("delays", "1.0.0", "production")
    test = world.deployment.set_traffic("delays", "production", {"1.0.0": 0.9, "2.0.0": 0.1})

    assert test.version == "1.0.0"
    assert [(one.version, one.weight) for one in test.variants] == [("1.0.0", 0.9), ("2.0.0", 0.1)]
    assert set(world.ask(200)) == {"1.0.0", "2.0.0"}
    world.deployment.rollback_deployment(test.deployment_id)
    assert set(world.ask(50)) == {"1.0.0"}
    assert world.deployment.status("delays", "production").live.number == 1


def test_an_alias_and_its_own_version_are_one_share_too_many(world: World) -> None:
    world.registry.append("acme", "aliases/delays/champion", 0, NewEntry(world.clock.now(), "set", state={"version": "1.0.0"}))
    with pytest.raises(DeploymentError) as raised:
        world.deployment.set_traffic("delays", "production", {"@champion": 0.5, "1.0.0": 0.5})

    assert raised.value.message == "weights: @champion and 1.0.0 are both version 1.0.0 - give each version once"
    assert statuses(world) == []


def test_a_unit_meets_the_same_variant(world: World) -> None:
    world.deployment.set_traffic("delays", "production", {"1.0.0": 0.5, "2.0.0": 0.5})
    answers = {
        unit: {world.deployment.predict("delays", "production", {"x": np.ones(1)}, unit=unit).version for _ in range(5)}
        for unit in map(str, range(20))
    }

    assert {len(versions) for versions in answers.values()} == {1}
    assert set.union(*answers.values()) == {"1.0.0", "2.0.0"}


def test_promoting_deploys_what_is_live_elsewhere(world: World) -> None:
    world.deployment.deploy_model("delays", "2.0.0", "staging")
    done = world.deployment.promote("delays", "staging", "production")

    assert (done.version, done.environment, done.reason) == ("2.0.0", "production", "promoted from staging/delays/1")
    assert world.ask() == ["2.0.0"]


def test_an_ab_test_is_not_promoted_as_it_is(world: World) -> None:
    world.deployment.set_traffic("delays", "staging", {"1.0.0": 0.5, "2.0.0": 0.5})
    with pytest.raises(DeploymentError, match="promote: several versions are live in staging"):
        world.deployment.promote("delays", "staging", "production")


# --- canaries


def canary(world: World, plan: CanarySettings, **options: Any) -> Any:
    world.deployment.deploy_model("delays", "1.0.0", "production")
    return world.deployment.start_canary("delays", "2.0.0", "production", canary=plan, **options)


def test_a_healthy_canary_goes_up_by_steps_and_is_promoted(world: World, plan: CanarySettings) -> None:
    begun = canary(world, plan)
    assert (begun.status, begun.weight) == (S.CANARY, 0.1)
    seen = []
    for _ in range(4):
        world.ask(400)
        world.clock.advance(60)
        seen += [(one.status, one.weight) for one in world.deployment.advance() if one.number == 2]
        assert world.deployment.advance() == ()

    assert seen == [(S.CANARY, 0.5), (S.LIVE, 1.0)]
    assert set(world.ask(50)) == {"2.0.0"}
    done = world.deployment.get("production/delays/2")
    assert done.rollout.verdict == "promote"
    assert done.rollout.metrics["error_rate"] == 0.0
    assert done.rollout.metrics["evidence.within"] > 3
    assert done.rollout.weights == {2: 0.1, 3: 0.5}


def test_a_canary_without_enough_requests_waits(world: World, plan: CanarySettings) -> None:
    canary(world, plan)
    world.ask(20)
    world.clock.advance(600)

    assert world.deployment.advance() == ()


def test_a_canary_that_breaks_its_objective_is_rolled_back_at_once(world: World, plan: CanarySettings) -> None:
    canary(world, plan)
    fail(world, 5)

    done = next(one for one in world.deployment.advance() if one.number == 2)
    assert done.status is S.ROLLED_BACK
    assert done.reason == "5 errors in 5 requests break the objective of error_rate 0.1"
    assert set(world.ask(50)) == {"1.0.0"}
    assert world.deployment.status("delays", "production").loaded == ("1.0.0",)


def test_at_its_deadline_a_canary_is_held_and_can_go_on(world: World, plan: CanarySettings) -> None:
    begun = canary(world, plan)
    world.clock.advance(1800)
    held = next(one for one in world.deployment.advance() if one.number == 2)

    assert (held.status, held.weight) == (S.PAUSED, 0.1)
    assert held.reason == "held at the deadline: 0 of 20 requests seen"
    assert world.deployment.advance() == ()
    assert world.deployment.resume(begun.deployment_id).status is S.CANARY
    assert world.deployment.resume(begun.deployment_id).status is S.CANARY
    assert world.deployment.advance() == ()
    world.ask(400)
    world.clock.advance(60)
    assert [one.weight for one in world.deployment.advance() if one.number == 2] == [0.5]


def test_a_paused_canary_keeps_its_share(world: World, plan: CanarySettings) -> None:
    begun = canary(world, plan)
    assert world.deployment.pause(begun.deployment_id, reason="lunch").reason == "lunch"
    assert world.deployment.pause(begun.deployment_id).reason == "lunch"
    world.ask(400)
    world.clock.advance(600)

    assert world.deployment.advance() == ()
    assert [variant.weight for variant in world.deployment.status("delays", "production").routes] == [0.9, 0.1]
    assert world.deployment.rollback_deployment(begun.deployment_id).status is S.ROLLED_BACK


def fail(world: World, count: int) -> None:
    """So many failed requests to the canary."""
    while count:
        try:
            world.ask(x=-1.0)
        except DeploymentError as error:
            count -= "version 2.0.0 failed" in error.message


@pytest.mark.parametrize("slo", [{}, {"success_rate": 0.8}])
def test_without_a_rate_a_canary_keeps_the_maximum_of_monitoring(world: World, plan: CanarySettings, slo: dict[str, float]) -> None:
    begun = canary(world, evolve(plan, slo=slo, min_requests=100))
    assert begun.rollout.slo == (slo or {"error_rate": 0.05})
    fail(world, 2)
    assert world.deployment.advance() == ()
    fail(world, 2)
    done = [one.reason for one in world.deployment.advance() if one.number == 2]

    assert done == ([] if slo else ["4 errors in 4 requests break the objective of error_rate 0.05"])


@pytest.mark.parametrize("how", ["by hand", "at its deadline"])
def test_a_held_canary_that_breaks_its_objective_is_rolled_back(world: World, plan: CanarySettings, how: str) -> None:
    begun = canary(world, plan)
    if how == "by hand":
        world.deployment.pause(begun.deployment_id)
    else:
        world.clock.advance(1800)
        world.deployment.advance()
    assert world.deployment.get(begun.deployment_id).status is S.PAUSED
    world.ask(100)
    world.clock.advance(3600)
    assert world.deployment.advance() == ()
    fail(world, 50)

    assert [one.status for one in world.deployment.advance() if one.number == 2] == [S.ROLLED_BACK]
    assert set(world.ask(50)) == {"1.0.0"}


def test_waiting_follows_a_canary_to_its_end(world: World, plan: CanarySettings) -> None:
    world.deployment.deploy_model("delays", "1.0.0", "production")
    slept = world.clock.sleep

    def busy(seconds: float) -> None:
        world.ask(20)
        slept(seconds)

    world.clock.__class__ = type("BusyClock", (type(world.clock),), {"__slots__": (), "sleep": lambda _, seconds: busy(seconds)})
    done = world.deployment.start_canary("delays", "2.0.0", "production", canary=plan, wait=True)

    assert done.status is S.LIVE
    assert set(world.ask(20)) == {"2.0.0"}


def test_waiting_goes_on_while_the_control_loop_promotes(world: World, plan: CanarySettings) -> None:
    """Between the loop's entry and its change of routes the deployment is neither a canary nor live."""
    desk = world.deployment._desk("delays", "production", 1.0)  # noqa: SLF001  the loop's lease and its entry
    loop = contextlib.ExitStack()
    slept: list[float] = []

    def sleep(_: object, seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 1:
            loop.enter_context(desk.alone(0))
            desk.ledger.change(lambda before: move(before, 2, S.PROMOTING, now=world.clock.now(), weight=1.0, confirmed=False))
        elif len(slept) == 3:
            loop.close()

    world.deployment.deploy_model("delays", "1.0.0", "production")
    world.clock.__class__ = type("LoopClock", (type(world.clock),), {"__slots__": (), "sleep": sleep})
    done = world.deployment.start_canary("delays", "2.0.0", "production", canary=plan, wait=True)

    assert (done.status, len(slept)) == (S.LIVE, 3)


def test_an_endpoint_without_a_live_version_skips_the_canary_and_says_so(world: World, plan: CanarySettings) -> None:
    done = world.deployment.start_canary("delays", "1.0.0", "production", canary=plan)

    assert done.status is S.LIVE
    assert done.reason == "no live version to compare with: the canary was skipped"


def test_a_canary_of_one_step_is_a_deployment(world: World, plan: CanarySettings) -> None:
    assert canary(world, evolve(plan, steps=(1.0,))).status is S.LIVE


def test_a_gate_may_end_a_canary_at_its_next_step(world: World, plan: CanarySettings) -> None:
    canary(world, plan)
    world.ask(400)
    world.clock.advance(60)
    world.veto("drift")
    done = next(one for one in world.deployment.advance() if one.number == 2)

    assert (done.status, done.reason) == (S.ROLLED_BACK, "vetoed by a gate: drift")


def test_one_canary_at_a_time(world: World, plan: CanarySettings) -> None:
    canary(world, plan)
    with pytest.raises(DeploymentError, match="deployment production/delays/2: is canary, and an endpoint changes by one"):
        world.deployment.deploy_model("delays", "3.0.0", "production")
    with pytest.raises(DeploymentError, match="deployment production/delays/2: is canary - roll it back before you withdraw"):
        world.deployment.withdraw("delays", "production")


def test_a_live_version_is_no_canary(world: World, plan: CanarySettings) -> None:
    world.deployment.deploy_model("delays", "1.0.0", "production")
    with pytest.raises(DeploymentError, match=r"canary: version 1\.0\.0 is live already in production"):
        world.deployment.start_canary("delays", "1.0.0", "production", canary=plan)


# --- taking back


def test_a_rollback_returns_to_what_served_before(world: World) -> None:
    for version in ("1.0.0", "2.0.0", "3.0.0"):
        world.deployment.deploy_model("delays", version, "production")
    world.deployment.rollback_deployment("production/delays/3", reason="too slow")
    assert world.ask() == ["2.0.0"]
    world.deployment.rollback_deployment("production/delays/2")
    assert world.ask() == ["1.0.0"]
    world.deployment.rollback_deployment(model_id="delays", environment="production")

    assert statuses(world) == [(1, "rolled_back"), (2, "rolled_back"), (3, "rolled_back")]
    assert world.deployment.get("production/delays/3").reason == "too slow"
    assert world.deployment.status("delays", "production").loaded == ()


def test_a_rollback_twice_is_a_rollback_once(world: World) -> None:
    world.deployment.deploy_model("delays", "1.0.0", "production")
    world.deployment.deploy_model("delays", "2.0.0", "production")
    first = world.deployment.rollback_deployment("production/delays/2")
    again = world.deployment.rollback_deployment("production/delays/2")

    assert again.status is first.status is S.ROLLED_BACK
    assert world.ask() == ["1.0.0"]


def test_a_version_that_was_taken_back_is_not_returned_to(world: World) -> None:
    world.deployment.deploy_model("delays", "1.0.0", "production")
    world.deployment.deploy_model("delays", "2.0.0", "production")
    world.deployment.rollback_deployment("production/delays/2")
    world.deployment.deploy_model("delays", "3.0.0", "production")
    world.deployment.rollback_deployment("production/delays/3")

    assert world.ask() == ["1.0.0"]


def test_after_its_window_going_back_is_a_new_deployment(world: World) -> None:
    world.deployment.deploy_model("delays", "1.0.0", "production")
    world.deployment.deploy_model("delays", "2.0.0", "production")
    world.clock.advance(3600)
    world.deployment.advance()
    done = world.deployment.rollback_deployment("production/delays/2")

    assert done.status is S.ROLLED_BACK
    assert world.ask() == ["1.0.0"]
    assert statuses(world) == [(1, "retired"), (2, "rolled_back"), (3, "live")]
    assert world.deployment.get("production/delays/3").reason == "rollback of production/delays/2 to production/delays/1"


def test_a_rollback_of_a_rollback_after_the_window_leaves_nothing_to_return_to(world: World) -> None:
    world.deployment.deploy_model("delays", "1.0.0", "production")
    world.deployment.deploy_model("delays", "2.0.0", "production")
    world.clock.advance(3600)
    world.deployment.advance()
    world.deployment.rollback_deployment("production/delays/2")
    done = world.deployment.rollback_deployment("production/delays/3")

    assert done.status is S.ROLLED_BACK
    seen = world.deployment.status("delays", "production")
    assert (seen.live, seen.routes, seen.loaded) == (None, (), ())
    assert world.deployment.advance() == ()


def test_a_rollback_of_a_rollback_does_not_return_to_what_is_still_loaded_but_was_taken_back(world: World) -> None:
    world.deployment.set_traffic("delays", "production", {"1.0.0": 0.5, "2.0.0": 0.5})
    world.deployment.deploy_model("delays", "1.0.0", "production")
    world.clock.advance(3600)
    world.deployment.advance()
    world.deployment.rollback_deployment("production/delays/2")
    world.deployment.rollback_deployment("production/delays/3")

    assert world.deployment.status("delays", "production").routes == ()
    assert statuses(world) == [(1, "retired"), (2, "rolled_back"), (3, "rolled_back")]


def test_a_rollback_of_a_rollback_passes_over_what_serves_the_same(world: World) -> None:
    for version in ("3.0.0", "1.0.0", "2.0.0"):
        world.deployment.deploy_model("delays", version, "production")
        world.clock.advance(3600)
        world.deployment.advance()
    world.deployment.rollback_deployment("production/delays/3")
    assert world.ask() == ["1.0.0"]
    world.deployment.rollback_deployment("production/delays/4")

    assert world.ask() == ["3.0.0"]
    assert world.deployment.status("delays", "production").live.number == 5


def test_a_superseded_deployment_has_nothing_to_roll_back(world: World) -> None:
    world.deployment.deploy_model("delays", "1.0.0", "production")
    world.deployment.deploy_model("delays", "2.0.0", "production")
    with pytest.raises(DeploymentError, match="deployment production/delays/1: is draining and takes no requests"):
        world.deployment.rollback_deployment("production/delays/1")
    assert world.ask() == ["2.0.0"]


def test_what_was_only_written_down_is_taken_back_before_it_begins(world: World) -> None:
    world.deployment.deploy_model("delays", "1.0.0", "production")
    waiting = world.deployment.deploy_model("delays", "2.0.0", "production", wait=False)

    assert world.deployment.rollback_deployment(waiting.deployment_id).status is S.ROLLED_BACK
    assert world.deployment.advance() == ()
    assert world.ask() == ["1.0.0"]


def test_rolling_back_the_live_one_ends_the_canary_on_top_of_it(world: World, plan: CanarySettings) -> None:
    world.deployment.deploy_model("delays", "3.0.0", "production")
    world.deployment.deploy_model("delays", "1.0.0", "production")
    world.deployment.start_canary("delays", "2.0.0", "production", canary=plan)
    world.deployment.rollback_deployment("production/delays/2")

    assert set(world.ask(50)) == {"3.0.0"}
    assert statuses(world) == [(1, "live"), (2, "rolled_back"), (3, "rolled_back")]


def test_withdrawing_ends_an_endpoint_and_releases_its_versions(world: World) -> None:
    world.deployment.deploy_model("delays", "1.0.0", "production")
    done = world.deployment.withdraw("delays", "production")

    assert (done.status, done.reason) == (S.RETIRED, "withdrawn by hand")
    assert world.deployment.status("delays", "production").loaded == ()
    assert world.deployment.advance() == ()
    assert world.deployment.deploy_model("delays", "1.0.0", "production").number == 2
    assert world.ask() == ["1.0.0"]


# --- looking


def test_endpoints_are_listed_with_what_is_live(world: World) -> None:
    world.register("1.0.0", model="cancellations")
    world.deployment.deploy_model("delays", "1.0.0", "production")
    world.deployment.deploy_model("delays", "2.0.0", "staging")
    world.deployment.deploy_model("cancellations", "1.0.0", "staging")

    found = [(one.environment, one.model, one.live.version) for one in world.deployment.list()]
    assert found == [("production", "delays", "1.0.0"), ("staging", "cancellations", "1.0.0"), ("staging", "delays", "2.0.0")]
    assert [one.environment for one in world.deployment.list("prod")] == ["production"]


def test_a_stopped_environment_serves_again_when_it_is_asked(world: World) -> None:
    world.deployment.deploy_model("delays", "1.0.0", "production")
    world.deployment.shutdown("production")

    assert world.deployment.status("delays", "production").loaded == ()
    assert world.ask() == ["1.0.0"]


class Away(MemoryDeployer):
    """A deployer whose backend is out of reach."""

    contract = 1

    def observe(self, endpoint: EndpointKey, *, since: int | None = None) -> Observed:
        raise RuntimeError("no credentials")


@pytest.mark.parametrize("how", ["a model that does not load", "a deployer that raises", "an environment that cannot be opened"])
def test_one_endpoint_that_fails_stops_no_other(world: World, caplog: pytest.LogCaptureFixture, how: str) -> None:
    world.register("4.0.0", fault="load")
    world.deployment.deploy_model("delays", "4.0.0", "production", wait=False)
    world.deployment.deploy_model("delays", "1.0.0", "staging", wait=False)
    if how == "a deployer that raises":
        world.deployers["production"] = Away()
    elif how == "an environment that cannot be opened":
        broken = evolve(world.settings.environments["production"], tokens="short")
        stack = evolve(world.stack, settings=evolve(world.settings, environments={**world.settings.environments, "production": broken}))
        world.deployment = ModelDeployment(stack=stack)
    done = [(one.environment, str(one.status)) for one in world.deployment.advance()]

    failed = [("production", "failed")] if how == "a model that does not load" else []
    assert done == [*failed, ("staging", "live")]
    assert ("endpoint production/delays: " in caplog.text) == (not failed)


class Elsewhere(MemoryDeployer):
    """A deployer that sends requests its own way, and for which each look is a call."""

    capabilities = frozenset({"predict", "counters"})
    contract = 1
    looks = 0

    def observe(self, endpoint: EndpointKey, *, since: int | None = None) -> Observed:
        self.looks += 1
        return super().observe(endpoint, since=since)


def test_a_deployer_with_a_way_of_its_own_is_asked_for_predictions_and_not_looked_at(world: World) -> None:
    world.deployers["production"] = elsewhere = Elsewhere()
    world.deployment.deploy_model("delays", "1.0.0", "production")
    elsewhere.looks = 0
    found = world.deployment.predict("delays", "production", {"x": [2.0, 3.0]}, unit="user-1")

    assert (found.outputs, found.version, elsewhere.looks) == ({"double": [4.0, 6.0]}, "1.0.0", 0)
    elsewhere.shutdown()
    with pytest.raises(DeploymentError, match="is not loaded - the server was shut down, deploy again"):
        world.deployment.predict("delays", "production", {"x": [2.0]})


# --- what a canary is judged by


class Uncounting(MemoryDeployer):
    """A deployer whose requests monitoring counts."""

    capabilities = frozenset({"in-process"})
    contract = 1


def test_a_canary_is_judged_by_the_sink_where_the_deployer_does_not_count(world: World, plan: CanarySettings) -> None:
    world.deployers["production"] = Uncounting()
    begun = canary(world, plan)
    world.clock.advance(60)

    def count(revision: int, total: int, errors: int, sequence: int) -> None:
        at = world.clock.now()
        series = SeriesKey("acme", "production", "delays", "2.0.0")
        world.sink.write([Segment(series, at - MINUTE / 2, at, "server", sequence, revision, total, errors)])

    count(begun.rollout.first_revision - 1, 1000, 1000, 1)
    assert world.deployment.advance() == ()
    count(begun.rollout.first_revision, 30, 0, 2)
    assert [one.weight for one in world.deployment.advance() if one.number == 2] == [0.5]
    count(begun.rollout.first_revision, 10, 10, 3)
    assert [one.status for one in world.deployment.advance() if one.number == 2] == [S.ROLLED_BACK]


class Crashing(MemoryDeployer):
    """A deployer whose serving processes die under some revisions."""

    contract = 1
    crashes: ClassVar[dict[str, int]] = {}

    def observe(self, endpoint: EndpointKey, *, since: int | None = None) -> Observed:
        return evolve(super().observe(endpoint, since=since), detail={"crashes": dict(self.crashes)})


@pytest.mark.parametrize("paused", [False, True])
def test_a_canary_that_kills_its_serving_process_is_rolled_back(world: World, plan: CanarySettings, paused: bool) -> None:  # noqa: FBT001
    deployer = world.deployers["production"] = Crashing()
    deployer.crashes = {"1": 4}  # type: ignore[misc]  # this one's own
    begun = canary(world, plan)
    if paused:
        world.deployment.pause(begun.deployment_id)
    world.ask(10)
    assert world.deployment.advance() == ()
    deployer.crashes = {"1": 4, "2": 1}  # type: ignore[misc]  # this one's own
    done = next(one for one in world.deployment.advance() if one.number == 2)

    assert (done.status, done.reason) == (S.ROLLED_BACK, "1 serving process ended unexpectedly while it took requests")
    assert set(world.ask(50)) == {"1.0.0"}


def test_a_canary_that_nobody_could_judge_is_refused(world: World, plan: CanarySettings) -> None:
    world.deployers["production"] = Uncounting()
    world.deployment = ModelDeployment(stack=world.compose("acme", sinks={}))
    with pytest.raises(DeploymentError, match=r"monitoring\.sinks: none can be read"):
        canary(world, plan)
