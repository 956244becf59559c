"""Options that cannot be are refused when they are read, not when somebody deploys."""

from __future__ import annotations

import math
import socket
from typing import Any

import pytest

from mlops_core.exceptions import DeploymentError
from mlops_core.records import Variant
from mlops_deployer_local.deployer import LocalDeployer
from mlops_deployer_local.listening import address_of, bind


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("port", 70_000, "port is 70000 - give 0 to 65535"),
        ("port", -1, "port is -1 - give 0 to 65535"),
        ("workers", 0, "workers is 0 - give 1 to 1000"),
        ("threads", 0, "threads is 0 - give 1 to 1000"),
        ("body_limit", 0, "body_limit is 0 - give 1 to"),
        ("request_timeout", 0.0, "request_timeout is 0.0 - give 0.001 to 86400"),
        ("request_timeout", math.nan, "request_timeout is nan - give 0.001 to 86400"),
        ("keep_alive", -1.0, "keep_alive is -1.0 - give 0 to 86400"),
        ("drain_timeout", -5.0, "drain_timeout is -5.0 - give 0 to 86400"),
        ("drain_timeout", math.inf, "drain_timeout is inf - give 0 to 86400"),
    ],
)
def test_a_number_out_of_bounds_is_one_line(name: str, value: Any, said: str) -> None:
    with pytest.raises(DeploymentError, match=f"deployer local: {said}"):
        LocalDeployer(**{name: value})


def test_a_process_that_leaves_has_the_time_that_a_prediction_may_take() -> None:
    assert LocalDeployer(drain_timeout=600.0).patience == 600
    assert LocalDeployer(request_timeout=10.0, deadline=300.0, drain_timeout=30.0).patience == 315
    assert LocalDeployer().patience > LocalDeployer().request_timeout + LocalDeployer().deadline


@pytest.mark.parametrize("host", ["no-such-host.invalid", "a..b", "x" * 300])
def test_a_host_that_is_none_is_told_from_one_that_is_open(make_rig: Any, host: str) -> None:
    rig = make_rig(host=host)
    for guarded in (False, True):
        rig.context.guarded = guarded
        with pytest.raises(DeploymentError, match=f"environment staging: host '{host}' is no address of a machine"):
            rig.deployer.check()


def test_an_address_is_one_that_can_be_called() -> None:
    assert address_of("127.0.0.1", 80) == "http://127.0.0.1:80"
    assert address_of("0.0.0.0", 80) == "http://127.0.0.1:80"  # noqa: S104  where a server may listen, and nobody can call
    assert address_of("::", 80) == "http://[::1]:80"
    assert address_of("fe80::1", 80) == "http://[fe80::1]:80"


def test_a_socket_of_a_taken_port_is_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(OSError, match="already in use"):
        bind("127.0.0.1", taken.getsockname()[1])


def test_a_plan_names_the_processes_and_starts_none(make_rig: Any) -> None:
    rig = make_rig(workers=3)
    found = rig.deployer.plan(rig.endpoint, [rig.version("1.0.0")], (Variant("1-1.0.0", "1.0.0", 1.0),), None)

    assert [call.name for call in found.calls] == ["load", "set_routes"]
    assert (dict(found.instances), len(found.notes)) == ({"supervisor": 1, "serving process": 3}, 1)
    assert not (rig.context.workdir / "server" / "server.json").exists()
