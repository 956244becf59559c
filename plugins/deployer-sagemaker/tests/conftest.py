"""A deployer over a cloud of its own."""

from __future__ import annotations

import functools
import importlib.util
import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pytest
from attrs import evolve

from mlops_core.exceptions import ArtifactError, DeploymentError
from mlops_core.records import EndpointKey, ModelVersion, Variant, VariantCount
from mlops_core.testing.clock import FakeClock
from mlops_core.testing.deployer_suite import DeployerRig
from mlops_deployer_sagemaker.aws import Aws
from mlops_deployer_sagemaker.deployer import SageMakerDeployer
from mlops_deployer_sagemaker.names import endpoint_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.cloud import Cloud

    from mlops_core.roles import ArtifactStore, Predictor

OPTIONS: dict[str, Any] = {
    "role": "arn:aws:iam::123456789012:role/serving",
    "image_uri": "123456789012.dkr.ecr.eu-central-1.amazonaws.com/serving:1",
    "bucket": "s3://models/serving",
    "region": "eu-central-1",
}


class Context:
    """Ports of an environment."""

    artifacts: ArtifactStore
    command: tuple[str, ...] = ()

    def __init__(self, folder: Path, clock: FakeClock) -> None:
        self.workdir, self.clock = folder / "environment", clock
        self.timeout, self.guarded = 300.0, False

    def progress(self, done: float, total: float | None = None, note: str = "") -> None:
        """Nobody looks."""

    def load(self, version: ModelVersion) -> Predictor:
        raise AssertionError("this deployer loads elsewhere")

    def bundle(self, version: ModelVersion, into: Path) -> Path:
        if version.metadata.get("fault") == "load":
            raise ArtifactError(f"artifact {version.version}: does not match its sha256")
        (into / "model").mkdir(parents=True)
        (into / "model" / "model.bin").write_bytes(version.version.encode() * 1000)
        (into / "bundle.json").write_text(json.dumps({"version": {"version": version.version}}))
        return into


class SageMakerRig(DeployerRig):
    """A deployer, its cloud, and what a client does."""

    deployer: SageMakerDeployer
    context: Context

    def __init__(self, folder: Path, cloud: Cloud, **options: Any) -> None:
        self.cloud, self.clock, self.options = cloud, cloud.clock, {**OPTIONS, **options}
        self.context = Context(folder, cloud.clock)
        self.deployer = self.again()

    def again(self) -> SageMakerDeployer:
        deployer = SageMakerDeployer(**self.options)
        deployer.attach("staging", self.context)
        return deployer

    def version(self, name: str, *, fault: Literal["", "load", "predict"] = "") -> ModelVersion:
        at = datetime(2024, 1, 1, tzinfo=UTC)
        if fault == "predict":
            self.cloud.broken.add(name)
        return ModelVersion("acme", "delays", name, name, f"sha-{name}", (), at, format="scripted", metadata={"fault": fault})

    def ask(self, endpoint: EndpointKey, *, unit: str | None = None) -> str:
        return self.deployer.predict(endpoint, {"x": np.ones(1)}, unit=unit).version

    def settle(self, endpoint: EndpointKey | None = None) -> None:
        """Also until the minute is whole, as one in which routes changed counts for nobody."""
        super().settle(endpoint)
        self.clock.advance(60 - self.clock.now().timestamp() % 60)

    def shadowed(self, version: str) -> VariantCount:
        self.clock.advance(60)  # CloudWatch's minute is over
        found = [one for one in self.deployer.observe(self.endpoint, since=1).counters if one.version == version]
        return VariantCount(version, 0, sum(one.total for one in found), sum(one.errors for one in found))

    def asks(self, count: int) -> None:
        for _ in range(count):
            try:
                self.ask(self.endpoint)
            except DeploymentError:
                continue

    @property
    def name(self) -> str:
        return endpoint_name(self.endpoint, self.options["bucket"])

    @property
    def seen(self) -> Any:
        return self.deployer.observe(self.endpoint)

    def begin(self, *weights: tuple[str, float], shadow: str | None = None, revision: int | None = None) -> int:
        """Set routes and do not wait for them."""
        variants = tuple(Variant(f"{number}-{version}", version, weight) for number, (version, weight) in enumerate(weights, 1))
        return self.deployer.set_routes(self.endpoint, variants, shadow, self.seen.revision if revision is None else revision)


@functools.cache
def _module() -> Any:
    """``cloud.py``, which is no package's."""
    spec = importlib.util.spec_from_file_location("cloud", Path(__file__).with_name("cloud.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["cloud"] = module  # attrs looks its annotations up there
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Cloud:
    """The account that every client of the test reaches, and none other."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    made: Cloud = _module().Cloud(FakeClock(datetime(2024, 5, 1, 12, tzinfo=UTC)))
    connect = Aws.connect
    monkeypatch.setattr(Aws, "connect", lambda self, service: made.attach(connect(self, service)))
    return made


@pytest.fixture
def make_rig(tmp_path: Path, cloud: Cloud) -> Any:
    """Rigs by option."""
    return lambda **options: SageMakerRig(tmp_path, cloud, **options)


@pytest.fixture
def moto_rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SageMakerRig]:
    """A rig whose account is moto's, with an empty bucket."""
    import boto3
    from moto import mock_aws

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with mock_aws():
        s3: Any = boto3.client("s3", "eu-central-1")
        s3.create_bucket(Bucket="models", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
        clock: Any = SimpleNamespace(clock=FakeClock(datetime.now(UTC)))
        yield SageMakerRig(tmp_path, clock)


@pytest.fixture
def rig(make_rig: Any) -> SageMakerRig:
    """A rig with the defaults."""
    return make_rig()  # type: ignore[no-any-return]  # the factory above makes nothing else


@pytest.fixture
def other(rig: SageMakerRig) -> EndpointKey:
    """Another tenant's endpoint of the same model."""
    return evolve(rig.endpoint, tenant="globex")
