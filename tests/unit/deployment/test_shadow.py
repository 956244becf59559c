"""A version in shadow: copies of requests, whose answers go nowhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from attrs import evolve

from mlops_core.deployment.desk import Desk
from mlops_core.deployment.endpoint import planned
from mlops_core.deployment.shadow import is_as_planned, open_shadow, shadow_of, told_to_go_on
from mlops_core.exceptions import CapabilityError, DeploymentError
from mlops_core.records import DeploymentStatus as S
from mlops_core.records import EndpointKey, Observed
from mlops_core.testing.memory_deployer import MemoryDeployer

if TYPE_CHECKING:
    from mlops_core.config.settings import CanarySettings
    from mlops_core.records import Deployment

KEY = EndpointKey("acme", "production", "delays")
World = Any  # the fixture's class lives in the conftest


def shadow(world: World, **options: Any) -> Deployment:
    world.deployment.deploy_model("delays", "1.0.0", "production")
    return world.deployment.start_shadow("delays", "2.0.0", "production", **options)  # type: ignore[no-any-return]


def shadow_now(world: World) -> str | None:
    return world.deployment.status("delays", "production").shadow  # type: ignore[no-any-return]


def test_it_gets_copies_and_answers_nobody(world: World) -> None:
    begun = shadow(world)
    assert set(world.ask(50)) == {"1.0.0"}
    world.deployer().settle()

    assert (begun.status, begun.weight, begun.confirmed, shadow_now(world)) == (S.SHADOW, 0.0, True, "2.0.0")
    assert world.deployment.status("delays", "production").live.weight == 1.0
    seen = world.deployment.compare(begun.deployment_id)
    assert [(one.version, one.role, one.weight, one.requests, one.errors) for one in seen.figures] == [
        ("1.0.0", "live", 1.0, 50, 0),
        ("2.0.0", "shadow", 0.0, 50, 0),
    ]
    assert (seen.kind, seen.started, seen.ended) == ("shadow", world.clock.now(), None)
    assert world.deployment.advance() == ()


def test_its_failures_are_its_own(world: World) -> None:
    world.register("4.0.0", "predict")
    world.deployment.deploy_model("delays", "1.0.0", "production")
    world.deployment.start_shadow("delays", "4.0.0", "production")
    world.ask(10)
    world.deployer().settle()

    live, new = world.deployment.compare(model_id="delays", environment="production").figures
    assert (live.errors, new.errors, new.error_rate, new.dropped) == (0, 10, 1.0, 0)


def test_what_it_has_no_time_for_is_dropped_and_counted(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    begun = shadow(world)
    monkeypatch.setattr(world.deployer(), "_copying", object())  # nobody takes a copy
    world.ask(130)

    _, new = world.deployment.compare(begun.deployment_id).figures
    assert (new.requests, new.dropped) == (0, 30)


@pytest.mark.parametrize("how", ["canary", "deploy", "placed"])
def test_the_same_version_ordered_again_goes_on_as_the_same_deployment(world: World, plan: CanarySettings, how: str) -> None:
    begun = shadow(world)
    for _ in range(2):  # the key makes the second one the first
        match how:
            case "canary":
                world.deployment.start_canary("delays", "2.0.0", "production", canary=plan, key="go")
            case "deploy":
                world.deployment.deploy_model("delays", "2.0.0", "production", key="go")
            case "placed":
                world.deployment.deploy_model("delays", "2.0.0", "production", wait=False, key="go")
                assert world.deployment.get(begun.deployment_id).status in {S.SHADOW, S.LIVE}
                world.deployment.advance()

    done = world.deployment.get(begun.deployment_id)
    assert (done.status, done.weight) == ((S.CANARY, 0.1) if how == "canary" else (S.LIVE, 1.0))
    assert shadow_now(world) is None
    assert [one.number for one in world.deployment.history("delays", "production")] == [1, 2]
    assert world.deployment.compare(begun.deployment_id).kind == ("canary" if how == "canary" else "shadow")


def test_a_canary_is_not_judged_by_what_it_did_in_shadow(world: World, plan: CanarySettings) -> None:
    world.register("4.0.0", "predict")
    world.deployment.deploy_model("delays", "1.0.0", "production")
    world.deployment.start_shadow("delays", "4.0.0", "production")
    world.ask(50)
    world.deployer().settle()
    canary = world.deployment.start_canary("delays", "4.0.0", "production", canary=plan)

    assert world.deployment.compare(canary.deployment_id).figures[1].requests == 0
    assert world.deployment.advance() == ()


def test_another_version_waits_for_its_end(world: World, plan: CanarySettings) -> None:
    shadow(world)
    for call in (world.deployment.deploy_model, world.deployment.start_shadow, world.deployment.start_canary):
        with pytest.raises(DeploymentError, match=r"deployment production/delays/2: is shadow, and an endpoint changes by one"):
            call("delays", "3.0.0", "production")
    again = world.deployment.start_shadow("delays", "2.0.0", "production")
    assert (again.number, again.status, shadow_now(world)) == (2, S.SHADOW, "2.0.0")


def test_it_is_no_canary_that_could_be_held_or_resumed(world: World) -> None:
    begun = shadow(world)
    with pytest.raises(DeploymentError, match="is shadow and not held - there is nothing to resume"):
        world.deployment.resume(begun.deployment_id)
    with pytest.raises(DeploymentError, match="cannot go from shadow to paused"):
        world.deployment.pause(begun.deployment_id)
    assert world.deployment.get(begun.deployment_id) == begun


@pytest.mark.parametrize("offline", [False, True])
def test_a_rollback_takes_it_off_also_while_the_registry_is_down(world: World, offline: bool, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: FBT001
    begun = shadow(world)
    with monkeypatch.context() as outage:
        if offline:
            outage.setattr(type(world.registry), "read", lambda *_, **__: (_ for _ in ()).throw(OSError("no route to host")))
        done = world.deployment.rollback_deployment(begun.deployment_id, reason="too slow")
    world.deployment.advance()

    assert done.status is S.ROLLED_BACK
    assert (shadow_now(world), world.deployment.status("delays", "production").loaded) == (None, ("1.0.0",))
    found = world.deployment.get(begun.deployment_id)
    assert found.status is S.ROLLED_BACK
    assert world.deployment.status("delays", "production").live.number == 1


def test_rolling_back_the_live_one_ends_it(world: World) -> None:
    world.deployment.deploy_model("delays", "3.0.0", "production")
    begun = shadow(world)
    world.deployment.rollback_deployment("production/delays/2")

    assert set(world.ask(5)) == {"3.0.0"}
    assert shadow_now(world) is None
    assert world.deployment.get(begun.deployment_id).reason == "rolled back by hand; it stood on deployment 2"


def test_a_shadow_that_the_deployer_lost_is_restored(world: World) -> None:
    begun = shadow(world)
    world.deployers["production"] = MemoryDeployer()
    world.deployment = type(world.deployment)(stack=world.compose("acme"))
    world.deployment.advance()
    world.ask(5)
    world.deployer().settle()

    assert shadow_now(world) == "2.0.0"
    assert [one.requests for one in world.deployment.compare(begun.deployment_id).figures] == [5, 5]


def test_a_shadow_written_down_is_carried_out_by_the_next_pass(world: World) -> None:
    placed = shadow(world, wait=False)
    assert (placed.status, shadow_now(world)) == (S.PENDING, None)
    assert [one.status for one in world.deployment.advance()] == [S.SHADOW]
    assert shadow_now(world) == "2.0.0"


class Plain(MemoryDeployer):
    """Knows no shadows."""

    contract = 1
    capabilities = frozenset({"in-process", "counters"})


def test_what_cannot_be_a_shadow_is_refused_and_changes_nothing(world: World) -> None:
    with pytest.raises(DeploymentError, match="shadow: nothing is live in production whose requests it could be given"):
        world.deployment.start_shadow("delays", "2.0.0", "production")
    world.deployment.deploy_model("delays", "1.0.0", "production")
    with pytest.raises(DeploymentError, match=r"shadow: version 1\.0\.0 is live already in production"):
        world.deployment.start_shadow("delays", "1.0.0", "production", wait=False)
    world.deployers["production"] = Plain()
    world.deployment = type(world.deployment)(stack=world.compose("acme"))
    with pytest.raises(CapabilityError, match=r"environments\.production: Plain has no shadows - start a canary instead"):
        world.deployment.start_shadow("delays", "2.0.0", "production")
    assert [one.number for one in world.deployment.history("delays", "production")] == [1]


def test_a_gate_may_keep_it_from_copies(world: World) -> None:
    world.deployment.deploy_model("delays", "1.0.0", "production")
    world.veto("not on a Friday")
    with pytest.raises(DeploymentError, match="vetoed by a gate: not on a Friday"):
        world.deployment.start_shadow("delays", "2.0.0", "production")

    assert world.deployment.get("production/delays/2").status is S.FAILED
    assert shadow_now(world) is None


def test_a_gate_may_keep_it_from_requests(world: World) -> None:
    begun = shadow(world)
    world.veto("not on a Friday")
    world.deployment.deploy_model("delays", "2.0.0", "production")

    found = world.deployment.get(begun.deployment_id)
    assert (found.status, found.reason) == (S.ROLLED_BACK, "vetoed by a gate: not on a Friday")
    assert (shadow_now(world), set(world.ask(5))) == (None, {"1.0.0"})


class Crashing(MemoryDeployer):
    """A deployer whose serving processes die under some revisions."""

    contract = 1
    crashes: ClassVar[dict[str, int]] = {}

    def observe(self, endpoint: EndpointKey, *, since: int | None = None) -> Observed:
        return evolve(super().observe(endpoint, since=since), detail={"crashes": dict(self.crashes)})


def test_one_that_kills_its_serving_process_is_taken_off(world: World) -> None:
    deployer = world.deployers["production"] = Crashing()
    begun = shadow(world)
    deployer.crashes = {"1": 4}  # type: ignore[misc]  # this one's own
    assert world.deployment.advance() == ()
    deployer.crashes = {"1": 4, "2": 1}  # type: ignore[misc]  # this one's own
    world.deployment.advance()

    found = world.deployment.get(begun.deployment_id)
    assert (found.status, shadow_now(world)) == (S.ROLLED_BACK, None)
    assert found.reason == "1 serving process ended unexpectedly while it was given copies of the requests"


def test_the_journal_alone_tells_whose_the_copies_are(world: World) -> None:
    begun = shadow(world)
    state, now = Desk(world.stack, KEY).ledger.read(), world.clock.now()
    told = told_to_go_on(state, begun, now, reason="enough seen")

    assert shadow_of(state) == shadow_of(told) == "2.0.0"
    assert open_shadow(state, {"2.0.0": 1.0}) == begun
    assert open_shadow(state, {"3.0.0": 1.0}) is None
    assert begun.shadow is not None
    assert (told.get(2).shadow, told.get(2).reason) == (evolve(begun.shadow, ended=now), "enough seen")
    assert told_to_go_on(told, told.get(2), now) == told
    seen = Observed(routes=planned(state), shadow="2.0.0")
    assert (is_as_planned(state, seen), is_as_planned(state, evolve(seen, shadow=None))) == (True, False)
