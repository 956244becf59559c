"""One request to an endpoint."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from mlops_core.deployment.asking import ask
from mlops_core.deployment.desk import Desk
from mlops_core.exceptions import DeploymentError
from mlops_core.records import EndpointKey, Prediction
from mlops_core.testing.memory_deployer import MemoryDeployer

from .conftest import World

if TYPE_CHECKING:
    from pathlib import Path

KEY = EndpointKey("acme", "production", "delays")


class Remote(MemoryDeployer):
    """One that answers by HTTP."""

    contract = 1
    capabilities = frozenset({"process"})


def test_a_server_that_lost_its_models_has_them_again(world: Any) -> None:
    world.deployment.deploy_model("delays", "1.0.0", "production")
    world.deployer().shutdown()
    assert ask(Desk(world.stack, KEY), {"x": [1.0]}, None, 5.0).version == "1.0.0"


@pytest.mark.parametrize("kind", ["in-process", "predict", "process"])
@pytest.mark.parametrize("timeout", [0, -1.0, "abc", float("nan"), True])
def test_a_timeout_that_is_none_is_refused_whoever_answers(world: Any, monkeypatch: pytest.MonkeyPatch, kind: str, timeout: Any) -> None:
    world.deployment.deploy_model("delays", "1.0.0", "production")
    monkeypatch.setattr(MemoryDeployer, "capabilities", frozenset({kind}))
    with pytest.raises(DeploymentError, match=r"timeout: .* is no number of seconds above zero - give for example 30\.0"):
        ask(Desk(world.stack, KEY), {"x": [1.0]}, None, timeout)


class Slow(MemoryDeployer):
    """One that answers when it is let."""

    contract = 1
    go_on: ClassVar[threading.Event]

    def predict(self, endpoint: EndpointKey, columns: Any, *, unit: str | None = None) -> Prediction:
        assert self.go_on.wait(60)
        return super().predict(endpoint, columns, unit=unit)


@pytest.mark.parametrize("kind", ["in-process", "predict"])
def test_nobody_waits_longer_than_he_wants_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    go_on = threading.Event()
    monkeypatch.setattr(Slow, "go_on", go_on, raising=False)
    monkeypatch.setattr(Slow, "capabilities", frozenset({kind}))
    world = World(tmp_path, production=Slow())
    world.deployment.deploy_model("delays", "1.0.0", "production")
    begun = time.monotonic()
    with pytest.raises(DeploymentError, match=r"^endpoint production/delays: no answer within 0\.05 s - give it more time, or fewer rows$"):
        world.deployment.predict("delays", "production", {"x": [1.0]}, timeout=0.05)

    assert time.monotonic() - begun < 30
    go_on.set()
    assert world.deployment.predict("delays", "production", {"x": [1.0]}, timeout=1e300).version == "1.0.0"
    with pytest.raises(DeploymentError, match="this model fails"):
        world.deployment.predict("delays", "production", {"x": [-1.0]})


def test_an_endpoint_without_an_address_is_told(world: Any) -> None:
    world.deployers["production"] = Remote()
    with pytest.raises(DeploymentError, match="endpoint production/delays: nothing is deployed here - deploy a version first"):
        ask(Desk(world.compose("acme"), KEY), {"x": [1.0]}, None, 5.0)
