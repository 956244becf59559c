"""The core's rollouts over SageMaker: the same calls, with an endpoint that takes minutes and counts by the minute."""

from __future__ import annotations

import importlib.util
import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from mlops_core.artifacts import Artifacts
from mlops_core.config.settings import CanarySettings, EnvironmentSettings, Settings, Use
from mlops_core.deployment import ModelDeployment
from mlops_core.exceptions import DeploymentError
from mlops_core.records import Column, ModelVersion, Schema
from mlops_core.records import DeploymentStatus as S
from mlops_core.testing.clock import FakeClock
from mlops_core.testing.memory_registry import MemoryRegistry
from mlops_core.testing.stack import make_stack
from mlops_deployer_sagemaker.aws import Aws
from mlops_deployer_sagemaker.deployer import SageMakerDeployer

if TYPE_CHECKING:
    from mlops_core.records import Deployment
    from mlops_core.stack import Stack

CLOUD = Path(__file__).parents[2] / "plugins" / "deployer-sagemaker" / "tests" / "cloud.py"
OPTIONS: dict[str, Any] = {
    "role": "arn:aws:iam::123456789012:role/serving",
    "image_uri": "123456789012.dkr.ecr.eu-central-1.amazonaws.com/serving:1",
    "bucket": "s3://models/serving",
    "region": "eu-central-1",
}
PLAN = CanarySettings(
    steps=(0.2, 0.5, 1.0), step_time=timedelta(minutes=5), min_requests=50, deadline=timedelta(hours=3), slo={"error_rate": 0.05}
)


class World:
    """A project whose production is on SageMaker, in an account of its own: that of the newest is the one that clients reach."""

    newest: ClassVar[Any]

    def __init__(self, root: Path, cloud: Any) -> None:
        self.cloud, self.clock = cloud, cloud.clock
        World.newest = cloud
        registry = MemoryRegistry(clock=self.clock)
        environments = {"production": EnvironmentSettings(Use("sagemaker"), rollback_window=timedelta(hours=1))}
        parts: dict[str, Any] = {"registry": registry, "environments": {"production": SageMakerDeployer(**OPTIONS)}}
        self.stack: Stack = make_stack(root, tenant="acme", clock=self.clock, settings=Settings(environments=environments), **parts)
        self.deployment = ModelDeployment(stack=self.stack)
        for version in ("1.0.0", "2.0.0", "3.0.0"):
            path = root / f"{version}.json"
            path.write_text(json.dumps(version))
            ref = Artifacts(self.stack).save_file(path, "model")
            schema = Schema((Column("x", "float64"),), (Column("prediction", "float64"),))
            given = ("acme", "delays", version, version, ref.sha256, ref.files, self.clock.now())
            registry.add_version(ModelVersion(*given, format="json", schema=schema))

    def deploy(self, version: str, **options: Any) -> Deployment:
        return self.deployment.deploy_model("delays", version, "production", timeout=1800, **options)

    def ask(self, count: int = 1) -> list[str]:
        """The versions that answered; an empty text for one that failed."""
        found = []
        for _ in range(count):
            try:
                found.append(self.deployment.predict("delays", "production", {"x": [1.0]}).version)
            except DeploymentError:
                found.append("")
        return found

    def minutes(self, count: int, requests: int = 60) -> None:
        """Traffic, and a pass of the control loop after each minute."""
        for _ in range(count):
            self.ask(requests)
            self.clock.advance(60)
            self.deployment.advance()

    def make(self, call: str) -> object:
        """One of the calls of the facade."""
        if call == "deploy":
            return self.deploy("2.0.0")
        if call == "roll back":
            return self.deployment.rollback_deployment("production/delays/2")
        return self.deployment.advance()

    @property
    def statuses(self) -> list[S]:
        return [one.status for one in self.deployment.history("delays", "production")]


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    spec = importlib.util.spec_from_file_location("sagemaker_cloud", CLOUD)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    connect = Aws.connect
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setattr(Aws, "connect", lambda self, service: World.newest.attach(connect(self, service)))
    return World(tmp_path, module.Cloud(FakeClock(datetime(2024, 5, 1, 12, tzinfo=UTC))))


def test_a_version_is_deployed_replaced_and_rolled_back(world: World) -> None:
    first = world.deploy("1.0.0")
    assert (first.status, first.url.startswith("https://runtime.sagemaker.eu-central-1.amazonaws.com/endpoints/delays-")) == (S.LIVE, True)
    found = world.deployment.predict("delays", "production", {"x": [1.0, 2.0]})
    assert (found.version, found.outputs) == ("1.0.0", {"prediction": [1.0, 2.0]})
    second = world.deploy("2.0.0")
    assert world.ask(5) == ["2.0.0"] * 5

    world.cloud.calls.clear()
    back = world.deployment.rollback_deployment(second.deployment_id)
    assert (back.status, world.ask(5)) == (S.ROLLED_BACK, ["1.0.0"] * 5)
    assert world.cloud.made("Update")[0] == "UpdateEndpointWeightsAndCapacities", "the traffic first, then what it leaves behind"
    world.minutes(6, requests=0)
    assert world.deployment.status("delays", "production").loaded == ("1.0.0",)
    assert [len(kept) for kept in (world.cloud.models, world.cloud.configs)] == [1, 1]


def test_a_good_canary_is_promoted_by_what_cloudwatch_counted(world: World) -> None:
    world.deploy("1.0.0")
    canary = world.deployment.start_canary("delays", "2.0.0", "production", canary=PLAN, timeout=1800)
    assert (canary.status, canary.confirmed) == (S.CANARY, True)
    for _ in range(60):
        world.minutes(1)
        if world.statuses[-1] is S.LIVE:
            break

    done = world.deployment.get(canary.deployment_id)
    assert (done.status, world.ask(5)) == (S.LIVE, ["2.0.0"] * 5)
    assert "0 errors in" in done.reason
    assert done.rollout is not None
    assert done.rollout.weights == {2: 0.2, 3: 0.5}


def test_a_bad_canary_is_taken_back_and_leaves_nothing(world: World) -> None:
    world.deploy("1.0.0")
    canary = world.deployment.start_canary("delays", "2.0.0", "production", canary=PLAN, timeout=1800)
    world.cloud.broken.add("2.0.0")
    world.minutes(12)

    ended = world.deployment.get(canary.deployment_id)
    assert (ended.status, world.statuses[0], set(world.ask(20))) == (S.ROLLED_BACK, S.LIVE, {"1.0.0"})
    assert ended.reason.startswith("13 errors in 13 requests, beside 0 in")
    assert world.deployment.status("delays", "production").loaded == ("1.0.0",)
    assert len(world.cloud.endpoints[next(iter(world.cloud.endpoints))].weights) == 1


def test_routes_that_sagemaker_takes_back_roll_the_deployment_back_with_its_reason(world: World) -> None:
    world.deploy("1.0.0")
    world.cloud.faults["update"].append(("UpdateRollbackFailed", "No instance of ml.m5.large is left."))
    with pytest.raises(DeploymentError) as raised:
        world.deploy("2.0.0")
    said = "its routes failed to hold: the endpoint is UpdateRollbackFailed: No instance of ml.m5.large is left."
    assert raised.value.message == f"deployment production/delays/2: {said}"
    assert (world.statuses, world.ask(3)) == ([S.LIVE, S.ROLLED_BACK], ["1.0.0"] * 3)


def test_a_version_that_is_still_leaving_the_endpoint_can_be_returned_to(world: World) -> None:
    world.deploy("1.0.0")
    world.deploy("2.0.0")
    world.clock.advance(3700)
    world.deployment.advance()
    assert (world.cloud.made()[-1], world.statuses) == ("UpdateEndpoint", [S.DRAINING, S.LIVE])

    assert world.deployment.rollback_deployment("production/delays/2", timeout=1800).status is S.ROLLED_BACK
    assert (world.statuses, world.ask(3)) == ([S.LIVE, S.ROLLED_BACK], ["1.0.0"] * 3)
    world.minutes(10, requests=0)
    check_nothing_is_left(world, "rolled back")
    assert world.deployment.withdraw("delays", "production").status is S.RETIRED


@pytest.mark.parametrize("code", ["ThrottlingException", "AccessDeniedException"])
def test_a_look_that_fails_rolls_no_deployment_back(tmp_path: Path, world: World, code: str) -> None:
    """Of a canary whose instances start: whichever of the looks of a pass of the control loop it is."""
    hit, nth = True, 0
    while hit:
        nth += 1
        folder = tmp_path / f"{nth}"
        folder.mkdir()
        again = World(folder, type(world.cloud)(FakeClock(datetime(2024, 5, 1, 12, tzinfo=UTC))))
        again.deploy("1.0.0")
        with pytest.raises(DeploymentError, match="its routes do not hold after 30 s"):
            again.deployment.start_canary("delays", "2.0.0", "production", canary=PLAN, timeout=30)
        looks = iter(range(1, nth + 1))

        def blip(name: str, _: Any, *, made: bool, looks: Any = looks, cloud: Any = again.cloud, nth: int = nth) -> bool:
            if name in {"DescribeEndpoint", "GetObject"} and not made and next(looks, 0) == nth:
                cloud.refuse(name, code, "a blip")
            return False

        again.cloud.dies = blip
        again.deployment.advance()
        hit = next(looks, None) is None
        again.minutes(4, requests=0)
        canary = again.deployment.get("production/delays/2")
        assert (canary.status, canary.confirmed) == (S.CANARY, True), f"look {nth}"
    assert nth > 4


def test_an_outage_after_the_routes_were_written_down_ends_the_deployment_and_harms_nobody(world: World) -> None:
    world.deploy("1.0.0")
    world.cloud.refuse("UpdateEndpoint", "ThrottlingException", "Rate exceeded")
    with pytest.raises(DeploymentError, match="AWS takes no more calls at present"):
        world.deploy("2.0.0")
    assert (world.statuses, world.ask(3)) == ([S.LIVE, S.PROMOTING], ["1.0.0"] * 3)

    world.minutes(3, requests=0)
    ended = world.deployment.get("production/delays/2")
    assert (ended.status, ended.reason.split(":")[0]) == (S.ROLLED_BACK, "its routes failed to hold")
    assert (world.statuses, world.ask(3)) == ([S.LIVE, S.ROLLED_BACK], ["1.0.0"] * 3)


def test_the_control_loop_brings_a_deployment_about_without_waiting(world: World) -> None:
    world.deploy("1.0.0")
    world.deploy("2.0.0", wait=False)
    begun = world.clock.monotonic()
    world.deployment.advance()
    assert (world.clock.monotonic() - begun, world.statuses) == (0.0, [S.LIVE, S.PROMOTING])
    assert world.ask(3) == ["1.0.0"] * 3
    world.minutes(4, requests=0)
    assert (world.statuses, world.ask(3)) == ([S.DRAINING, S.LIVE], ["2.0.0"] * 3)


def test_a_version_that_was_rolled_back_leaves_while_the_next_canary_is_held(world: World) -> None:
    world.deploy("1.0.0")
    world.deployment.start_canary("delays", "2.0.0", "production", canary=PLAN, timeout=1800)
    world.deployment.rollback_deployment("production/delays/2")
    canary = world.deployment.start_canary("delays", "3.0.0", "production", canary=PLAN, timeout=1800)
    world.deployment.pause(canary.deployment_id)
    world.minutes(6, requests=0)

    seen = world.deployment.status("delays", "production")
    assert (seen.loaded, len(next(iter(world.cloud.endpoints.values())).weights)) == (("1.0.0", "3.0.0"), 2)
    assert (len(world.cloud.models), world.deployment.get(canary.deployment_id).status) == (2, S.PAUSED)


def test_a_shutdown_costs_nothing_and_the_next_deployment_of_the_same_starts_it(world: World) -> None:
    world.deploy("1.0.0")
    world.deployment.shutdown("production")
    assert (world.cloud.endpoints, world.deployment.advance()) == ({}, ())
    assert world.deploy("1.0.0").number == 1
    assert world.ask(3) == ["1.0.0"] * 3


class Death:
    """The caller dies at its ``nth`` call, before it is made or after."""

    def __init__(self, nth: int, *, made: bool) -> None:
        self.nth, self.made, self.seen = nth, made, 0

    def __call__(self, name: str, given: Any, *, made: bool) -> bool:
        if given.get("Key", "").endswith(".gz") and name == "PutObject":  # sent by a thread of boto3's own, which cannot be killed alone
            return False
        self.seen += made == self.made
        return made == self.made and self.seen == self.nth


@pytest.mark.parametrize("made", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("call", ["deploy", "roll back", "release"])
@pytest.mark.parametrize("stride", [5, pytest.param(1, marks=pytest.mark.long)])
def test_a_death_at_any_call_is_mended_by_the_control_loop(
    tmp_path: Path,
    world: World,
    call: str,
    stride: int,
    made: bool,  # noqa: FBT001
) -> None:
    """Whatever was begun ends: one version is live, it answers, and in the end nothing else is left."""
    died, nth = True, 1 - stride
    while died:
        died, nth = False, nth + stride
        folder = tmp_path / f"{nth}"
        folder.mkdir()
        again = World(folder, type(world.cloud)(FakeClock(datetime(2024, 5, 1, 12, tzinfo=UTC))))
        again.deploy("1.0.0")
        if call != "deploy":
            again.deploy("2.0.0")
        again.clock.advance(7200 if call == "release" else 60)
        again.cloud.dies = Death(nth, made=made)
        try:
            again.make(call)
        except KeyboardInterrupt:
            died = True
        again.cloud.dies = lambda *_, **__: False
        again.minutes(10, requests=0)
        again.clock.advance(7200)
        again.minutes(10, requests=0)
        check_nothing_is_left(again, f"call {nth}")
    assert nth > 5


def check_nothing_is_left(world: World, said: str) -> None:
    seen = world.deployment.status("delays", "production")
    assert seen.live is not None, said
    assert seen.open is None, said
    version = seen.live.version
    assert world.ask(3) == [version] * 3, said
    assert (seen.loaded, [one.version for one in seen.routes]) == ((version,), [version]), said
    archives = [key for key in world.cloud.objects if key.endswith(".gz")]
    assert [len(kept) for kept in (world.cloud.models, world.cloud.configs, archives)] == [1, 1, 1], said
    assert len(next(iter(world.cloud.endpoints.values())).weights) == 1, said
