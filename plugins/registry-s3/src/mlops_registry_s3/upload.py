"""Stream a source into an object while it is hashed: in one request, or in parts side by side with bounded memory."""

from __future__ import annotations

import hashlib
import tempfile
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from attrs import frozen
from botocore.exceptions import ClientError

from mlops_core.exceptions import ArtifactError, MLOpsError
from mlops_core.roles import Progress
from mlops_registry_s3.failures import code_of

if TYPE_CHECKING:
    from mlops_registry_s3.bucket import Bucket

__all__ = ["Place", "Source", "upload"]

Place = str | Callable[[str], str | None]
"""The key to write to, or what tells it by the sha256; None where the bytes are there already."""

PART: Final = 8 << 20
_PARTS: Final = 10_000
_LARGEST: Final = 5 << 40
_HELD: Final = 24 << 20  # bytes of parts on their way
_CHUNK: Final = 1 << 20


@frozen
class Source:
    """What a caller announces: ``size`` bytes, and perhaps their digest."""

    stream: BinaryIO
    size: int
    sha256: str | None = None
    progress: Progress | None = None
    label: str = "registry.s3"

    def chunks(self, length: int, *, tell: bool = True) -> Iterator[bytes]:
        """The source in chunks of ``length``, the last one shorter.

        Raises:
            ArtifactError: At the end, if it has another size.
        """
        done = 0
        while chunk := self._read(min(length, self.size + 1 - done)):
            done += len(chunk)
            if done > self.size:
                break
            yield chunk
            if tell and self.progress is not None:
                self.progress(done, self.size)
        if done != self.size:
            has = "more" if done > self.size else done
            raise ArtifactError(f"{self.label}: expected {self.size} bytes, the source has {has} - did it change while it was read?")

    def _read(self, length: int) -> bytes:
        """As much as was asked for, unless the source ends: a short read is no end."""
        first = self.stream.read(length)
        if len(first) in (0, length):
            return first
        gathered = bytearray(first)
        while len(gathered) < length and (more := self.stream.read(length - len(gathered))):
            gathered += more
        return bytes(gathered)

    def confirm(self, found: str) -> None:
        """Raise ``ArtifactError`` if the digest is not the one announced."""
        if self.sha256 not in (None, found):
            raise ArtifactError(f"{self.label}: expected sha256 {self.sha256}, the source has {found} - did it change while it was read?")

    def hashed(self, into: BinaryIO | None = None, *, tell: bool = False) -> str:
        """Read it to its end, copy it where asked, and answer the digest, which is the announced one."""
        digest = hashlib.sha256()
        for chunk in self.chunks(_CHUNK, tell=tell):
            digest.update(chunk)
            if into is not None:
                into.write(chunk)
        self.confirm(found := digest.hexdigest())
        return found


def upload(bucket: Bucket, source: Source, place: Place) -> str:
    """Store the source where ``place`` says, and answer its sha256. Whatever fails, nothing is left behind.

    Raises:
        ArtifactError: The source has another size or digest than announced, or S3 refused.
    """
    if source.size <= PART:
        return _whole(bucket, source, place)
    if source.size > _LARGEST:
        raise ArtifactError(f"{source.label}: {source.size} bytes are more than S3 keeps in one object - split the file")
    with _ready(source, place) as (known, ready):
        key = place if isinstance(place, str) else place(str(known.sha256))
        if key is not None:
            return _in_parts(bucket, known, key)
        if not ready:
            return known.hashed(tell=True)
        if known.progress is not None:
            known.progress(known.size, known.size)
        return str(known.sha256)


def _whole(bucket: Bucket, source: Source, place: Place) -> str:
    data = b"".join(source.chunks(_CHUNK))
    source.confirm(found := hashlib.sha256(data).hexdigest())
    if (key := place if isinstance(place, str) else place(found)) is not None:
        bucket.put(key, data)
    return found


@contextmanager
def _ready(source: Source, place: Place) -> Iterator[tuple[Source, bool]]:
    """The source at its beginning with its digest, where a key depends on it; and whether the digest is that of the bytes."""
    if isinstance(place, str) or source.sha256 is not None:
        yield source, False
    elif source.stream.seekable():
        start = source.stream.tell()
        found = source.hashed()
        source.stream.seek(start)
        yield Source(source.stream, source.size, found, source.progress, source.label), True
    else:
        with tempfile.TemporaryFile() as spool:  # it has no name, so that no dead process leaves it
            found = source.hashed(spool)
            spool.seek(0)
            yield Source(spool, source.size, found, source.progress, source.label), True


def _in_parts(bucket: Bucket, source: Source, key: str) -> str:
    """A multipart upload that exists completely or is aborted."""
    length = max(PART, -(-source.size // _PARTS))
    with bucket.errors(key):
        upload_id = bucket.call("create_multipart_upload", key)["UploadId"]
    pending: deque[Future[dict[str, Any]]] = deque()
    try:
        digest, parts = hashlib.sha256(), list[dict[str, Any]]()
        for number, chunk in enumerate(source.chunks(length), 1):
            if len(pending) >= max(1, _HELD // length):
                parts.append(pending.popleft().result())
            pending.append(bucket.client.pool.submit(_part, bucket, key, UploadId=upload_id, PartNumber=number, Body=chunk))
            digest.update(chunk)
        source.confirm(found := digest.hexdigest())
        while pending:
            parts.append(pending.popleft().result())
        _complete(bucket, key, upload_id, parts, source.size)
    except BaseException:
        for part in pending:
            part.cancel()
        wait(pending)
        with suppress(MLOpsError), bucket.errors(key):
            bucket.call("abort_multipart_upload", key, UploadId=upload_id)
        raise
    return found


def _part(bucket: Bucket, key: str, **arguments: Any) -> dict[str, Any]:
    """What the end of the upload tells of the part: also the checksum that boto3 sent, which AWS wants to hear again."""
    with bucket.errors(key):
        answer = bucket.call("upload_part", key, **arguments)
    checksums = {name: value for name, value in answer.items() if name.startswith("Checksum") and name != "ChecksumType"}
    return {"PartNumber": arguments["PartNumber"], "ETag": answer["ETag"], **checksums}


def _complete(bucket: Bucket, key: str, upload_id: str, parts: list[dict[str, Any]], size: int) -> None:
    """Where the first answer was lost, the upload is gone and the object is there."""
    with bucket.errors(key):
        try:
            bucket.call("complete_multipart_upload", key, UploadId=upload_id, MultipartUpload={"Parts": parts})
        except ClientError as error:
            found = bucket.head(key) if code_of(error) == "NoSuchUpload" else None
            if found is None or found.size != size:
                raise
