"""One request to an endpoint."""

from __future__ import annotations

from typing import Any

import pytest

from mlops_core.deployment.asking import ask
from mlops_core.deployment.desk import Desk
from mlops_core.exceptions import DeploymentError
from mlops_core.records import EndpointKey
from mlops_core.testing.memory_deployer import MemoryDeployer

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


def test_an_endpoint_without_an_address_is_told(world: Any) -> None:
    world.deployers["production"] = Remote()
    with pytest.raises(DeploymentError, match="endpoint production/delays: nothing is deployed here - deploy a version first"):
        ask(Desk(world.compose("acme"), KEY), {"x": [1.0]}, None, 5.0)
