"""Versions as SageMaker's models: an archive in S3 and an entry that names it."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from attrs import define
from botocore.exceptions import ClientError

from mlops_core.exceptions import DeploymentError, MLOpsError
from mlops_deployer_sagemaker.archive import pack
from mlops_deployer_sagemaker.aws import Aws
from mlops_deployer_sagemaker.failures import exists_already, is_missing
from mlops_deployer_sagemaker.record import Bucket

if TYPE_CHECKING:
    from mlops_core.records import EndpointKey, ModelVersion
    from mlops_core.roles import DeployContext
    from mlops_deployer_sagemaker.change import Call

__all__ = ["Models", "archive_key"]

_DIGEST: Final = "sha256"


def archive_key(bucket: Bucket, endpoint: EndpointKey, model: str) -> str:
    """Where a model's archive lies: with the model's own name, so that it is nobody else's."""
    return bucket.key(endpoint, "models", model, "model.tar.gz")


@define(eq=False)
class Models:
    """Makes and deletes them; both may be repeated after any crash."""

    aws: Aws
    bucket: Bucket

    def make(self, endpoint: EndpointKey, version: ModelVersion, context: DeployContext, call: Call) -> None:
        """Pack, upload and create, each unless an earlier try did.

        Raises:
            DeploymentError: Its files are not those that were registered, or AWS refused.
        """
        context.workdir.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="pack-", dir=context.workdir) as scratch:
            folder, archive = Path(scratch) / "bundle", Path(scratch) / "model.tar.gz"
            try:
                context.bundle(version, folder)
            except MLOpsError as error:
                raise DeploymentError(f"deployer sagemaker: {version.model} {version.version} does not load: {error.message}") from error
            self._upload(archive_key(self.bucket, endpoint, call.arguments["ModelName"]), archive, pack(folder, archive))
        with self.aws.errors("sagemaker:create_model"):
            try:
                self.aws.call("sagemaker", call.operation, **call.arguments)
            except ClientError as error:
                if not exists_already(error):
                    raise

    def _upload(self, key: str, archive: Path, digest: str) -> None:
        with self.aws.errors("s3:PutObject"):
            try:
                found = self.aws.call("s3", "head_object", Bucket=self.bucket.name, Key=key)
                if found.get("Metadata", {}).get(_DIGEST) == digest:
                    return
            except ClientError as error:
                if not is_missing(error):
                    raise
            further = {"Metadata": {_DIGEST: digest}}
            self.aws.client("s3").upload_file(str(archive), self.bucket.name, key, ExtraArgs=further)

    def delete(self, endpoint: EndpointKey, model: str) -> None:
        """The entry, then the archive; what is gone is fine."""
        with self.aws.errors("sagemaker:delete_model"):
            try:
                self.aws.call("sagemaker", "delete_model", ModelName=model)
            except ClientError as error:
                if not is_missing(error):
                    raise
        with self.aws.errors("s3:DeleteObject"):
            self.aws.call("s3", "delete_object", Bucket=self.bucket.name, Key=archive_key(self.bucket, endpoint, model))
