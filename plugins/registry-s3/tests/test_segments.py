"""Whole logs in few requests, whatever happens to the segments."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from mlops_core.query import parse
from mlops_core.records import Query
from mlops_core.testing.registry_samples import sample_version
from mlops_registry_s3.keys import log, number_key
from mlops_registry_s3.versions import Added

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlops_registry_s3.registry import S3Registry

    from .conftest import Wire

COUNT = 1200


def reads(request: Any) -> bool:
    return bool(request.method == "GET")


@pytest.fixture
def many(store: S3Registry) -> S3Registry:
    """A log as it would have grown, without any segment."""
    store.check()
    bucket = store._parts.bucket  # noqa: SLF001  adding so many one by one takes too long

    def place(seq: int) -> None:
        version = sample_version(str(seq), number=seq, metadata={"odd": seq % 2})
        bucket.put(log("acme", "m") + number_key(seq), Added(seq, seq, f"{seq}", version).body())

    list(store._client.pool.map(place, range(1, COUNT + 1)))  # noqa: SLF001  the same
    return store


def numbers(store: S3Registry, query: Query, **more: Any) -> list[int | None]:
    return [one.number for one in store.find_versions("acme", query, **more).items]


def test_a_fresh_process_reads_few_objects(many: S3Registry, opener: Callable[..., S3Registry], wire: Wire) -> None:
    everything = list(range(1, COUNT + 1))
    assert numbers(many, Query()) == everything
    bucket = many._parts.bucket  # noqa: SLF001  nothing public tells of segments
    segments = [found.key for found in bucket.listing("acme/s/m/")]
    assert len(segments) == 37 + 1
    wire.wanted = reads
    with closing(opener()) as fresh:
        fresh.check()
        wire.aim(0)
        assert numbers(fresh, Query()) == everything
        assert wire.seen < 80
    with closing(opener()) as fresh:
        fresh.check()
        wire.aim(0)
        assert numbers(fresh, Query(limit=5), newest_first=True) == everything[:-6:-1]
        assert wire.seen < 30
    for segment in (segments[0], segments[3], next(one for one in segments if one.endswith("-000000001024"))):
        bucket.put(segment, bucket.need(segment).replace(b"odd", b"even", 1))
    bucket.delete(segments[7])
    with closing(opener()) as fresh:
        assert numbers(fresh, parse("odd = 1", default="metadata")) == everything[::2]
        assert fresh.add_next_version("acme", "m", lambda n: sample_version(str(n), number=n)).number == COUNT + 1
        assert fresh.add_version(sample_version("other", key="key 7")).version == "7"
    with closing(opener()) as fresh:  # what was damaged was written anew
        wire.aim(0)
        assert numbers(fresh, Query()) == [*everything, COUNT + 1]
        assert wire.seen < 80


def test_a_writer_leaves_a_segment_where_it_filled_one(store: S3Registry) -> None:
    for _ in range(33):
        store.add_next_version("acme", "m", lambda n: sample_version(str(n), number=n))
    assert [found.key for found in store._parts.bucket.listing("acme/s/m/")] == ["acme/s/m/000000000001-000000000032"]  # noqa: SLF001  the same


def test_a_version_whose_name_was_not_written_is_found(store: S3Registry, opener: Callable[..., S3Registry]) -> None:
    """A crash came between the log and the name."""
    added = store.add_version(sample_version())
    key = "acme/x/m/1.0.0"
    bucket = store._parts.bucket  # noqa: SLF001  the same
    bucket.delete(key)
    with closing(opener()) as fresh:
        assert fresh.get_version("acme", "m", "1.0.0") == added
    assert bucket.head(key) is not None
