"""One endpoint at work."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from attrs import evolve

from mlops_core.config.settings import SignSettings
from mlops_core.deployment import ModelDeployment, Ports
from mlops_core.deployment.bundle import write_bundle
from mlops_core.deployment.desk import Desk, EndpointBusyError, RoutesRefusedError
from mlops_core.exceptions import ConflictError, DeploymentError, MLOpsError
from mlops_core.records import EndpointKey, NewEntry, Variant
from mlops_core.stack.keys import write_pair
from mlops_core.stack.signing import Signing
from mlops_core.testing.memory_deployer import MemoryDeployer

if TYPE_CHECKING:
    from pathlib import Path

KEY = EndpointKey("acme", "production", "delays")
ROUTES = (Variant("1-1.0.0", "1.0.0", 1.0),)


def test_a_version_is_registered_and_not_retired(world: Any) -> None:
    desk = Desk(world.stack, KEY)
    assert desk.version("1.0.0").version == "1.0.0"
    world.registry.retire_version("acme", "delays", "1.0.0", NewEntry(world.clock.now(), "retired"))
    for version in ("1.0.0", "9.9.9", "@champion"):
        with pytest.raises(DeploymentError, match=f"model delays: no version '{version}' is registered"):
            desk.version(version)


def test_routes_are_set_once_whoever_repeats_it(world: Any) -> None:
    desk = Desk(world.stack, KEY)
    desk.load(["1.0.0"])

    assert desk.route(ROUTES, None, 0).revision == 1
    assert desk.route(ROUTES, None, 0).revision == 1
    with pytest.raises(ConflictError, match="endpoint delays: traffic was moved meanwhile"):
        desk.route((), None, 0)


def test_only_what_the_deployer_says_of_the_routes_is_a_refusal(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: Any, **__: Any) -> Any:
        raise DeploymentError("deployer: its answer is not readable")

    desk = Desk(world.stack, KEY)
    with pytest.raises(RoutesRefusedError, match=r"version 1\.0\.0 is not loaded - load it before it is routed"):
        desk.route(ROUTES, None, 0)
    monkeypatch.setattr(MemoryDeployer, "observe", away)
    with pytest.raises(DeploymentError, match="is not readable") as raised:
        desk.route(ROUTES, None, 0)
    assert not isinstance(raised.value, RoutesRefusedError)


def test_routes_that_failed_to_hold_are_set_again_where_asked(world: Any) -> None:
    desk = Desk(world.stack, KEY)
    desk.load(["1.0.0"])
    world.deployer().fault = "no instance is left"

    assert [(seen.revision, seen.operation) for seen in (desk.route(ROUTES, None, 0), desk.route(ROUTES, None, 1))] == [(1, "failed")] * 2
    seen = desk.route(ROUTES, None, 1, again=True)
    assert (seen.revision, seen.operation) == (2, "applied")


def test_routes_that_take_their_time_are_waited_for_and_not_for_ever(world: Any) -> None:
    world.deployers["production"] = MemoryDeployer(delay=20)
    desk = Desk(world.compose("acme"), KEY)
    desk.load(["1.0.0"])
    desk.route(ROUTES, None, 0)

    assert desk.settled(1.0).operation == "applying"
    assert world.clock.monotonic() == pytest.approx(1.0)
    assert desk.settled(600.0).operation == "applied"
    assert world.clock.monotonic() < 100


def test_one_at_a_time(world: Any) -> None:
    first, second = Desk(world.stack, KEY), Desk(world.stack, KEY)
    with first.alone(0), pytest.raises(EndpointBusyError), second.alone(1):
        raise AssertionError("two at once")
    with second.alone(0):
        assert world.registry.lease("acme", "deployments/production/delays", "stranger", world.clock.now() - world.clock.now()) is False


def test_a_gate_may_veto_with_its_reason(world: Any) -> None:
    desk = Desk(world.stack, KEY)
    assert desk.gate(1, "1.0.0", "deploy", 1.0) == ""
    world.veto("not on a Friday")
    assert desk.gate(1, "1.0.0", "deploy", 1.0) == "vetoed by a gate: not on a Friday"


def test_the_window_is_that_of_the_environment(world: Any) -> None:
    assert Desk(world.stack, KEY).settings.rollback_window.total_seconds() == 3600
    assert not Desk(world.stack, KEY).tokens
    assert Desk(world.stack, KEY).name(3) == "production/delays/3"


def test_a_version_that_is_not_signed_as_required_is_neither_deployed_nor_loaded(world: Any, tmp_path: Path) -> None:
    for name in ("k", "other"):
        write_pair(tmp_path / name)
    signers = {name: Signing(SignSettings(f"${{file:{name}}}"), tmp_path) for name in ("k", "other")}
    plain = world.registry.get_version("acme", "delays", "1.0.0")
    signed = {name: signer.signed(evolve(plain, version=name, key=name)) for name, signer in signers.items()}
    forged = evolve(signers["k"].signed(evolve(plain, version="forged", key="forged")), metadata={"accuracy": 1.0})
    for version in (*signed.values(), forged):
        world.registry.add_version(version)
    world.settings = evolve(world.settings, sign=SignSettings(public=("${file:k.pub}",), require=True))
    stack = world.compose("acme")
    deployment = ModelDeployment(stack=stack)
    before = list(world.registry.journals("acme", "deployments/").items)
    for name, said in (("1.0.0", "is not signed"), ("other", "which is not trusted"), ("forged", "is not what the key")):
        with pytest.raises(DeploymentError, match=said):
            deployment.deploy_model("delays", name, "staging")
        version = world.registry.get_version("acme", "delays", name)
        with pytest.raises(MLOpsError, match=said):
            Ports(stack, "staging", 1.0, guarded=False).load(version)
        with pytest.raises(MLOpsError, match=said):
            write_bundle(stack, version, tmp_path / f"bundle {name}")
    assert list(world.registry.journals("acme", "deployments/").items) == before
    deployment.deploy_model("delays", "k", "staging")
    assert deployment.predict("delays", "staging", {"x": [1.0]}).version == "k"
