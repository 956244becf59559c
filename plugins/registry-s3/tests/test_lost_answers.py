"""S3 did what was asked and its answer was lost, or S3 asks to be asked again: the result is right, and nothing is there twice."""

from __future__ import annotations

from contextlib import closing
from datetime import timedelta
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
from attrs import define
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.exceptions import ConnectionClosedError

from mlops_core.records import File, ModelVersion, Query
from mlops_core.testing.registry_samples import put, sample_entry, sample_version

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mlops_registry_s3.registry import S3Registry

    from .conftest import Wire


def lose_answer(request: Any, go: Callable[[], Any]) -> Any:
    """The server does it, and nobody hears."""
    go()
    raise ConnectionClosedError(endpoint_url=request.url)


@define(eq=False)
class _Raw:
    body: bytes

    def stream(self) -> Iterator[bytes]:
        yield self.body

    def read(self, *_: Any) -> bytes:
        return self.body


def answer_conflict(request: Any, go: Callable[[], Any]) -> Any:
    """As AWS does while another conditional write of the key is under way."""
    del go
    body = b"<Error><Code>ConditionalRequestConflict</Code><Message>Try again</Message></Error>"
    return AWSResponse(request.url, 409, HTTPHeaders(), _Raw(body))


def work(store: S3Registry) -> None:
    """Every write that there is."""
    blob = put(store, b"weights")
    assert put(store, b"weights") == blob
    store.add_version(sample_version("1.0.0", files=(File("a", blob),)))
    for i in range(2):
        store.add_next_version("acme", "m", lambda n, i=i: made(n, i), key=f"next {i}")  # type: ignore[misc]  # the default binds the loop's value
    assert store.append("acme", "j", 0, sample_entry()).position == 1
    assert store.append("acme", "j", 1, sample_entry()).position == 2
    store.retire_version("acme", "m", "1.0.0", sample_entry("retired"))
    assert store.lease("acme", "watch", "a", timedelta(hours=1))
    assert store.lease("acme", "watch", "a", timedelta(hours=2))
    assert store.lease("acme", "watch", "a", timedelta(0))


def made(number: int, i: int) -> ModelVersion:
    return sample_version(str(number), key=f"next {i}", number=number)


def look(store: S3Registry) -> Any:
    """What another process finds."""
    versions = store.find_versions("acme", Query(), retired=True).items
    journals = {name: [(one.position, one.kind) for one in store.read("acme", name)] for name in ("j", "versions/m")}
    blobs = [one.generations for one in store._parts.generations.all("acme")]  # noqa: SLF001  nothing public tells of a second copy
    return versions, journals, [len(one) for one in blobs], store.journals("acme", ""), list(store.leftovers(timedelta(0)))


@pytest.fixture
def stores(opener: Callable[..., S3Registry]) -> Callable[[str], S3Registry]:
    """A store by its name."""
    whole = opener().prefix
    return lambda name: opener.func(opener.args[0], f"{whole}/{name}", *opener.args[2:])  # type: ignore[attr-defined]  # a partial


@pytest.mark.parametrize("fault", [lose_answer, answer_conflict])
def test_whichever_write_goes_wrong(stores: Callable[[str], S3Registry], wire: Wire, fault: Any) -> None:
    wire.fault = fault
    wire.wanted = asks_first if fault is answer_conflict else writes

    def run(nth: int) -> tuple[bool, Any]:
        with closing(stores(f"{nth}")) as store:
            store.check()
            wire.aim(nth)
            work(store)
            hit = wire.hit
            wire.aim(0)
        with closing(stores(f"{nth}")) as other:
            return hit, look(other)

    _, expected = run(0)
    for nth in count(1):
        hit, found = run(nth)
        assert found == expected, nth
        if not hit:
            break
    assert nth > (8 if fault is answer_conflict else 15)
    assert expected[1] == {"j": [(1, "set"), (2, "set")], "versions/m": [(1, "retired")]}
    assert [one.number for one in expected[0]] == [None, 1, 2]
    assert expected[2] == [1]


def test_what_only_makes_a_version_quick_to_find_may_fail(opener: Callable[..., S3Registry], wire: Wire) -> None:
    """The version is there: a caller who was told of an error would add it once more."""
    wire.wanted, wire.fault, wire.every = names, refuse, True
    with closing(opener()) as store:
        added = [store.add_next_version("acme", "m", lambda n: made(n, n)).number for _ in range(3)]
    assert added == [1, 2, 3]
    wire.every = False
    with closing(opener()) as other:
        assert [one.number for one in other.find_versions("acme", Query()).items] == added
        assert other.get_version("acme", "m", "2") == other.find_versions("acme", Query()).items[1]


def names(request: Any) -> bool:
    return request.method == "PUT" and "/x/" in request.url


def refuse(request: Any, go: Callable[[], Any]) -> Any:
    del go
    body = b"<Error><Code>AccessDenied</Code><Message>No</Message></Error>"
    return AWSResponse(request.url, 403, HTTPHeaders(), _Raw(body))


def writes(request: Any) -> bool:
    return request.method in {"PUT", "POST"}


def asks_first(request: Any) -> bool:
    return bool({name.lower() for name in request.headers} & {"if-none-match", "if-match"})
