"""Where a registry keeps its artifacts, as its options say: a folder, or a bucket."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import field, frozen

from mlops_core.exceptions import VersioningError
from mlops_registry_sql.blobs import BlobFolder

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlops_registry_sql.places import BlobPlace

__all__ = ["S3Options", "place_of", "place_text"]

_S3 = "s3://"


@frozen
class S3Options:
    """How to reach the bucket of ``artifacts: s3://...``; without them boto3 finds out by itself."""

    endpoint_url: str | None = field(default=None, metadata={"help": "the server's URL; by default AWS S3"})
    region: str | None = field(default=None, metadata={"help": "the bucket's region; by default as boto3 finds it"})
    access_key: str | None = field(default=None, repr=False, metadata={"help": "the key's id; by default as boto3 finds it"})
    secret_key: str | None = field(default=None, repr=False, metadata={"help": "the key's secret; by default as boto3 finds it"})


def place_text(given: str | os.PathLike[str]) -> str:
    """A bucket's URL as it is, a folder as the working folder is now: it may change before the first use."""
    text = os.fspath(given)
    return text if text.startswith(_S3) else str(Path(text).absolute())


def place_of(plugin: str, artifacts: str, s3: S3Options, is_kept: Callable[[str, str, int], bool]) -> BlobPlace:
    """The place; nothing is opened yet.

    Raises:
        VersioningError: The URL names no bucket, or the extra ``[s3]`` is not installed.
    """
    if not artifacts.startswith(_S3):
        return BlobFolder(Path(artifacts))
    bucket, _, prefix = artifacts.removeprefix(_S3).partition("/")
    if not bucket:
        raise VersioningError(f"{plugin}: artifacts: {artifacts!r} names no bucket - give s3://bucket/prefix")
    try:
        from mlops_registry_s3.client import S3Client
        from mlops_registry_sql.bucket import BlobBucket
    except ModuleNotFoundError as error:
        raise VersioningError(
            f"{plugin}: artifacts: a bucket needs {error.name} - run `pip install 'motadata-mlops-registry-sql[s3]'`"
        ) from error
    client = S3Client(s3.endpoint_url, s3.region, s3.access_key, s3.secret_key, label=plugin)
    return BlobBucket(client, bucket, prefix.rstrip("/"), is_kept)
