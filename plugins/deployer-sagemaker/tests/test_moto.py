"""What moto keeps as AWS does: models, configurations, endpoints, objects that are compared and swapped.

It has no ``update_endpoint`` and drops shadow variants without a word, so that nothing of these is asked of it.
"""

from __future__ import annotations

import gzip
from typing import Any

import boto3
import pytest
from attrs import evolve

from mlops_core.exceptions import ConflictError
from mlops_core.records import HealthStatus
from mlops_deployer_sagemaker.aws import Aws
from mlops_deployer_sagemaker.record import Bucket


@pytest.fixture
def account(moto_rig: Any) -> Any:
    """SageMaker's client, to look behind the deployer."""
    return boto3.client("sagemaker", "eu-central-1")


def test_a_version_is_loaded_routed_and_withdrawn(moto_rig: Any, account: Any) -> None:
    rig = moto_rig
    rig.deployer.check()
    assert rig.deployer.health(rig.endpoint, "1.0.0").status is HealthStatus.UNKNOWN
    rig.load("1.0.0")
    rig.load("1.0.0")
    (model,) = account.list_models()["Models"]
    described = account.describe_model(ModelName=model["ModelName"])
    bucket, _, key = described["PrimaryContainer"]["ModelDataUrl"].removeprefix("s3://").partition("/")
    archive = boto3.client("s3", "eu-central-1").get_object(Bucket=bucket, Key=key)["Body"].read()
    assert b"bundle.json" in gzip.decompress(archive)
    assert rig.deployer.health(rig.endpoint, "1.0.0").status is HealthStatus.HEALTHY

    assert rig.route(("1.0.0", 1.0)) == 1
    found = account.describe_endpoint(EndpointName=rig.name)
    assert (found["EndpointStatus"], len(found["ProductionVariants"])) == ("InService", 1)
    tags = account.list_tags(ResourceArn=found["EndpointArn"])["Tags"]
    assert {"Key": "mlops:tenant", "Value": "acme"} in tags
    with pytest.raises(ConflictError):
        rig.begin(revision=7)
    rig.route()
    assert account.list_endpoints()["Endpoints"] == []
    rig.deployer.unload(rig.endpoint, "1.0.0")
    assert account.list_models()["Models"] == []
    assert account.list_endpoint_configs()["EndpointConfigs"] == []
    assert (rig.seen.loaded, rig.seen.revision) == ((), 2)


def test_what_an_earlier_try_left_is_adopted(moto_rig: Any, account: Any) -> None:
    rig = moto_rig
    rig.load("1.0.0")
    rig.route(("1.0.0", 1.0))
    boto3.client("s3", "eu-central-1").delete_object(Bucket="models", Key="serving/staging/acme/delays/endpoint.json")
    rig.load("1.0.0")
    rig.route(("1.0.0", 1.0))
    assert (rig.seen.revision, rig.seen.operation, len(account.list_models()["Models"])) == (1, "applied", 1)


def test_shared_weights_are_changed_in_place(moto_rig: Any, account: Any) -> None:
    rig = moto_rig
    for name in ("1.0.0", "2.0.0"):
        rig.load(name)
    rig.route(("1.0.0", 0.75), ("2.0.0", 0.25))
    rig.route(("1.0.0", 0.5), ("2.0.0", 0.5))
    variants = account.describe_endpoint(EndpointName=rig.name)["ProductionVariants"]
    assert [one["CurrentWeight"] for one in variants] == [0.5, 0.5]


def test_of_two_writers_of_a_record_one_is_refused(moto_rig: Any) -> None:
    bucket = Bucket(Aws("eu-central-1"), "models", "serving")
    nothing = bucket.read(moto_rig.endpoint)
    first = evolve(nothing.record, revision=1)
    assert bucket.write(moto_rig.endpoint, first, nothing.tag)
    assert not bucket.write(moto_rig.endpoint, evolve(first, revision=9), nothing.tag)
    kept = bucket.read(moto_rig.endpoint)
    assert kept.record == first
    assert bucket.write(moto_rig.endpoint, evolve(first, revision=2), kept.tag)
    assert not bucket.write(moto_rig.endpoint, evolve(first, revision=9), kept.tag)
    assert bucket.read(moto_rig.endpoint).record.revision == 2
    assert [one.model for one in bucket.endpoints("staging")] == ["delays"]
    assert list(bucket.endpoints("stag")) == []
