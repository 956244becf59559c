"""Files of many parts: bounded memory, resumed downloads, nothing left of an upload that failed."""

from __future__ import annotations

import hashlib
import io
import itertools
import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import pytest
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders

from mlops_core.exceptions import ArtifactError
from mlops_core.records import Blob
from mlops_core.testing.registry_artifact_suite import read_back

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlops_registry_s3.registry import S3Registry

    from .conftest import Wire

BIG = bytes(range(256)) * (80 << 10)  # 20 MiB: three parts, five ranges
DIGEST = hashlib.sha256(BIG).hexdigest()

PROGRAM = """
import hashlib, io, resource, sys
from mlops_registry_s3.blobs import S3Blobs
from mlops_registry_s3.client import S3Client

class Source(io.RawIOBase):
    def __init__(self, left): self.left, self.block = left, bytes(range(256)) * 4096
    def read(self, size=-1):
        taken = self.block[: min(size, self.left)]
        self.left -= len(taken)
        return taken

def most():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // (1024 if sys.platform == "linux" else 1 << 20)

url, region, access, secret, bucket, prefix = sys.argv[1:]
blobs, size = S3Blobs(S3Client(url, region, access, secret), bucket, prefix), 96 << 20
blobs.put("small", io.BytesIO(b"x" * (9 << 20)), size=9 << 20)
with blobs.open("small", 9 << 20) as stream:
    stream.read(1 << 20)
before = most()
digest = blobs.put("big", Source(size), size=size)
written, found = most(), hashlib.sha256()
with blobs.open("big", size) as stream:
    while chunk := stream.read(1 << 20):
        found.update(chunk)
assert found.hexdigest() == digest
print(written - before, most() - before)
"""


class Pipe(io.RawIOBase):
    """A source that cannot go back."""

    def __init__(self, data: bytes) -> None:
        super().__init__()
        self._data = io.BytesIO(data)

    def read(self, size: int = -1) -> bytes:
        return self._data.read(min(size, 3 << 20))


SOURCES: list[Callable[[bytes], Any]] = [io.BytesIO, Pipe]


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("told", [None, DIGEST])
def test_a_file_of_many_parts_comes_back(store: S3Registry, source: Callable[[bytes], BinaryIO], told: str | None) -> None:
    seen: list[float] = []

    def progress(done: float, total: float | None = None, note: str = "") -> None:
        seen.append(done)

    for _ in range(2):
        assert store.put_artifact("acme", source(BIG), size=len(BIG), sha256=told, progress=progress) == Blob(DIGEST, len(BIG))
        assert seen == sorted(seen)
        assert seen[-1] == len(BIG)
        seen.clear()
    (held,) = store._parts.generations.all("acme")  # noqa: SLF001  nothing public tells of a second copy
    assert len(held.generations) == 1
    assert read_back(store, Blob(DIGEST, len(BIG)), offset=5 << 20) == BIG[5 << 20 :]
    with closing(store.open_artifact("acme", Blob(DIGEST, len(BIG)))) as stream:
        assert stream.read(10) == BIG[:10]
        assert stream.read(9 << 20) == BIG[10 : 10 + (9 << 20)]


@pytest.mark.parametrize("told", [None, "0" * 64])
@pytest.mark.parametrize("announced", [len(BIG), len(BIG) + 1, len(BIG) - 1])
def test_what_does_not_match_is_aborted(store: S3Registry, told: str | None, announced: int) -> None:
    if told is None and announced == len(BIG):
        told = "f" * 64
    with pytest.raises(ArtifactError):
        store.put_artifact("acme", cast("BinaryIO", Pipe(BIG)), size=announced, sha256=told)
    assert_nothing(store)


def assert_nothing(store: S3Registry) -> None:
    blobs = store._parts.generations.blobs  # noqa: SLF001  nothing public tells of uploads
    assert list(blobs.unfinished()) == []
    assert list(blobs.listing("acme/")) == []


def test_an_upload_that_the_server_refuses_is_aborted(store: S3Registry, wire: Wire) -> None:
    wire.fault = lambda request, go: refused(request)
    wire.wanted = lambda request: "partNumber=2" in request.url
    store.check()
    wire.aim(1)
    with pytest.raises(ArtifactError, match="denies access"):
        store.put_artifact("acme", io.BytesIO(BIG), size=len(BIG))
    wire.aim(0)
    assert_nothing(store)


def test_an_upload_whose_end_was_not_heard_is_complete(store: S3Registry, wire: Wire) -> None:
    """The server knows no such upload any more when it is told again."""

    def lose(request: Any, go: Callable[[], Any]) -> Any:
        go()
        return answer(request, 404, b"<Error><Code>NoSuchUpload</Code></Error>")

    wire.fault, wire.wanted = lose, lambda request: request.method == "POST" and "uploadId=" in request.url
    store.check()
    wire.aim(1)
    blob = store.put_artifact("acme", io.BytesIO(BIG), size=len(BIG))
    assert wire.hit
    assert read_back(store, blob) == BIG


def refused(request: Any) -> Any:
    return answer(request, 403, b"<Error><Code>AccessDenied</Code></Error>")


def answer(request: Any, status: int, body: bytes) -> Any:
    raw = type("Raw", (), {"stream": lambda self: iter([body]), "read": lambda self, *_: body})()
    return AWSResponse(request.url, status, HTTPHeaders(), raw)


def test_a_broken_download_goes_on_where_it_broke(store: S3Registry, wire: Wire) -> None:
    blob = store.put_artifact("acme", io.BytesIO(BIG), size=len(BIG))
    ranges: list[str] = []
    numbers = itertools.count(1)

    def cut(request: Any, go: Callable[[], Any]) -> Any:
        """Three times the server gives a third of what it promised; parts are asked for side by side."""
        number = next(numbers)
        ranges.append(request.headers["Range"].decode() if isinstance(request.headers["Range"], bytes) else request.headers["Range"])
        response = go()
        if number <= 3:
            whole = response.raw.read
            response.raw.read = lambda *_, **__: b"" if response.raw.tell() > 1 << 20 else whole(1 << 18)
        return response

    wire.fault, wire.wanted = cut, lambda request: "Range" in request.headers
    wire.every = True
    assert read_back(store, blob) == BIG
    assert len(ranges) == 5 + 3
    assert len(set(ranges)) == len(ranges)


def test_memory_is_bounded(store: S3Registry) -> None:
    """96 MiB through less than 64."""
    store.check()
    where = (store.endpoint_url, store.region, store.access_key, store.secret_key, store.bucket, store.prefix)
    told = subprocess.run([sys.executable, "-c", PROGRAM, *map(str, where)], check=True, capture_output=True, text=True)
    written, all_in_all = map(int, told.stdout.split())
    assert written < 64
    assert all_in_all < 64
