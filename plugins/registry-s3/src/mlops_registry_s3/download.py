"""Read an object as a stream: ranges are fetched ahead, side by side, and resumed where a connection broke."""

from __future__ import annotations

import io
from collections import deque
from typing import TYPE_CHECKING, BinaryIO, Final

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Future

    from _typeshed import WriteableBuffer

    from mlops_registry_s3.bucket import Bucket

__all__ = ["download"]

_PART: Final = 4 << 20
_AHEAD: Final = 3  # parts fetched beside the one that is read
_BUFFER: Final = 1 << 16


def download(bucket: Bucket, key: str, size: int, offset: int) -> BinaryIO:
    """The object's bytes from ``offset`` on."""
    return io.BufferedReader(_Ranges(bucket, key, size, offset), _BUFFER)


class _Ranges(io.RawIOBase):
    """Bytes of consecutive ranges."""

    def __init__(self, bucket: Bucket, key: str, size: int, offset: int) -> None:
        super().__init__()
        self._bucket, self._key = bucket, key
        self._ranges = iter([(start, min(start + _PART, size)) for start in range(offset, size, _PART)])
        self._coming: deque[Future[bytearray]] = deque()
        self._one = size - offset <= _PART
        self._part = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        target = memoryview(buffer).cast("B")
        if not self._part and len(target):
            self._part = memoryview(self._following())
        count = min(len(target), len(self._part))
        target[:count] = self._part[:count]
        self._part = self._part[count:]
        return count

    def readall(self) -> bytes:
        return b"".join(self._rest())

    def _rest(self) -> Iterator[bytes | bytearray]:
        rest, self._part = self._part, memoryview(b"")
        yield bytes(rest)
        while part := self._following():
            yield part

    def _following(self) -> bytearray:
        """The next range; of a small object, fetched by this thread. Empty at the end."""
        if self._one:
            wanted = next(self._ranges, None)
            return bytearray() if wanted is None else self._bucket.slice(self._key, *wanted)
        self._part = memoryview(b"")
        self._fetch(_AHEAD)
        if not self._coming:
            return bytearray()
        part = self._coming.popleft().result()
        self._fetch(_AHEAD)
        return part

    def _fetch(self, ahead: int) -> None:
        while len(self._coming) < ahead and (wanted := next(self._ranges, None)) is not None:
            self._coming.append(self._bucket.client.pool.submit(self._bucket.slice, self._key, *wanted))

    def close(self) -> None:
        for part in self._coming:
            part.cancel()
        self._coming.clear()
        self._part = memoryview(b"")
        super().close()
