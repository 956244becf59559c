"""Journal and deployer brought together, wherever a process died."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from attrs import define, evolve, field

from mlops_core.deployment import ModelDeployment
from mlops_core.exceptions import DeploymentError
from mlops_core.records import DeploymentStatus as S
from mlops_core.records import EndpointKey, NewEntry, Observed, Variant
from mlops_core.testing.memory_deployer import MemoryDeployer
from mlops_core.testing.memory_registry import MemoryRegistry

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlops_core.records import Entry

World = Any  # the fixture's class lives in the conftest
KEY = EndpointKey("acme", "production", "delays")


class Death(BaseException):
    """A process that dies: nothing catches it."""


@define(eq=False)
class MortalRegistry(MemoryRegistry):
    """Dies at one of its appends: before it, or after it."""

    contract = 1
    die_at: int = field(default=0, init=False)
    after: bool = field(default=False, init=False)
    appends: int = field(default=0, init=False)

    def append(self, tenant: str, journal: str, expected: int, entry: NewEntry) -> Entry:
        self.appends += 1
        dying = self.appends == self.die_at
        if dying and not self.after:
            raise Death
        added = super().append(tenant, journal, expected, entry)
        if dying:
            raise Death
        return added


@define(eq=False)
class CountingDeployer(MemoryDeployer):
    """Dies after one of its effects, and remembers the routes it was given."""

    contract = 1
    die_at: int = field(default=0, init=False)
    effects: int = field(default=0, init=False)
    given: list[tuple[str, ...]] = field(factory=list, init=False)

    def load(self, *args: Any) -> None:
        super().load(*args)
        self._effect()

    def set_routes(self, endpoint: EndpointKey, variants: tuple[Variant, ...], shadow: str | None, expected_revision: int) -> int:
        revision = super().set_routes(endpoint, variants, shadow, expected_revision)
        self.given.append(tuple(variant.name for variant in variants))
        self._effect()
        return revision

    def unload(self, endpoint: EndpointKey, version: str) -> None:
        super().unload(endpoint, version)
        self._effect()

    def _effect(self) -> None:
        self.effects += 1
        if self.effects == self.die_at:
            raise Death


@pytest.fixture
def mortal(world: World) -> World:
    """The world over backends that can die; version 1.0.0 is live."""
    registry, deployer = MortalRegistry(clock=world.clock), CountingDeployer()
    world.registry, world.deployers["production"] = registry, deployer
    for version in ("1.0.0", "2.0.0", "3.0.0"):
        world.register(version)
    world.deployment = ModelDeployment(stack=world.compose("acme"))
    world.deployment.deploy_model("delays", "1.0.0", "production")
    registry.appends = deployer.effects = 0
    deployer.given.clear()
    return world


def deploy(world: World) -> None:
    world.deployment.deploy_model("delays", "2.0.0", "production", key="run-7/deployment")


def roll_back(world: World) -> None:
    world.deployment.rollback_deployment("production/delays/2")


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("moment", range(1, 7))
def test_a_deployment_that_died_at_any_entry_is_finished_by_its_repetition(mortal: World, moment: int, after: bool) -> None:  # noqa: FBT001
    mortal.registry.die_at, mortal.registry.after = moment, after
    with pytest.raises(Death):
        deploy(mortal)
    deploy(mortal)

    assert mortal.deployer().given == [("2-2.0.0",)], "traffic moved once"
    assert [(one.number, one.status) for one in mortal.deployment.history("delays", "production")] == [(1, S.DRAINING), (2, S.LIVE)]
    assert set(mortal.ask(20)) == {"2.0.0"}


@pytest.mark.parametrize("moment", [1, 2])
def test_a_deployment_that_died_after_any_effect_is_finished_by_the_control_loop(mortal: World, moment: int) -> None:
    mortal.deployer().die_at = moment
    with pytest.raises(Death):
        deploy(mortal)
    mortal.deployment.advance()

    assert mortal.deployer().given == [("2-2.0.0",)]
    assert mortal.deployment.status("delays", "production").live.number == 2
    assert mortal.deployment.advance() == ()


def test_an_interrupted_deployment_gives_way_to_the_next_one(mortal: World) -> None:
    mortal.deployer().die_at = 1
    with pytest.raises(Death):
        deploy(mortal)
    mortal.deployment.deploy_model("delays", "3.0.0", "production")

    assert [(one.number, one.status) for one in mortal.deployment.history("delays", "production")] == [
        (1, S.DRAINING),
        (2, S.DRAINING),
        (3, S.LIVE),
    ]


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_rollback_that_died_at_its_entry_has_moved_the_traffic(mortal: World, after: bool) -> None:  # noqa: FBT001
    deploy(mortal)
    mortal.registry.appends = 0
    mortal.registry.die_at, mortal.registry.after = 1, after
    with pytest.raises(Death):
        roll_back(mortal)

    assert set(mortal.ask(20)) == {"1.0.0"}
    mortal.deployment.advance()
    assert set(mortal.ask(20)) == {"1.0.0"}
    assert [(one.number, one.status) for one in mortal.deployment.history("delays", "production")] == [(1, S.LIVE), (2, S.ROLLED_BACK)]


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("moment", range(1, 4))
def test_a_canary_step_that_died_is_finished(mortal: World, plan: Any, moment: int, after: bool) -> None:  # noqa: FBT001
    mortal.deployment.start_canary("delays", "2.0.0", "production", canary=plan)
    mortal.registry.appends = 0
    mortal.registry.die_at, mortal.registry.after = moment, after
    died = 0
    for _ in range(6):
        mortal.ask(400)
        mortal.clock.advance(60)
        try:
            mortal.deployment.advance()
        except Death:
            died += 1

    assert died == 1
    assert mortal.deployment.status("delays", "production").live.number == 2
    assert [names for names in mortal.deployer().given if names == ("2-2.0.0",)] == [("2-2.0.0",)]


def test_a_canary_that_was_paused_before_it_was_routed_counts_from_its_first_request(mortal: World, plan: Any) -> None:
    mortal.deployer().die_at = 2
    with pytest.raises(Death):
        mortal.deployment.start_canary("delays", "2.0.0", "production", canary=plan)
    mortal.deployment.pause("production/delays/2")
    mortal.deployment.advance()

    held = mortal.deployment.get("production/delays/2")
    assert (held.status, held.confirmed, held.rollout.first_revision) == (S.PAUSED, True, 2)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("moment", [1, 2, 3])
def test_a_withdrawal_that_died_is_finished(mortal: World, moment: int, after: bool) -> None:  # noqa: FBT001
    mortal.registry.die_at, mortal.registry.after = moment, after
    with pytest.raises(Death):
        mortal.deployment.withdraw("delays", "production")
    if (moment, after) == (1, False):
        mortal.deployment.withdraw("delays", "production")
    mortal.deployment.advance()

    seen = mortal.deployment.status("delays", "production")
    assert (seen.live, seen.routes, seen.loaded) == (None, (), ())


def test_traffic_that_was_moved_by_hand_is_a_fact(mortal: World) -> None:
    deploy(mortal)
    mortal.deployer().set_routes(KEY, (Variant("1-1.0.0", "1.0.0", 1.0),), None, 2)
    mortal.deployment.advance()

    assert [(one.number, one.status) for one in mortal.deployment.history("delays", "production")] == [(1, S.LIVE), (2, S.ROLLED_BACK)]
    assert mortal.deployment.get("production/delays/2").reason == "traffic was moved off it while the journal could not be written"
    assert mortal.deployment.status("delays", "production").revision == 3


@pytest.mark.parametrize("act", [lambda d: d.advance(), lambda d: d.predict("delays", "production", {"x": [1.0]})], ids=["loop", "request"])
def test_a_deployer_that_lost_everything_gets_it_back(mortal: World, act: Callable[[ModelDeployment], Any]) -> None:
    deploy(mortal)
    mortal.deployers["production"] = MemoryDeployer()
    act(mortal.deployment)

    assert set(mortal.ask(20)) == {"2.0.0"}
    mortal.deployment.deploy_model("delays", "3.0.0", "production")
    assert set(mortal.ask(20)) == {"3.0.0"}


def test_a_rollback_finds_a_deployer_that_lost_everything(mortal: World) -> None:
    deploy(mortal)
    mortal.deployers["production"] = MemoryDeployer()
    roll_back(mortal)

    assert set(mortal.ask(20)) == {"1.0.0"}


def test_a_canary_over_a_lost_deployer_begins_to_count_anew(mortal: World, plan: Any) -> None:
    mortal.deployment.start_canary("delays", "2.0.0", "production", canary=plan)
    mortal.deployers["production"] = MemoryDeployer()
    for _ in range(4):
        mortal.deployment.advance()
        mortal.ask(400)
        mortal.clock.advance(60)

    assert mortal.deployment.status("delays", "production").live.number == 2


def test_what_belongs_to_nobody_is_released(mortal: World) -> None:
    desk = mortal.deployment._desk("delays", "production", 1.0)  # noqa: SLF001  the ports
    mortal.deployer().load(KEY, desk.version("3.0.0"), desk.ports)
    deploy(mortal)

    assert mortal.deployment.status("delays", "production").loaded == ("1.0.0", "2.0.0")


def test_a_version_that_another_deployment_still_has_is_kept(mortal: World) -> None:
    mortal.deployment.set_traffic("delays", "production", {"1.0.0": 0.5, "2.0.0": 0.5})
    mortal.clock.advance(timedelta(hours=2).total_seconds())
    mortal.deployment.advance()

    assert mortal.deployment.status("delays", "production").loaded == ("1.0.0", "2.0.0")
    assert mortal.deployment.get("production/delays/1").status is S.DRAINING


def test_superseded_deployments_of_one_version_do_not_keep_each_other(world: World) -> None:
    for version in ("1.0.0", "2.0.0", "1.0.0", "3.0.0"):
        world.deployment.deploy_model("delays", version, "production")
    world.clock.advance(3600)
    world.deployment.advance()

    assert world.deployment.status("delays", "production").loaded == ("3.0.0",)
    statuses = [one.status for one in world.deployment.history("delays", "production")]
    assert statuses == [S.RETIRED, S.RETIRED, S.RETIRED, S.LIVE]


def test_what_has_not_left_yet_is_not_over(mortal: World, monkeypatch: pytest.MonkeyPatch) -> None:
    deploy(mortal)
    mortal.clock.advance(3600)
    with monkeypatch.context() as leaving:
        leaving.setattr(CountingDeployer, "unload", lambda *_: None)
        mortal.deployment.advance()
        assert mortal.deployment.get("production/delays/1").status is S.DRAINING
    mortal.deployment.advance()

    assert mortal.deployment.get("production/delays/1").status is S.RETIRED
    assert mortal.deployment.status("delays", "production").loaded == ("2.0.0",)


def test_many_changes_of_weights_leave_a_small_state(world: World) -> None:
    for number in range(40):
        share = 0.5 + number / 100
        world.deployment.set_traffic("delays", "production", {"1.0.0": share, "2.0.0": 1 - share})
        world.clock.advance(7200)
        world.deployment.advance()

    desk = world.deployment._desk("delays", "production", 1.0)  # noqa: SLF001  the journaled state
    assert len(desk.ledger.read().deployments) == 10
    world.deployment.rollback_deployment("production/delays/40")
    assert world.deployment.status("delays", "production").live.number == 39
    world.deployment.rollback_deployment("production/delays/39")
    assert world.deployment.get("production/delays/41").reason == "rollback of production/delays/39 to production/delays/38"


def test_what_a_rollback_could_not_release_the_next_pass_does(mortal: World) -> None:
    deploy(mortal)
    desk = mortal.deployment._desk("delays", "production", 1.0)  # noqa: SLF001  its lease
    with desk.alone(0):
        roll_back(mortal)
    assert mortal.deployment.status("delays", "production").loaded == ("1.0.0", "2.0.0")
    mortal.deployment.advance()

    assert mortal.deployment.status("delays", "production").loaded == ("1.0.0",)


def test_what_a_rollback_could_not_release_goes_while_the_next_canary_is_held(mortal: World, plan: Any) -> None:
    deploy(mortal)
    desk = mortal.deployment._desk("delays", "production", 1.0)  # noqa: SLF001  its lease
    with desk.alone(0):
        roll_back(mortal)
    mortal.deployment.pause(mortal.deployment.start_canary("delays", "3.0.0", "production", canary=plan).deployment_id)
    mortal.deployment.advance()

    assert mortal.deployment.status("delays", "production").loaded == ("1.0.0", "3.0.0")


def test_a_server_that_a_person_stopped_stays_stopped(mortal: World) -> None:
    class Stopped(CountingDeployer):
        def observe(self, endpoint: EndpointKey, *, since: int | None = None) -> Observed:
            return evolve(super().observe(endpoint, since=since), loaded=(), detail={"server": "stopped"})

    deployer = Stopped()
    mortal.deployers["production"] = deployer
    assert mortal.deployment.advance() == ()
    assert deployer.effects == 0


def test_two_at_one_endpoint_wait_for_each_other(mortal: World) -> None:
    desk = mortal.deployment._desk("delays", "production", 1.0)  # noqa: SLF001  its lease
    with desk.alone(0):
        with pytest.raises(DeploymentError, match="endpoint production/delays: another process works on it"):
            mortal.deployment.deploy_model("delays", "2.0.0", "production", timeout=0.5)
        mortal.deployment.deploy_model("delays", "2.0.0", "production", wait=False)
        assert mortal.deployment.advance() == ()
    assert [one.status for one in mortal.deployment.advance() if one.number == 2] == [S.LIVE]
