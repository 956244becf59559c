"""What the calls do at one endpoint, in any order."""

from __future__ import annotations

import functools
import math
import random
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from mlops_core.config.settings import CanarySettings
from mlops_core.deployment.routes import number_of
from mlops_core.deployment.states import EDGES, TERMINAL
from mlops_core.exceptions import DeploymentError, MLOpsError, VersioningError
from mlops_core.records import Deployment, Endpoint, Entry
from mlops_core.records import DeploymentStatus as S
from mlops_core.testing.memory_deployer import MemoryDeployer
from mlops_core.testing.memory_registry import MemoryRegistry

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

VERSIONS = ("1.0.0", "2.0.0", "3.0.0")
PLAN = CanarySettings(
    steps=(0.2, 0.6, 1.0), step_time=timedelta(minutes=1), min_requests=5, deadline=timedelta(minutes=20), slo={"error_rate": 0.2}
)

UNLOADED = frozenset({S.PENDING, S.LOADING})


class Death(BaseException):
    """A process that dies: nothing catches it."""


class Fate:
    """Kills who takes the step that it is told; 0: nobody."""

    def __init__(self) -> None:
        self.left = 0

    def strike_in(self, steps: int) -> None:
        self.left = steps

    def step(self) -> None:
        self.left -= 1
        if self.left == 0:
            raise Death


class MoodyRegistry(MemoryRegistry):
    """A store whose journals can be out of reach, and whose user may die before or after an entry."""

    contract = 1
    down = False
    fate: ClassVar[Fate] = Fate()

    def append(self, *args: Any) -> Entry:
        self._reach()
        self.fate.step()
        added = super().append(*args)
        self.fate.step()
        return added

    def read(self, *args: Any, **options: Any) -> Any:
        self._reach()
        return super().read(*args, **options)

    def _reach(self) -> None:
        if self.down:
            raise VersioningError("registry: out of reach")


class MortalDeployer(MemoryDeployer):
    """Its user may die after an effect, before it is written down."""

    contract = 1
    fate = MoodyRegistry.fate

    def load(self, *args: Any) -> None:
        super().load(*args)
        self.fate.step()

    def set_routes(self, *args: Any) -> int:
        revision = super().set_routes(*args)
        self.fate.step()
        return revision

    def unload(self, *args: Any) -> None:
        super().unload(*args)
        self.fate.step()


class Calls(RuleBasedStateMachine):
    """One endpoint under every call there is, with failing models, lost registries and passing time."""

    make_world: Any = None
    passes = 1

    @initialize()
    def begin(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.world = self.make_world(Path(self.folder.name))
        self.world.registry = MoodyRegistry(clock=self.world.clock)
        self.world.deployers["production"] = MortalDeployer()
        for version in VERSIONS:
            self.world.register(version)
        self.world.register("broken", fault="load")
        self.world.stack = self.world.compose("acme")
        self.world.deployment = type(self.world.deployment)(stack=self.world.stack)
        self.deployment = self.world.deployment
        self.other = type(self.deployment)("globex", stack=self.world.stack)
        self.seen: dict[int, S] = {}

    def teardown(self) -> None:
        self.world.deployer().settle()
        self.folder.cleanup()

    def attempt(self, call: Any) -> Deployment | None:
        """Whatever is refused is refused by the facade's own error."""
        try:
            return call()  # type: ignore[no-any-return]  # the facade's own record
        except DeploymentError as error:
            assert "\n" not in error.message  # noqa: PT017  the message is checked beside the class
            return None

    @rule(version=st.sampled_from([*VERSIONS, "broken"]), wait=st.booleans())
    def deploy(self, version: str, *, wait: bool) -> None:
        self.attempt(lambda: self.deployment.deploy_model("delays", version, "production", wait=wait))

    @rule(version=st.sampled_from([*VERSIONS, "broken"]))
    def canary(self, version: str) -> None:
        self.attempt(lambda: self.deployment.start_canary("delays", version, "production", canary=PLAN))

    @rule(first=st.sampled_from(VERSIONS), then=st.sampled_from(VERSIONS))
    def go_back_twice_after_the_window(self, first: str, then: str) -> None:
        for version in (first, then):
            self.attempt(lambda version=version: self.deployment.deploy_model("delays", version, "production"))
        self.advance(90)
        for _ in range(2):
            self.attempt(lambda: self.deployment.rollback_deployment(model_id="delays", environment="production"))

    @rule(weight=st.sampled_from([0.0, 0.3, 1.0]))
    def share(self, weight: float) -> None:
        self.attempt(lambda: self.deployment.set_traffic("delays", "production", {"1.0.0": 1 - weight, "2.0.0": weight}))

    @rule(version=st.sampled_from([*VERSIONS, "broken"]), wait=st.booleans())
    def shadow(self, version: str, *, wait: bool) -> None:
        self.attempt(lambda: self.deployment.start_shadow("delays", version, "production", wait=wait))

    @rule(minutes=st.sampled_from([1, 60]), then=st.sampled_from(["hold", "best", "1.0.0"]))
    def share_for_a_while(self, minutes: int, then: str) -> None:
        shares, until = {"1.0.0": 0.5, "2.0.0": 0.5}, timedelta(minutes=minutes)
        self.attempt(lambda: self.deployment.set_traffic("delays", "production", shares, until=until, then=then))

    @rule(
        steps=st.integers(1, 12),
        version=st.sampled_from(VERSIONS),
        name=st.sampled_from(["deploy_model", "start_canary", "start_shadow", "rollback_deployment", "withdraw", "advance"]),
    )
    def crash(self, steps: int, version: str, name: str) -> None:
        """A process dies before or after any entry or effect of a call; the next pass of the control loop finishes or mends it."""
        where = {"model_id": "delays", "environment": "production"}
        given = {"rollback_deployment": where, "withdraw": where, "advance": {}}.get(name, {**where, "version": version})
        MoodyRegistry.fate.strike_in(steps)
        try:
            self.attempt(lambda: getattr(self.deployment, name)(**given))
        except Death:
            pass
        finally:
            MoodyRegistry.fate.strike_in(0)
        self.deployment.advance()

    @rule(minutes=st.sampled_from([0, 1, 30, 90]))
    def advance(self, minutes: int) -> None:
        self.world.clock.advance(minutes * 60)
        for _ in range(self.passes):
            self.deployment.advance()
        desk = self.deployment._desk("delays", "production", 1.0)  # noqa: SLF001  the journaled state
        now, seen = self.world.clock.now(), self.deployment.status("delays", "production")
        what_is_past_its_window_is_released(desk.ledger.read().deployments, seen, now)

    @rule(count=st.sampled_from([1, 30]), x=st.sampled_from([1.0, 1.0, -1.0]))
    def ask(self, count: int, x: float) -> None:
        for _ in range(count):
            self.attempt(lambda: self.world.ask(x=x))

    @rule(back=st.integers(0, 3))
    def roll_back(self, back: int) -> None:
        number = max(self.seen, default=1) - back
        self.attempt(lambda: self.deployment.rollback_deployment(f"production/delays/{max(number, 1)}"))

    @rule(pause=st.booleans())
    def hold(self, *, pause: bool) -> None:
        number = max(self.seen, default=1)
        call = self.deployment.pause if pause else self.deployment.resume
        self.attempt(lambda: call(f"production/delays/{number}"))

    @rule()
    def withdraw(self) -> None:
        self.attempt(lambda: self.deployment.withdraw("delays", "production"))

    @precondition(lambda self: self.seen and not self.world.registry.down)
    @rule()
    def roll_back_without_the_registry(self) -> None:
        """The traffic moves; the journal follows."""
        routed = [number_of(one) for one in self.deployment.status("delays", "production").routes]
        number = max(routed, default=0)
        self.world.registry.down = True
        done = self.attempt(lambda: self.deployment.rollback_deployment(f"production/delays/{number}")) if number else None
        self.world.registry.down = False
        if done is not None:
            desk = self.deployment._desk("delays", "production", 1.0)  # noqa: SLF001  the deployer's own view
            assert number not in {number_of(one) for one in desk.deployer.observe(desk.endpoint).routes}
        self.deployment.advance()

    @invariant()
    def the_promises_hold(self) -> None:
        found = self.deployment.history("delays", "production")
        seen = self.deployment.status("delays", "production")
        weights_sum_to_one_and_everything_routed_is_loaded(seen)
        at_most_one_is_live_and_at_most_one_is_on_its_way(found)
        the_journal_and_the_routes_agree(found, seen)
        a_shadow_is_loaded_and_is_the_journals(seen)
        a_rollback_target_stays_loaded_inside_its_window(found, seen, self.world.clock.now())
        for one in found:  # only edges of the table are taken, and terminal states never left
            assert one.status in reachable(self.seen.get(one.number, S.PENDING))
            self.seen[one.number] = one.status
        assert self.other.history("delays", "production") == ()

    @property
    def key(self) -> Any:
        return self.deployment._desk("delays", "production", 1.0).endpoint  # noqa: SLF001  the key


def weights_sum_to_one_and_everything_routed_is_loaded(seen: Endpoint) -> None:
    if seen.routes:
        assert math.isclose(math.fsum(one.weight for one in seen.routes), 1)
    assert {one.version for one in seen.routes} <= set(seen.loaded)


def at_most_one_is_live_and_at_most_one_is_on_its_way(found: Sequence[Deployment]) -> None:
    assert [one.number for one in found] == list(range(1, len(found) + 1))
    assert sum(one.status is S.LIVE for one in found) <= 1
    assert sum(one.status not in TERMINAL | {S.LIVE, S.DRAINING} for one in found) <= 1


def the_journal_and_the_routes_agree(found: Sequence[Deployment], seen: Endpoint) -> None:
    assert {number_of(one) for one in seen.routes} == {one.number for one in found if one.weight > 0}
    live = seen.live is not None or (
        seen.open is not None and seen.open.status is S.PROMOTING
    )  # the first, while its routes take their time
    assert live == bool(seen.routes), "an endpoint that serves has exactly one live deployment"


def a_shadow_is_loaded_and_is_the_journals(seen: Endpoint) -> None:
    assert seen.shadow == (seen.open.version if seen.open is not None and seen.open.status is S.SHADOW else None)
    assert seen.shadow is None or (seen.shadow in seen.loaded and seen.live is not None)


def a_rollback_target_stays_loaded_inside_its_window(found: Sequence[Deployment], seen: Endpoint, now: datetime) -> None:
    for one in found:
        if one.status is S.DRAINING and one.retire_at is not None and one.retire_at > now:
            assert {variant.version for variant in one.variants} <= set(seen.loaded)


def what_is_past_its_window_is_released(kept: Sequence[Deployment], seen: Endpoint, now: datetime) -> None:
    """But for the one that is returned to without a load: others keep its versions."""
    passed = [one for one in kept if one.status is S.DRAINING and one.retire_at is not None and one.retire_at <= now]
    others = [one for one in kept if one.status not in TERMINAL and one not in passed]
    assert set(seen.loaded) == {variant.version for one in others for variant in one.variants if one.status not in UNLOADED}
    assert len(passed) <= 1
    assert len(kept) <= len(others) + len(passed) + 8


@functools.cache
def reachable(state: S) -> set[S]:
    found, waiting = {state}, [state]
    while waiting:
        for following in EDGES[waiting.pop()] - found:
            found.add(following)
            waiting.append(following)
    return found


@pytest.mark.simulation
@pytest.mark.parametrize("delay", [0, 2])
def test_any_order_of_calls_keeps_the_promises(world: Any, delay: int) -> None:
    """``world`` lends its class: every example begins with a new one. Routes that take their time are looked at again."""
    from hypothesis.stateful import run_state_machine_as_test

    def make(root: Path) -> Any:
        return type(world)(root, production=MemoryDeployer(delay=delay))

    machine = type("AnyOrder", (Calls,), {"make_world": staticmethod(make), "passes": 1 + delay})
    options = settings(max_examples=30, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck))
    random.seed(0)
    run_state_machine_as_test(machine, settings=options)


@pytest.mark.parametrize("down", [False, True])
def test_a_rollback_needs_no_registry(world: Any, down: bool, caplog: pytest.LogCaptureFixture) -> None:  # noqa: FBT001
    world.registry = MoodyRegistry(clock=world.clock)
    for version in VERSIONS:
        world.register(version)
    deployment = type(world.deployment)(stack=world.compose("acme"))
    deployment.deploy_model("delays", "1.0.0", "production")
    deployment.deploy_model("delays", "2.0.0", "production")
    world.registry.down = down
    done = deployment.rollback_deployment("production/delays/2", reason="too slow")

    assert (done.status, done.version, done.revision) == (S.ROLLED_BACK, "2.0.0", 3)
    assert done.reason == ("too slow; the journal follows when the registry answers" if down else "too slow")
    assert {deployment.predict("delays", "production", {"x": [1.0]}).version for _ in range(20)} == {"1.0.0"}
    world.registry.down = False
    deployment.advance()
    assert [(one.number, one.status) for one in deployment.history("delays", "production")] == [(1, S.LIVE), (2, S.ROLLED_BACK)]


def test_without_the_registry_a_first_deployment_is_withdrawn_and_what_cannot_be_told_is_refused(world: Any) -> None:
    world.registry = MoodyRegistry(clock=world.clock)
    for version in VERSIONS:
        world.register(version)
    deployment = type(world.deployment)(stack=world.compose("acme"))
    for version in VERSIONS:
        deployment.deploy_model("delays", version, "production")
    deployment.rollback_deployment("production/delays/3")
    world.registry.down = True
    with pytest.raises(MLOpsError, match="registry: out of reach"):
        deployment.rollback_deployment("production/delays/2")
    world.registry.down = False
    deployment.rollback_deployment("production/delays/2")
    world.registry.down = True
    deployment.rollback_deployment("production/delays/1")

    desk = deployment._desk("delays", "production", 1.0)  # noqa: SLF001  the deployer's own view
    assert desk.deployer.observe(desk.endpoint).routes == ()
