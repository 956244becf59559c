"""Artifacts in a bucket of S3: ``{tenant}/{first two digits}/{sha256}/{upload}``, a key of its own for every upload.

No key is ever written twice, so that the database alone decides which upload counts, and deleting one cannot harm another.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO

from attrs import define, field

from mlops_core.exceptions import ArtifactError
from mlops_registry_s3.blobs import S3Blobs
from mlops_registry_s3.client import S3Client
from mlops_registry_sql.owner import MARKER
from mlops_registry_sql.places import Found, Written, check_blob

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlops_core.records import Blob
    from mlops_core.roles import Progress

__all__ = ["BlobBucket"]

_KEY = re.compile(r"(?P<tenant>[^/]+)/[0-9a-f]{2}/(?P<sha256>[0-9a-f]{64})/(?P<location>[0-9a-f]{32})", re.ASCII)


@define(eq=False)
class BlobBucket:
    """Objects of ``bucket`` below ``prefix``; ``is_kept`` tells by tenant, digest and size whether the database has them, healthy."""

    client: S3Client
    bucket: str
    prefix: str
    is_kept: Callable[[str, str, int], bool]
    _blobs: S3Blobs = field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self._blobs = S3Blobs(self.client, self.bucket, self.prefix)

    @property
    def named_anew(self) -> bool:
        """Each upload has a key of its own."""
        return True

    def marker(self) -> str | None:
        """The registry that the prefix belongs to, if any."""
        found = self._blobs.objects.get(MARKER)
        return None if found is None else found.body.decode(errors="replace").strip()

    def mark(self, text: str) -> None:
        """Without a precondition, which not every server knows: of two that mark it in one moment, one finds the other's mark later."""
        self._blobs.objects.put(MARKER, text.encode())

    def close(self) -> None:
        """Close the connections of this process."""
        self.client.close()

    def sweep(self) -> None:
        """Nothing: a dead writer's uploads are told from a slow one's by their age only."""

    @contextmanager
    def writing(self, tenant: str, source: BinaryIO, size: int, sha256: str | None, progress: Progress | None) -> Iterator[Written]:
        """Upload the source, unless the bytes are kept already: then they are read and compared only."""
        location, sent = uuid.uuid4().hex, list[str]()

        def place(digest: str) -> str | None:
            if self.is_kept(tenant, digest, size):
                return None
            sent.append(self._key(tenant, digest, location))
            return sent[0]

        found = self._blobs.put(place, source, size=size, sha256=sha256, progress=progress)
        written = Written(sent[0] if sent else "", found, size, location if sent else "")
        try:
            yield written
        finally:
            if sent and not written.placed:
                self._blobs.delete(sent[0])

    def place(self, written: Written, tenant: str) -> None:
        """Keep the upload.

        Raises:
            ArtifactError: A sweep took it, or what was kept in its stead, since.
        """
        if not written.name or self._blobs.head(written.name) is None:
            raise ArtifactError(f"registry: blob {written.sha256} was swept while it was put - put it again")
        written.placed = True

    def holds(self, tenant: str, blob: Blob, location: str) -> bool:
        """Whether the object is there with all its bytes."""
        found = self._blobs.head(self._key(tenant, blob.sha256, location)) if location else None
        return found is not None and found.size == blob.size

    def open(self, tenant: str, blob: Blob, location: str, offset: int) -> BinaryIO:
        """A stream from ``offset``, which goes on where a connection breaks; raises ``ArtifactError``."""
        key = self._key(tenant, blob.sha256, location)
        if not location or (found := self._blobs.head(key)) is None:
            raise ArtifactError(f"registry: no blob {blob.sha256} in the store")
        return self._blobs.open(key, found.size, offset)

    def remove(self, tenant: str, sha256: str, location: str) -> None:
        """Delete the object; one that is gone already is fine."""
        if location:
            self._blobs.delete(self._key(tenant, sha256, location))

    def remove_older(self, tenant: str, sha256: str, location: str, age: float) -> bool:
        """Delete the object if it was uploaded at least ``age`` seconds ago."""
        try:
            key = self._key(tenant, sha256, location)
        except ArtifactError:
            return False
        found = self._blobs.head(key)
        if found is None or self.client.now() - found.modified < age:
            return False
        self._blobs.delete(key)
        return True

    def abandoned(self) -> Iterator[tuple[str, int, float]]:
        """Uploads of many parts that were neither completed nor aborted: location, size, seconds since the last part."""
        for one in self._blobs.unfinished():
            if _KEY.fullmatch(one.key):  # others may use the bucket too
                yield f"{one.upload_id} {one.key}", one.size, self.client.now() - one.modified

    def drop_abandoned(self, location: str) -> bool:
        """Abort the upload; False if it is none. Not every server tells that of an upload that it does not know."""
        upload_id, _, key = location.partition(" ")
        known = bool(key) and any(one.upload_id == upload_id for one in self._blobs.unfinished(key))
        return known and self._blobs.abort(key, upload_id)

    def files(self) -> Iterator[Found]:
        """Every object that has the form of a blob's key."""
        for one in self._blobs.listing():
            if name := _KEY.fullmatch(one.key):
                yield Found(name["tenant"], name["sha256"], name["location"], one.size, self.client.now() - one.modified)

    def _key(self, tenant: str, sha256: str, location: str) -> str:
        check_blob(tenant, sha256)
        return f"{tenant}/{sha256[:2]}/{sha256}/{location}"
