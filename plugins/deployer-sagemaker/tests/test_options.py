"""Options that cannot be are refused when they are read."""

from __future__ import annotations

import math
from typing import Any

import pytest

from mlops_core.exceptions import DeploymentError
from mlops_core.records import EndpointKey
from mlops_deployer_sagemaker.deployer import SageMakerDeployer

GIVEN: dict[str, Any] = {"role": "arn:aws:iam::123456789012:role/serving", "image_uri": "image:1", "bucket": "s3://models/serving"}


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("role", "serving", "role 'serving' is no ARN of a role - give one such as arn:aws:iam"),
        ("bucket", "models", "bucket 'models' is no place in S3 - give one such as s3://models/serving"),
        ("bucket", "s3://M", "is no place in S3"),
        ("image_uri", "", "image_uri '' is no address of an image"),
        ("image_uri", "a b", "image_uri 'a b' is no address of an image"),
        ("instance_type", "m5.large", "instance_type 'm5.large' is no type of SageMaker's"),
        ("instance_count", 0, "instance_count is 0 - give 1 to 1000"),
        ("startup_timeout", 30, "startup_timeout is 30 - give 60 to 3600"),
        ("patience", math.nan, "patience is nan - give 1 to"),
        ("guardrail_size", 51, "guardrail_size is 51 - give 1 to 50"),
        ("guardrail_deadline", 60, "guardrail_deadline is 60 - give 600 to 28800"),
        ("alarms", ("errors",), "alarms take back a shift of guardrails, and there are none"),
    ],
)
def test_what_cannot_be_is_one_line(name: str, value: Any, said: str) -> None:
    with pytest.raises(DeploymentError) as raised:
        SageMakerDeployer(**{**GIVEN, name: value})
    assert raised.value.message.startswith(f"deployer sagemaker: {said}") or said in raised.value.message
    assert "\n" not in raised.value.message


def test_a_linear_step_is_a_tenth_at_least() -> None:
    with pytest.raises(DeploymentError, match="guardrail_size is 5 - a linear step has 10 to 50 per cent"):
        SageMakerDeployer(**GIVEN, guardrails="linear", guardrail_size=5)


@pytest.mark.parametrize(
    ("bucket", "place"), [("s3://models", ("models", "")), ("s3://models/", ("models", "")), ("s3://models/a/b/", ("models", "a/b"))]
)
def test_a_place_is_a_bucket_and_a_prefix(bucket: str, place: tuple[str, str]) -> None:
    assert SageMakerDeployer(**{**GIVEN, "bucket": bucket}).place == place


def test_a_place_has_one_endpoint_however_it_is_written(make_rig: Any) -> None:
    rig = make_rig()
    rig.load("1.0.0")
    rig.route(("1.0.0", 1.0))
    again = make_rig(bucket="s3://models/serving/")
    assert (again.seen.operation, again.seen.url) == ("applied", rig.seen.url)
    assert list(rig.cloud.endpoints) == [rig.name]


def test_composing_reaches_nothing_and_before_it_is_attached_it_says_so(cloud: Any) -> None:
    deployer = SageMakerDeployer(**GIVEN, region="eu-central-1")
    with pytest.raises(DeploymentError, match="it was given no environment"):
        deployer.unload(EndpointKey("acme", "staging", "delays"), "1.0.0")
    assert [name for name, _ in cloud.calls] == ["GetObject"]


def test_an_endpoint_url_is_not_shown() -> None:
    assert "hush" not in repr(SageMakerDeployer(**GIVEN, endpoint_url="http://me:hush@host"))
