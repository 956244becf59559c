"""Predictions through SageMaker's runtime."""

from __future__ import annotations

import json
import socket
from collections import Counter
from typing import Any

import numpy as np
import pytest

from mlops_core.exceptions import DeploymentError, MLOpsError
from mlops_core.records import Variant
from mlops_core.records.routing import pick, share_of
from mlops_deployer_sagemaker import aws
from mlops_deployer_sagemaker.failures import OutageError


@pytest.fixture
def shared(rig: Any) -> Any:
    """Two versions, three to one."""
    for name in ("1.0.0", "2.0.0"):
        rig.load(name)
    rig.route(("1.0.0", 0.75), ("2.0.0", 0.25))
    return rig


def test_an_answer_has_its_outputs_its_version_and_an_id(shared: Any) -> None:
    found = shared.deployer.predict(shared.endpoint, {"x": np.array([1.0, 2.0])})
    asked = shared.cloud.last("InvokeEndpoint")

    assert (found.outputs, found.version in {"1.0.0", "2.0.0"}, found.prediction_id[0]) == ({"prediction": [1.0, 2.0]}, True, "p")
    assert (json.loads(asked["Body"]), asked["ContentType"]) == ({"inputs": {"x": [1.0, 2.0]}}, "application/json")
    assert "TargetVariant" not in asked


def test_a_unit_meets_the_version_that_every_deployer_gives_it(shared: Any) -> None:
    routes = shared.seen.routes
    units = [f"user-{number}" for number in range(60)]
    assert [shared.ask(shared.endpoint, unit=unit) for unit in units] == [pick(routes, share_of(unit, routes)).version for unit in units]
    reads = Counter(name for name, _ in shared.cloud.calls)["DescribeEndpoint"]
    shared.ask(shared.endpoint, unit="user-1")
    assert Counter(name for name, _ in shared.cloud.calls)["DescribeEndpoint"] == reads, "routes are looked at once in a while"


def test_a_unit_meets_the_old_version_until_the_new_routes_hold(shared: Any) -> None:
    shared.load("3.0.0")
    before = {unit: shared.ask(shared.endpoint, unit=unit) for unit in ("a", "b", "c", "d", "e")}
    shared.begin(("3.0.0", 1.0))
    assert {unit: shared.ask(shared.endpoint, unit=unit) for unit in before} == before
    shared.settle()
    shared.clock.advance(6)
    assert {shared.ask(shared.endpoint, unit=unit) for unit in before} == {"3.0.0"}


@pytest.mark.parametrize("change", ["shadow", "unload"])
def test_a_unit_stays_where_it_is_while_something_else_changes(shared: Any, change: str) -> None:
    """What was routed before is still on the endpoint, or on its way off it, and takes nothing."""
    shared.load("3.0.0")
    shared.route(("1.0.0", 1.0))
    if change == "shadow":
        shared.begin(("1.0.0", 1.0), shadow="3.0.0")
    else:
        shared.deployer.unload(shared.endpoint, "2.0.0")
    units = [f"user-{number}" for number in range(20)]
    assert shared.seen.operation == "applying"
    assert {shared.ask(shared.endpoint, unit=unit) for unit in units} == {"1.0.0"}
    assert "TargetVariant" in shared.cloud.last("InvokeEndpoint")


def test_a_unit_is_left_to_weights_that_nobody_here_set(shared: Any) -> None:
    shared.route(("1.0.0", 1.0))
    endpoint = shared.cloud.endpoints[shared.name]
    endpoint.weights = dict.fromkeys(endpoint.weights, 0.5)
    shared.clock.advance(6)
    shared.ask(shared.endpoint, unit="user-1")
    assert "TargetVariant" not in shared.cloud.last("InvokeEndpoint")


def test_rows_of_several_outputs_become_columns_and_a_strangers_version_is_its_variants(shared: Any, monkeypatch: Any) -> None:
    (first, *_) = shared.cloud.configs[shared.cloud.endpoints[shared.name].config]["ProductionVariants"]
    answers = {"predictions": [{"late": 1, "risk": 0.9}, {"late": 0, "risk": 0.1}]}
    body = json.dumps(answers).encode()
    monkeypatch.setattr(
        type(shared.cloud),
        "_invoke_endpoint",
        lambda *_, **__: {"Body": shared.cloud.stream(body), "InvokedProductionVariant": first["VariantName"]},
    )
    found = shared.deployer.predict(shared.endpoint, {"x": np.ones(2)})
    assert (found.outputs, found.version, found.prediction_id) == ({"late": [1, 0], "risk": [0.9, 0.1]}, "1.0.0", "")

    body = b"<html>"
    with pytest.raises(DeploymentError, match="its answer is no JSON object with 'predictions' - is image_uri one that"):
        shared.deployer.predict(shared.endpoint, {"x": np.ones(2)})


def test_a_failing_model_is_told_in_its_own_words_on_one_line(shared: Any) -> None:
    shared.cloud.broken |= {"1.0.0", "2.0.0"}
    with pytest.raises(DeploymentError, match=r"^endpoint staging/delays: the model fails \(500\)$"):
        shared.ask(shared.endpoint)


@pytest.mark.parametrize(
    ("code", "message", "said"),
    [
        ("AccessDeniedException", "User is not authorized", r"AWS denies sagemaker:InvokeEndpoint \(AccessDeniedException\)"),
        ("ServiceUnavailable", "busy", r"AWS takes no more calls at present"),
        ("ValidationError", "Endpoint x of account 1 not found.", "nothing is deployed here - deploy a version first"),
    ],
)
def test_what_aws_refuses_is_one_line(shared: Any, code: str, message: str, said: str) -> None:
    shared.cloud.refuse("InvokeEndpoint", code, message)
    with pytest.raises(MLOpsError, match=said):
        shared.ask(shared.endpoint)


def test_a_prediction_that_is_not_answered_is_sent_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aws, "_READ", 0.2)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with socket.create_server(("127.0.0.1", 0)) as server:
        cloud = aws.Aws("eu-central-1", f"http://127.0.0.1:{server.getsockname()[1]}")
        with pytest.raises(OutageError, match=r"AWS cannot be reached \(ReadTimeoutError\)"):
            cloud.call("sagemaker-runtime", "invoke_endpoint", EndpointName="e", Body=b"{}")
        cloud.close()
        server.settimeout(0.2)
        server.accept()[0].close()
        with pytest.raises(TimeoutError):
            server.accept()


def test_a_unit_whose_variant_has_just_left_is_asked_of_who_took_its_place(make_rig: Any) -> None:
    rig = make_rig(standby=False)
    for name in ("1.0.0", "2.0.0"):
        rig.load(name)
    rig.route(("1.0.0", 1.0))
    rig.begin(("2.0.0", 1.0))
    rig.clock.advance(178)
    assert rig.ask(rig.endpoint, unit="user-1") == "1.0.0"
    rig.clock.advance(3)
    assert rig.ask(rig.endpoint, unit="user-1") == "2.0.0"


def test_other_routes_of_another_process_are_seen_a_little_later(shared: Any) -> None:
    units = [f"user-{number}" for number in range(20)]
    [shared.ask(shared.endpoint, unit=unit) for unit in units]
    shared.again().set_routes(shared.endpoint, (Variant("3-1.0.0", "1.0.0", 1.0),), None, 1)
    shared.clock.advance(30)
    assert {shared.ask(shared.endpoint, unit=unit) for unit in units} == {"1.0.0"}
