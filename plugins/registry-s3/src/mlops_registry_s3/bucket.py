"""Objects of one bucket below one prefix: read, written, listed, compared and swapped."""

from __future__ import annotations

import random
import time
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any, Final

from attrs import define, field, frozen
from botocore.exceptions import ClientError

from mlops_core.exceptions import MLOpsError, VersioningError
from mlops_registry_s3.client import S3Client
from mlops_registry_s3.failures import BROKEN, code_of, status_of

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Bucket", "Found", "Stored"]

_MISSING: Final = 404
_CONFLICT: Final = 409
_REFUSED: Final = 412
_TRIES: Final = 12
_SLICE: Final = 1 << 18


def _trimmed(prefix: str) -> str:
    return prefix.strip("/")


@frozen
class Found:
    """An object in a listing. ``modified``: seconds since 1970 by the server's clock, which tells whole ones."""

    key: str
    size: int
    modified: float


@frozen
class Stored:
    """An object's bytes, and the tag that a swap compares."""

    body: bytes
    tag: str


@define(eq=False)
class Bucket:
    """Keys are relative to ``prefix``. Whatever S3 refuses becomes an error of class ``kind``."""

    client: S3Client
    name: str
    prefix: str = field(default="", converter=_trimmed)
    kind: type[MLOpsError] = VersioningError

    def path(self, key: str) -> str:
        """The whole key."""
        return f"{self.prefix}/{key}" if self.prefix else key

    def call(self, operation: str, key: str, **arguments: Any) -> Any:
        """A call about one object; raises what boto3 raises."""
        return self.client.call(operation, Bucket=self.name, Key=self.path(key), **arguments)

    @contextmanager
    def errors(self, key: str = "") -> Iterator[None]:
        """What boto3 raises inside becomes one line that names the object."""
        with self.client.errors(self.kind, f"s3://{self.name}/{self.path(key)}"):
            yield

    def get(self, key: str) -> Stored | None:
        """The object, or None."""
        with self.errors(key):
            left = _TRIES
            while True:
                try:
                    answer = self.call("get_object", key)
                except ClientError as error:
                    if code_of(error) == "NoSuchKey":
                        return None
                    raise
                try:
                    with closing(answer["Body"]) as body:
                        return Stored(body.read(), answer["ETag"])
                except BROKEN:
                    left -= 1
                    if not left:
                        raise
                    _wait(_TRIES - left)

    def need(self, key: str) -> bytes:
        """The bytes of an object that must be there."""
        if (stored := self.get(key)) is None:
            raise self.kind(f"{self.client.label}: s3://{self.name}/{self.path(key)}: is gone - restore the object from a backup")
        return stored.body

    def slice(self, key: str, start: int, stop: int) -> bytearray:
        """Bytes ``start`` to ``stop``; a broken connection is taken up where it broke."""
        got, left = bytearray(), _TRIES
        with self.errors(key):
            while len(got) < stop - start:
                before = len(got)
                answer = self.call("get_object", key, Range=f"bytes={start + before}-{stop - 1}")
                try:
                    with closing(answer["Body"]) as body:
                        for part in body.iter_chunks(_SLICE):
                            got += part
                except BROKEN:
                    left = _TRIES if len(got) > before else left - 1
                    if not left:
                        raise
                    _wait(_TRIES - left)
        return got

    def head(self, key: str) -> Found | None:
        """What a listing would say of the object, or None."""
        with self.errors(key):
            try:
                answer = self.call("head_object", key)
            except ClientError as error:
                if status_of(error) == _MISSING:
                    return None
                raise
        return Found(key, answer["ContentLength"], answer["LastModified"].timestamp())

    def put(self, key: str, body: bytes) -> None:
        """Write, whatever is there."""
        with self.errors(key):
            self.call("put_object", key, Body=body)

    def create(self, key: str, body: bytes) -> bytes | None:
        """Write where nothing is: None if it was written, else the bytes that are there.

        The answer to a write can be lost, and the write be sent again. Bytes that hold something that no other writer can have tell that
        what is there is the caller's own.
        """
        for attempt in range(_TRIES):
            if self._put_if(key, body, IfNoneMatch="*"):
                return None
            if (there := self.get(key)) is not None:
                return None if there.body == body else there.body
            _wait(attempt)  # it was there and is gone
        raise self.kind(f"{self.client.label}: s3://{self.name}/{self.path(key)}: is there and is not, in turn - does something delete it?")

    def replace(self, key: str, body: bytes, tag: str) -> bool:
        """Write over the object with this tag: False if another is there by now. ``body`` holds what no other writer can have."""
        if self._put_if(key, body, IfMatch=tag):
            return True
        there = self.get(key)
        return there is not None and there.body == body

    def _put_if(self, key: str, body: bytes, **condition: str) -> bool:
        """False if the condition does not hold. A writer beside this one can make S3 answer 409: it asks to be tried again."""
        with self.errors(key):
            for attempt in range(_TRIES):
                try:
                    self.call("put_object", key, Body=body, **condition)
                except ClientError as error:
                    if status_of(error) == _REFUSED:
                        return False
                    if "IfMatch" in condition and code_of(error) == "NoSuchKey":
                        return False
                    if status_of(error) != _CONFLICT or attempt == _TRIES - 1:
                        raise
                    _wait(attempt)
                else:
                    return True
        return False

    def delete(self, key: str) -> None:
        """Remove; what is not there is fine."""
        with self.errors(key):
            self.call("delete_object", key)

    def copy(self, source: str, target: str) -> bool:
        """Copy inside the server, up to 5 GiB; False if there is no source."""
        with self.errors(source):
            try:
                self.call("copy_object", target, CopySource={"Bucket": self.name, "Key": self.path(source)})
            except ClientError as error:
                if code_of(error) == "NoSuchKey":
                    return False
                raise
        return True

    def listing(self, prefix: str, *, after: str = "", limit: int | None = None) -> Iterator[Found]:
        """Objects whose key begins with ``prefix``, in the server's order, those behind ``after`` only."""
        start, left, asked = len(self.path("")), limit, self._asked(prefix)
        if after:
            asked["StartAfter"] = self.path(after)
        while left is None or left > 0:
            if left is not None:
                asked["MaxKeys"] = min(left, 1000)
            answer = self._list(prefix, asked)
            for one in answer.get("Contents", ()):
                yield Found(one["Key"][start:], one["Size"], one["LastModified"].timestamp())
            left = None if left is None else left - len(answer.get("Contents", ()))
            if not answer.get("IsTruncated"):
                return
            asked["ContinuationToken"] = answer["NextContinuationToken"]

    def folders(self, prefix: str) -> list[str]:
        """The next part of every key that begins with ``prefix``, sorted: servers order a folder and its neighbours differently."""
        names: list[str] = []
        asked = {**self._asked(prefix), "Delimiter": "/"}
        while True:
            answer = self._list(prefix, asked)
            names += [one["Prefix"].rstrip("/").rpartition("/")[2] for one in answer.get("CommonPrefixes", ())]
            if not answer.get("IsTruncated"):
                return sorted(names)
            asked["ContinuationToken"] = answer["NextContinuationToken"]

    def _asked(self, prefix: str) -> dict[str, Any]:
        return {"Bucket": self.name, "Prefix": self.path(prefix)}

    def _list(self, prefix: str, asked: dict[str, Any]) -> Any:
        with self.errors(prefix):
            return self.client.call("list_objects_v2", **asked)


def _wait(attempt: int) -> None:
    """Longer each time, and never as long as the others: 0.02 s at first, 1 s at most."""
    time.sleep(min(1.0, 0.02 * 2**attempt) * (0.5 + random.random() / 2))  # noqa: S311  to part two writers, not to hide from anybody
