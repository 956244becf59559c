"""The deployer in memory meets the contract that it is the reference of, and counts what it answers."""

from __future__ import annotations

import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pytest

from mlops_core.clock import SystemClock
from mlops_core.exceptions import ArtifactError, DeploymentError
from mlops_core.records import Column, EndpointKey, ModelVersion, Schema, Variant, VariantCount
from mlops_core.records.routing import pick, share_of
from mlops_core.testing import memory_deployer
from mlops_core.testing.deployer_suite import DeployerRig, DeployerSuite
from mlops_core.testing.memory_deployer import MemoryDeployer, mlops_deployer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mlops_core.roles import ArtifactStore, Clock, Deployer, Predictor

FAULTS: Mapping[str, Literal["", "predict"]] = {"1.0.0": "", "2.0.0": "predict"}
_PATIENCE = 30.0


class Echo:
    """Answers its version's name once per row, or fails."""

    def __init__(self, version: ModelVersion) -> None:
        self.version = version

    def predict(self, columns: Mapping[str, Any]) -> Mapping[str, Any]:
        if self.version.metadata["fault"] == "predict":
            raise ValueError("this model never works")
        return {"version": np.full(len(columns["x"]), self.version.version)}


class Context:
    """Ports over nothing."""

    artifacts: ArtifactStore
    workdir = Path("nowhere")
    clock: Clock = SystemClock()
    timeout = 5.0
    guarded = False
    command: tuple[str, ...] = ()

    def progress(self, done: float, total: float | None = None, note: str = "") -> None:
        """Nobody looks."""

    def load(self, version: ModelVersion) -> Predictor:
        if version.metadata["fault"] == "load":
            raise ArtifactError("artifact delays 2.0.0: does not match its sha256")
        return Echo(version)

    def bundle(self, version: ModelVersion, into: Path) -> Path:
        raise AssertionError("this deployer answers in process")


class Rig(DeployerRig):
    deployer: MemoryDeployer

    def __init__(self, delay: int = 0) -> None:
        self.deployer = MemoryDeployer(delay=delay)
        self.context = Context()
        self.deployer.attach("staging", self.context)

    def version(self, name: str, *, fault: Literal["", "load", "predict"] = "") -> ModelVersion:
        schema = Schema((Column("x", "float64"),))
        at = datetime(2024, 1, 1, tzinfo=UTC)
        return ModelVersion("acme", "delays", name, name, name, (), at, schema=schema, metadata={"fault": fault})

    def ask(self, endpoint: EndpointKey, *, unit: str | None = None) -> str:
        answer = self.deployer.predict(endpoint, {"x": np.zeros(1)}, unit=unit)
        assert answer.outputs == {"version": [answer.version]}
        return answer.version

    def again(self) -> Deployer:
        return self.deployer


def test_errors_of_a_unit_that_failed_before_are_told_apart() -> None:
    rig = Rig()
    for version, fault in FAULTS.items():
        rig.deployer.load(rig.endpoint, rig.version(version, fault=fault), rig.context)
    rig.route(("1.0.0", 0.5), ("2.0.0", 0.5))
    routes = rig.deployer.observe(rig.endpoint).routes
    unlucky = [unit for unit in map(str, range(40)) if pick(routes, share_of(unit, routes)).version == "2.0.0"]
    for unit in [*unlucky[:2], *unlucky[:2], None]:
        with contextlib.suppress(DeploymentError):
            rig.ask(rig.endpoint, unit=unit)
    rig.route(("1.0.0", 0.5), ("2.0.0", 0.5))  # a step of the same rollout
    with pytest.raises(DeploymentError):
        rig.ask(rig.endpoint, unit=unlucky[0])
    counted = [one for one in rig.deployer.observe(rig.endpoint).counters if one.version == "2.0.0"]
    assert [(one.revision, one.repeated) for one in counted] == [(1, 2), (2, 1)]
    assert counted[0].errors - counted[0].repeated in {2, 3}  # the one without a name met either version


class TestMemoryDeployer(DeployerSuite):
    @pytest.fixture
    def rig(self) -> Rig:
        return Rig()


class TestRoutesThatTakeTheirTime(DeployerSuite):
    @pytest.fixture
    def rig(self) -> Rig:
        return Rig(delay=3)


def test_new_routes_answer_once_they_hold_and_old_ones_until_then() -> None:
    rig = Rig(delay=2)
    for name in ("1.0.0", "2.0.0"):
        rig.load(name)
    rig.route(("1.0.0", 1.0))
    rig.deployer.set_routes(rig.endpoint, (Variant("2-2.0.0", "2.0.0", 1.0),), None, 1)
    seen = rig.deployer.observe(rig.endpoint)

    assert (seen.revision, seen.operation, seen.routes[0].version, rig.ask(rig.endpoint)) == (2, "applying", "2.0.0", "1.0.0")
    rig.deployer.unload(rig.endpoint, "1.0.0")
    assert rig.ask(rig.endpoint) == "1.0.0"
    assert rig.deployer.observe(rig.endpoint).operation == "applied"
    assert rig.ask(rig.endpoint) == "2.0.0"


def test_routes_that_fail_to_hold_say_why_and_change_nothing() -> None:
    rig = Rig(delay=1)
    for name in ("1.0.0", "2.0.0"):
        rig.load(name)
    rig.route(("1.0.0", 1.0))
    rig.deployer.fault = "no instance is left"
    rig.deployer.set_routes(rig.endpoint, (Variant("2-2.0.0", "2.0.0", 1.0),), None, 1)
    seen = rig.deployer.observe(rig.endpoint)

    assert (seen.revision, seen.operation, seen.detail) == (2, "failed", {"reason": "no instance is left"})
    assert rig.ask(rig.endpoint) == "1.0.0"


@pytest.mark.parametrize("moment", ["share_of", "pick", "_check_columns"])
def test_routes_change_whatever_prediction_is_under_way(moment: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig()
    for name in ("1.0.0", "2.0.0"):
        rig.load(name)
    rig.route(("1.0.0", 1.0))
    at_it, go_on, real = threading.Event(), threading.Event(), getattr(memory_deployer, moment)

    def held(*arguments: Any) -> Any:
        at_it.set()
        assert go_on.wait(_PATIENCE)
        return real(*arguments)

    with monkeypatch.context() as patched, ThreadPoolExecutor() as pool:
        patched.setattr(memory_deployer, moment, held)
        asked = pool.submit(rig.ask, rig.endpoint, unit="somebody")
        assert at_it.wait(_PATIENCE)
        changed = pool.submit(rig.route, ("2.0.0", 1.0))
        try:
            assert changed.result(_PATIENCE) == 2
            rig.deployer.unload(rig.endpoint, "1.0.0")
        finally:
            go_on.set()
        assert asked.result() == "1.0.0", "it was chosen before"
    assert rig.ask(rig.endpoint) == "2.0.0"


def test_predictions_and_looks_wait_for_no_change() -> None:
    rig = Rig()
    rig.load("1.0.0")
    rig.route(("1.0.0", 1.0))
    with rig.deployer._lock, ThreadPoolExecutor() as pool:  # noqa: SLF001  a change that takes its time
        assert pool.submit(rig.ask, rig.endpoint).result(_PATIENCE) == "1.0.0"
        assert pool.submit(rig.deployer.observe, rig.endpoint).result(_PATIENCE).revision == 1


def test_requests_are_counted_by_version_and_revision() -> None:
    rig = Rig()
    rig.load("1.0.0")
    rig.deployer.load(rig.endpoint, rig.version("2.0.0", fault="predict"), rig.context)
    rig.route(("1.0.0", 1.0))
    rig.ask(rig.endpoint)
    rig.route(("2.0.0", 1.0))
    with pytest.raises(DeploymentError, match=r"version 2\.0\.0 failed: ValueError: this model never works"):
        rig.ask(rig.endpoint)

    assert rig.deployer.observe(rig.endpoint).counters == (VariantCount("1.0.0", 1, 1, 0), VariantCount("2.0.0", 2, 1, 1))


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"y": [1.0]}, "column 'x' is missing - it takes x"),
        ({"x": [1.0], "y": [1.0]}, "column 'y' is unknown - it takes x"),
        ({"x": [1.0, 2.0], "y": [1.0]}, "unlike lengths"),
    ],
)
def test_columns_that_do_not_fit_are_not_the_models_failure(columns: dict[str, list[float]], said: str) -> None:
    rig = Rig()
    rig.load("1.0.0")
    rig.route(("1.0.0", 1.0))

    with pytest.raises(DeploymentError, match=said):
        rig.deployer.predict(rig.endpoint, {name: np.array(values) for name, values in columns.items()})
    assert rig.deployer.observe(rig.endpoint).counters == ()


def test_it_is_offered_by_the_public_hook() -> None:
    assert mlops_deployer() is MemoryDeployer
