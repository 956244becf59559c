"""A stack in memory with models that do as their file says."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from attrs import define

from mlops_core.artifacts import Artifacts
from mlops_core.config.settings import CanarySettings, EnvironmentSettings, Settings, Use
from mlops_core.deployment import ModelDeployment
from mlops_core.exceptions import ArtifactError
from mlops_core.records import Column, ModelVersion, Schema
from mlops_core.roles import Format
from mlops_core.testing import stack as given
from mlops_core.testing.clock import FakeClock
from mlops_core.testing.memory_deployer import MemoryDeployer
from mlops_core.testing.memory_registry import MemoryRegistry
from mlops_core.testing.memory_sink import MemorySink

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from mlops_core.roles import Deployer, Predictor
    from mlops_core.stack import Stack

WINDOW = timedelta(hours=1)
SCHEMA = Schema((Column("x", "float64"),), (Column("double", "float64"),))


class Scripted:
    """Answers twice its input; fails where its script or a negative input says so."""

    def __init__(self, script: Mapping[str, Any]) -> None:
        self.script = script

    def predict(self, columns: Mapping[str, NDArray[Any]]) -> Mapping[str, NDArray[Any]]:
        if self.script["fault"] == "predict" or (columns["x"] < 0).any():
            raise ValueError("this model fails")
        return {"double": columns["x"] * 2}


@define
class ScriptedFormat(Format):
    """A model that is a JSON file."""

    contract: ClassVar[int] = 1
    capabilities: ClassVar[frozenset[str]] = frozenset({"predict"})
    name: ClassVar[str] = "scripted"

    def accepts(self, value: Any) -> bool:
        return False

    def sniff(self, path: Path) -> bool:
        return path.suffix == ".scripted"

    def write(self, value: Any, path: Path) -> None:
        raise ArtifactError("scripted: written by hand")

    def read(self, path: Path) -> Any:
        script = json.loads(path.read_text())
        if script["fault"] == "load":
            raise ArtifactError("artifact delays: does not match its sha256")
        return script

    def predictor(self, value: Any, schema: Schema | None) -> Predictor:
        return Scripted(value)


class World:
    """A project in memory: three environments, a clock that stands still, and a facade."""

    def __init__(self, root: Path, **deployers: Deployer) -> None:
        self.root = root
        self.clock = FakeClock(datetime(2024, 5, 1, 12, tzinfo=UTC))
        self.registry = MemoryRegistry(clock=self.clock)
        self.sink = MemorySink()
        self.deployers = {"staging": MemoryDeployer(), "production": MemoryDeployer(), **deployers}
        environments = {name: EnvironmentSettings(Use("memory"), rollback_window=WINDOW) for name in self.deployers}
        self.settings = Settings(environments=environments)
        self.stack = self.compose("acme")
        self.deployment = ModelDeployment(stack=self.stack)
        for version in ("1.0.0", "2.0.0", "3.0.0"):
            self.register(version)

    def compose(self, tenant: str, **parts: Any) -> Stack:
        return given.make_stack(
            self.root,
            tenant=tenant,
            clock=self.clock,
            settings=self.settings,
            registry=self.registry,
            **{
                "environments": self.deployers,
                "sinks": {"memory": self.sink},
                "formats": {"scripted": ScriptedFormat()},
                **parts,
            },
        )

    def register(self, version: str, fault: str = "", tenant: str = "acme", model: str = "delays") -> ModelVersion:
        path = self.root / f"{tenant}-{model}-{version}.scripted"
        path.write_text(json.dumps({"version": version, "fault": fault}))
        ref = Artifacts(self.compose(tenant)).save_file(path, "model")
        found = ModelVersion(
            tenant, model, version, f"{model}-{version}", ref.sha256, ref.files, self.clock.now(), format="scripted", schema=SCHEMA
        )
        return self.registry.add_version(found)

    def ask(self, count: int = 1, x: float = 1.0, environment: str = "production") -> list[str]:
        """Requests through the facade; the versions that answered."""
        return [self.deployment.predict("delays", environment, {"x": [x]}).version for _ in range(count)]

    def deployer(self, environment: str = "production") -> MemoryDeployer:
        found = self.deployers[environment]
        assert isinstance(found, MemoryDeployer)
        return found

    @property
    def events(self) -> list[Any]:
        return self.stack.parts.events  # type: ignore[attr-defined,no-any-return]  # the given parts keep them

    def veto(self, reason: str) -> None:
        self.stack.parts.veto = reason  # type: ignore[attr-defined]  # the given parts have it


PLAN = CanarySettings(
    steps=(0.1, 0.5, 1.0),
    step_time=timedelta(minutes=1),
    min_requests=20,
    deadline=timedelta(minutes=30),
    slo={"error_rate": 0.1},
)


@pytest.fixture
def world(tmp_path: Path) -> World:
    """The project."""
    return World(tmp_path)


@pytest.fixture
def plan() -> CanarySettings:
    """A canary in two partial steps of a minute and 20 requests each."""
    return PLAN
