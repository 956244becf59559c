"""Errors of AWS become one line with a remedy: from botocore's own stubs, and from a machine without an account."""

from __future__ import annotations

from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError, NoRegionError
from botocore.stub import Stubber

from mlops_core.exceptions import DeploymentError, MLOpsError
from mlops_core.records import EndpointKey
from mlops_core.testing.clock import FakeClock
from mlops_deployer_sagemaker.aws import Aws
from mlops_deployer_sagemaker.failures import OutageError, exists_already, is_busy, is_missing, told
from mlops_deployer_sagemaker.hosting import Hosting

KEY = EndpointKey("acme", "staging", "delays")


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> Any:
    """SageMaker's client, stubbed."""
    client = boto3.client("sagemaker", "eu-central-1", aws_access_key_id="id", aws_secret_access_key="hush")
    monkeypatch.setattr(Aws, "connect", lambda *_: client)
    with Stubber(client) as stubber:
        yield stubber


@pytest.mark.parametrize(
    ("code", "kind", "said"),
    [
        ("AccessDeniedException", DeploymentError, "AWS denies sagemaker:describe_endpoint (AccessDeniedException) - allow it"),
        ("ExpiredTokenException", OutageError, "AWS does not know these credentials (ExpiredTokenException) - log in anew"),
        ("ThrottlingException", OutageError, "AWS takes no more calls at present (ThrottlingException) - try again later"),
        ("ResourceLimitExceeded", DeploymentError, "some words (ResourceLimitExceeded) - ask for more in Service Quotas"),
        ("InternalFailure", OutageError, "AWS answers InternalFailure to sagemaker:describe_endpoint: some words"),
    ],
)
def test_a_refusal_names_the_call_and_the_remedy(stub: Any, code: str, kind: type[MLOpsError], said: str) -> None:
    for _ in range(10):
        stub.add_client_error("describe_endpoint", code, "some\n words", 500 if code == "InternalFailure" else 400)
    with pytest.raises(kind) as raised:
        Hosting(Aws("eu-central-1"), "e", FakeClock(), 60.0).look()

    assert raised.value.message.startswith(f"deployer sagemaker: {said}")
    assert (type(raised.value), "\n" in raised.value.message) == (kind, False)
    assert isinstance(raised.value.__cause__, ClientError)


def test_an_endpoint_that_is_not_there_is_no_error(stub: Any) -> None:
    stub.add_client_error("describe_endpoint", "ValidationException", 'Could not find endpoint "e".', 400)
    assert Hosting(Aws("eu-central-1"), "e", FakeClock(), 60.0).look() is None


def test_words_of_sagemaker_that_mean_something() -> None:
    def error(code: str, words: str) -> ClientError:
        return ClientError({"Error": {"Code": code, "Message": words}}, "DescribeEndpoint")

    assert is_missing(error("ValidationException", 'Could not find model "m".'))
    assert not is_missing(error("ValidationException", "1 validation error detected"))
    assert exists_already(error("ValidationException", 'Cannot create already existing model "m".'))
    assert is_busy(error("ValidationException", 'Cannot update in-progress endpoint "e".'))
    assert not is_busy(error("AccessDeniedException", "in-progress"))


@pytest.mark.parametrize(
    ("error", "kind", "said"),
    [
        (NoCredentialsError(), OutageError, "no credentials (NoCredentialsError) - run `aws configure`"),
        (NoRegionError(), DeploymentError, "no region - set the option `region`"),
        (EndpointConnectionError(endpoint_url="http://me:hush@host"), OutageError, "AWS cannot be reached (EndpointConnectionError)"),
        (ClientError({"Error": {"Code": "NoSuchBucket", "Message": "x"}}, "GetObject"), DeploymentError, "there is no such bucket"),
        (ValueError("odd\nvalue"), DeploymentError, "ValueError: odd value"),
    ],
)
def test_what_is_not_answered_has_a_remedy_and_no_secret(error: Exception, kind: type[MLOpsError], said: str) -> None:
    found = told(error, "s3:GetObject")
    assert type(found) is kind
    assert found.message.startswith(f"deployer sagemaker: {said}")
    assert "hush" not in found.message


def test_without_a_region_or_credentials_the_first_call_says_so(make_rig: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    for name in ("AWS_DEFAULT_REGION", "AWS_REGION", "AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(DeploymentError, match="deployer sagemaker: no region - set the option `region`, or AWS_DEFAULT_REGION"):
        make_rig(region=None).deployer.check()


def test_a_version_whose_files_are_not_those_registered_uploads_nothing(rig: Any) -> None:
    with pytest.raises(DeploymentError, match=r"delays 1\.0\.0 does not load: artifact 1\.0\.0: does not match its sha256"):
        rig.deployer.load(rig.endpoint, rig.version("1.0.0", fault="load"), rig.context)
    assert rig.cloud.objects == {}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"format": 2}', "format 2 is not known to this release - install a newer one"),
        (b"{", r"is not readable \(JSONDecodeError\) - restore an older one of its versions"),
        (b'{"format": 1, "strange": 1}', "is not readable"),
    ],
)
def test_a_record_of_another_release_is_not_guessed_at(rig: Any, body: bytes, said: str) -> None:
    rig.cloud.objects["serving/staging/acme/delays/endpoint.json"] = (body, {}, '"t"')
    with pytest.raises(DeploymentError, match=f"s3://models/serving/staging/acme/delays/endpoint.json: {said}"):
        rig.deployer.observe(KEY)


def test_a_check_reaches_the_bucket_and_sagemaker(rig: Any) -> None:
    rig.deployer.check()
    assert [name for name, _ in rig.cloud.calls] == ["HeadBucket", "ListEndpoints"]
    rig.cloud.refuse("HeadBucket", "403", "Forbidden", 403)
    with pytest.raises(DeploymentError, match=r"AWS denies s3:ListBucket \(403\)"):
        rig.deployer.check()
