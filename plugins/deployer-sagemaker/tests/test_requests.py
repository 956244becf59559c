"""What is asked of SageMaker; the cloud has checked each by botocore's model of the service."""

from __future__ import annotations

from typing import Any

import pytest

from mlops_core.exceptions import DeploymentError
from mlops_core.records import Variant


def test_a_version_is_a_model_with_its_archive_and_costs_no_instance(rig: Any) -> None:
    rig.load("1.0.0")
    asked = rig.cloud.last("CreateModel")

    assert rig.cloud.made() == ["CreateModel"]
    assert asked["ModelName"].startswith("delays-1-0-0-")
    assert asked["ExecutionRoleArn"] == rig.options["role"]
    assert asked["PrimaryContainer"]["Image"] == rig.options["image_uri"]
    folder = "s3://models/serving/staging/acme/delays/models/"
    assert asked["PrimaryContainer"]["ModelDataUrl"] == f"{folder}{asked['ModelName']}/model.tar.gz"
    assert {"Key": "mlops:tenant", "Value": "acme"} in asked["Tags"]
    assert list(rig.context.workdir.iterdir()) == []


def test_the_first_routes_create_an_endpoint_and_its_configuration(make_rig: Any) -> None:
    rig = make_rig(instance_type="ml.c7i.xlarge", instance_count=3, startup_timeout=600)
    rig.load("1.0.0")
    rig.route(("1.0.0", 1.0))
    (variant,) = rig.cloud.last("CreateEndpointConfig")["ProductionVariants"]

    assert rig.cloud.made() == ["CreateModel", "CreateEndpointConfig", "CreateEndpoint"]
    assert (variant["InstanceType"], variant["InitialInstanceCount"], variant["InitialVariantWeight"]) == ("ml.c7i.xlarge", 3, 1.0)
    assert variant["ContainerStartupHealthCheckTimeoutInSeconds"] == 600
    assert rig.cloud.last("CreateEndpoint")["EndpointName"] == rig.name
    assert rig.seen.url == f"https://runtime.sagemaker.eu-central-1.amazonaws.com/endpoints/{rig.name}/invocations"


def test_shares_of_versions_that_are_there_are_weights_alone(rig: Any) -> None:
    for name in ("1.0.0", "2.0.0"):
        rig.load(name)
    rig.route(("1.0.0", 0.9), ("2.0.0", 0.1))
    rig.cloud.calls.clear()
    rig.route(("1.0.0", 0.5), ("2.0.0", 0.5))
    rig.route(("1.0.0", 1.0))
    rig.route(("2.0.0", 1.0))

    assert rig.cloud.made() == ["UpdateEndpointWeightsAndCapacities"] * 3
    asked = rig.cloud.last("UpdateEndpointWeightsAndCapacities")["DesiredWeightsAndCapacities"]
    assert [one["DesiredWeight"] for one in asked] == [0.0, 1.0]
    assert rig.seen.routes == (Variant("1-2.0.0", "2.0.0", 1.0),)


def test_the_same_routes_under_another_name_call_for_nothing(rig: Any) -> None:
    rig.load("1.0.0")
    rig.route(("1.0.0", 1.0))
    rig.cloud.calls.clear()
    rig.deployer.set_routes(rig.endpoint, (Variant("9-1.0.0", "1.0.0", 1.0),), None, 1)
    assert (rig.cloud.made(), rig.seen.operation, rig.seen.revision) == ([], "applied", 2)


@pytest.mark.parametrize(("standby", "on"), [(True, ["2.0.0", "1.0.0"]), (False, ["2.0.0"])])
def test_what_was_replaced_stays_beside_or_goes(make_rig: Any, standby: bool, on: list[str]) -> None:  # noqa: FBT001
    rig = make_rig(standby=standby)
    for name in ("1.0.0", "2.0.0"):
        rig.load(name)
    rig.route(("1.0.0", 1.0))
    rig.route(("2.0.0", 1.0))
    rig.cloud.calls.clear()
    asked = rig.cloud.configs[rig.cloud.endpoints[rig.name].config]["ProductionVariants"]
    assert [(one["InitialVariantWeight"], one["VariantName"][:5]) for one in asked] == [
        (1.0 if version == "2.0.0" else 0.0, version.replace(".", "-")) for version in on
    ]
    rig.route(("1.0.0", 1.0))
    assert rig.cloud.made("Update")[-1] == ("UpdateEndpointWeightsAndCapacities" if standby else "UpdateEndpoint")
    assert rig.ask(rig.endpoint) == "1.0.0"


def test_a_shadow_goes_beside_one_version(rig: Any) -> None:
    for name in ("1.0.0", "2.0.0"):
        rig.load(name)
    rig.route(("1.0.0", 1.0))
    rig.begin(("1.0.0", 1.0), shadow="2.0.0")
    rig.settle()
    asked = rig.cloud.last("CreateEndpointConfig")

    assert (len(asked["ProductionVariants"]), len(asked["ShadowProductionVariants"])) == (1, 1)
    assert asked["ShadowProductionVariants"][0]["ModelName"].startswith("delays-2-0-0-")
    assert rig.seen.shadow == "2.0.0"
    with pytest.raises(DeploymentError, match=r"version 2\.0\.0 is routed - route around it"):
        rig.deployer.unload(rig.endpoint, "2.0.0")
    with pytest.raises(DeploymentError, match="a shadow goes beside one version, and 2 are routed"):
        rig.begin(("1.0.0", 0.5), ("2.0.0", 0.5), shadow="1.0.0")
    rig.begin(("2.0.0", 1.0))
    rig.settle()
    assert rig.ask(rig.endpoint) == "2.0.0"


def test_guardrails_replace_a_version_under_its_name(make_rig: Any) -> None:
    rig = make_rig(guardrails="canary", guardrail_size=20, guardrail_wait=120, guardrail_bake=60, alarms=("errors", "slow"))
    for name in ("1.0.0", "2.0.0"):
        rig.load(name)
    rig.route(("1.0.0", 1.0))
    rig.route(("2.0.0", 1.0))

    assert rig.cloud.deployments == [
        {
            "BlueGreenUpdatePolicy": {
                "TrafficRoutingConfiguration": {
                    "Type": "CANARY",
                    "WaitIntervalInSeconds": 120,
                    "CanarySize": {"Type": "CAPACITY_PERCENT", "Value": 20},
                },
                "TerminationWaitInSeconds": 60,
                "MaximumExecutionTimeoutInSeconds": 3600,
            },
            "AutoRollbackConfiguration": {"Alarms": [{"AlarmName": "errors"}, {"AlarmName": "slow"}]},
        }
    ]
    assert rig.ask(rig.endpoint) == "2.0.0"
    rig.route(("1.0.0", 0.5), ("2.0.0", 0.5))
    assert len(rig.cloud.deployments) == 1, "variants that come and go have no guardrails"
    assert {rig.ask(rig.endpoint, unit=f"user-{number}") for number in range(20)} == {"1.0.0", "2.0.0"}


@pytest.mark.parametrize(("kind", "step"), [("all-at-once", None), ("linear", "LinearStepSize")])
def test_every_kind_of_guardrail_is_one_that_sagemaker_knows(make_rig: Any, kind: str, step: str | None) -> None:
    rig = make_rig(guardrails=kind)
    for name in ("1.0.0", "2.0.0"):
        rig.load(name)
        rig.route((name, 1.0))
    routing = rig.cloud.deployments[0]["BlueGreenUpdatePolicy"]["TrafficRoutingConfiguration"]
    assert routing.keys() - {"Type", "WaitIntervalInSeconds"} == ({step} if step else set())


def test_an_endpoint_has_ten_variants_at_most(rig: Any) -> None:
    for number in range(12):
        rig.load(f"{number}.0")
        rig.route((f"{number}.0", 1.0))
    assert max(len(one["ProductionVariants"]) for one in rig.cloud.configs.values()) == 10
    assert rig.ask(rig.endpoint) == "11.0"


def test_a_plan_tells_the_calls_and_makes_none(rig: Any) -> None:
    first = rig.deployer.plan(rig.endpoint, [rig.version("1.0.0")], (Variant("1-1.0.0", "1.0.0", 1.0),), None)
    assert [call.name.partition(":")[2] for call in first.calls] == [
        "PutObject",
        "create_model",
        "create_endpoint_config",
        "create_endpoint",
    ]
    assert (dict(first.instances), first.notes) == ({"ml.m5.large": 1}, ())
    rig.load("1.0.0")
    rig.route(("1.0.0", 1.0))
    rig.cloud.calls.clear()

    routes = (Variant("1-1.0.0", "1.0.0", 0.9), Variant("2-2.0.0", "2.0.0", 0.1))
    second = rig.deployer.plan(rig.endpoint, [rig.version("2.0.0")], routes, None)
    assert rig.cloud.made() == []
    assert second.calls[-1].name == "sagemaker:update_endpoint"
    assert dict(second.instances) == {"ml.m5.large": 2}
    assert second.notes[0].startswith("SageMaker starts all instances of the new configuration beside those that run")
    rig.load("2.0.0")
    rig.deployer.set_routes(rig.endpoint, routes, None, 1)
    assert rig.cloud.made() == ["CreateModel", "CreateEndpointConfig", "UpdateEndpoint"]
    assert rig.cloud.last("UpdateEndpoint") == dict(second.calls[-1].arguments)


def test_a_plan_makes_a_model_of_each_version_that_is_not_there(rig: Any) -> None:
    rig.load("1.0.0")
    shares = (Variant("1-1.0.0", "1.0.0", 0.5), Variant("1-2.0.0", "2.0.0", 0.3), Variant("1-3.0.0", "3.0.0", 0.2))
    found = rig.deployer.plan(rig.endpoint, [rig.version(one.version) for one in shares], shares, None)

    calls = [call.name.partition(":")[2] for call in found.calls]
    assert calls == ["PutObject", "create_model"] * 2 + ["create_endpoint_config", "create_endpoint"]
    assert dict(found.instances) == {"ml.m5.large": 3}
