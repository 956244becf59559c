"""Big objects of a bucket: streamed in while they are hashed, streamed out from any offset, listed, copied, deleted.

This module and those below it (client, bucket, upload, download, failures) know nothing of a registry.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO

from attrs import define, field, frozen

from mlops_core.exceptions import ArtifactError
from mlops_registry_s3.bucket import Bucket, Found
from mlops_registry_s3.client import S3Client
from mlops_registry_s3.download import download
from mlops_registry_s3.failures import code_of
from mlops_registry_s3.upload import Place, Source, upload

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlops_core.roles import Progress

__all__ = ["S3Blobs", "Unfinished"]

COPY_LIMIT = 5 << 30  # bytes that S3 copies in one request


@frozen
class Unfinished:
    """A multipart upload that was begun and neither completed nor aborted. ``modified``: when its last part came, or it began."""

    key: str
    upload_id: str
    size: int
    modified: float


@define(eq=False)
class S3Blobs:
    """Objects of ``bucket`` below ``prefix``; keys are relative to it. Errors are ``ArtifactError``. Constructing it does no I/O."""

    client: S3Client
    bucket: str
    prefix: str = ""
    objects: Bucket = field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self.objects = Bucket(self.client, self.bucket, self.prefix, ArtifactError)

    def put(self, place: Place, source: BinaryIO, *, size: int, sha256: str | None = None, progress: Progress | None = None) -> str:
        """Stream ``size`` bytes to a key, and answer their sha256.

        ``place`` is the key, or a function that is given the sha256 and answers the key, or None where these bytes are there already: they
        are read and compared all the same. It is asked before the first byte is sent. The object is complete or is not there.

        Raises:
            ArtifactError: The source is shorter or longer than ``size``, or does not match ``sha256``; or S3 refused.
        """
        return upload(self.objects, Source(source, size, sha256, progress, self.client.label), place)

    def open(self, key: str, size: int, offset: int = 0) -> BinaryIO:
        """A stream of the object, which has ``size`` bytes, from ``offset``. Nothing is asked of S3 before the first read."""
        return download(self.objects, key, size, offset)

    def head(self, key: str) -> Found | None:
        """Size and time of the object, or None."""
        return self.objects.head(key)

    def listing(self, prefix: str = "") -> Iterator[Found]:
        """Objects whose key begins with ``prefix``."""
        return self.objects.listing(prefix)

    def delete(self, key: str) -> None:
        """Remove the object; one that is not there is fine."""
        self.objects.delete(key)

    def copy(self, source: str, target: str) -> bool:
        """Copy inside the server, up to 5 GiB; False if there is no source."""
        return self.objects.copy(source, target)

    def unfinished(self, prefix: str = "") -> Iterator[Unfinished]:
        """Multipart uploads whose key begins with ``prefix``."""
        start, asked = len(self.objects.path("")), {"Bucket": self.bucket, "Prefix": self.objects.path(prefix)}
        while True:
            with self.objects.errors(prefix):
                answer = self.client.call("list_multipart_uploads", **asked)
            for one in answer.get("Uploads", ()):
                if (found := self._unfinished(one["Key"][start:], one["UploadId"], one["Initiated"].timestamp())) is not None:
                    yield found
            if not answer.get("IsTruncated"):
                return
            asked |= {"KeyMarker": answer["NextKeyMarker"], "UploadIdMarker": answer["NextUploadIdMarker"]}

    def _unfinished(self, key: str, upload_id: str, begun: float) -> Unfinished | None:
        """With the time of its last part: a slow writer is alive. None if it ended meanwhile."""
        size, modified, marker = 0, begun, 0
        while True:
            try:
                with self.objects.errors(key):
                    answer = self.objects.call("list_parts", key, UploadId=upload_id, PartNumberMarker=marker)
            except ArtifactError as error:
                if error.__cause__ is not None and code_of(error.__cause__) == "NoSuchUpload":
                    return None
                raise
            for part in answer.get("Parts", ()):
                size, modified = size + part["Size"], max(modified, part["LastModified"].timestamp())
            if not answer.get("IsTruncated"):
                return Unfinished(key, upload_id, size, modified)
            marker = answer["NextPartNumberMarker"]

    def abort(self, key: str, upload_id: str) -> bool:
        """End an unfinished upload and free its parts; False if it is none."""
        try:
            with self.objects.errors(key):
                self.objects.call("abort_multipart_upload", key, UploadId=upload_id)
        except ArtifactError as error:
            if error.__cause__ is not None and code_of(error.__cause__) == "NoSuchUpload":
                return False
            raise
        return True
