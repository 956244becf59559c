"""What crashes leave is found; what is in use, or comes into use on the way, stays."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from attrs import evolve

from mlops_core.exceptions import ArtifactError
from mlops_core.records import ArtifactRef, Blob, File, Leftover
from mlops_core.testing.registry_artifact_suite import read_back
from mlops_core.testing.registry_samples import put, sample_entry, sample_version
from mlops_registry_s3.keys import envelope, log

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mlops_registry_s3.generations import Generations
    from mlops_registry_s3.registry import S3Registry

NOW = timedelta(0)
AGO = -1e9  # a settling time that is over whenever it began


@pytest.fixture
def sweeper(opener: Callable[..., S3Registry]) -> Iterator[S3Registry]:
    """Another process that sweeps."""
    with closing(opener(settle=AGO)) as store:
        yield store


def parts(store: S3Registry) -> Generations:
    store.check()
    return store._parts.generations  # noqa: SLF001  nothing public tells of generations


def mark(store: S3Registry, blob: Blob) -> None:
    """What a sweep does that looked before the blob came into use."""
    (one,) = parts(store).held("acme", blob.sha256).usable
    parts(store).mark("acme", blob.sha256, one.nonce)


def found(store: S3Registry) -> list[Leftover]:
    return list(store.leftovers(NOW))


def test_a_mark_lasts_until_every_writer_has_ended(store: S3Registry, opener: Callable[..., S3Registry]) -> None:
    put(store, b"weights")
    (leftover,) = found(store)
    with closing(opener(settle=1.5)) as sweeper:
        assert [sweeper.discard(leftover) for _ in range(3)] == [False] * 3
    assert [one.location for one in found(store)] == [leftover.location]


def test_what_was_named_before_the_mark_stays(store: S3Registry, sweeper: S3Registry) -> None:
    blob = put(store, b"weights")
    (leftover,) = found(sweeper)
    store.add_version(sample_version(files=(File("a", blob),)))
    mark(store, blob)
    assert not sweeper.discard(leftover)
    assert found(store) == []
    mark(store, blob)
    (left,) = found(sweeper)  # that sweep died, and its mark is what it left
    assert left.kind == "mark"
    assert sweeper.discard(left)
    assert not sweeper.discard(left)
    assert found(store) == []
    assert read_back(store, blob) == b"weights"


@pytest.mark.parametrize("use", ["put", "version", "journal"])
def test_a_writer_does_not_rely_on_what_is_marked(store: S3Registry, sweeper: S3Registry, use: str) -> None:
    blob = put(store, b"weights")
    put(store, b"weights")
    (leftover,) = found(sweeper)
    assert not sweeper.discard(leftover)
    if use == "put":
        put(store, b"weights")
    if use == "journal":
        store.append("acme", "j", 0, sample_entry(state={"files": [{"sha256": blob.sha256}]}))
    else:
        reference = ArtifactRef(blob.sha256, blob.size, "npy", "reference")
        store.add_version(sample_version(artifacts={"reference": reference}))
    assert len(parts(store).held("acme", blob.sha256).generations) == 2
    assert sweeper.discard(leftover)
    assert found(store) == []
    assert read_back(store, blob) == b"weights"


def test_what_vanishes_before_it_is_copied_is_missing(store: S3Registry) -> None:
    blob = put(store, b"weights")
    mark(store, blob)
    generations = parts(store)
    held = generations.held("acme", blob.sha256)
    generations.remove("acme", held, held.generations[0].nonce)
    assert not generations._rely("acme", held)  # noqa: SLF001  the moment between a look and a copy
    with pytest.raises(ArtifactError, match="put it first"):
        store.add_version(sample_version(files=(File("a", blob),)))
    assert list(generations.blobs.listing("acme/b/")) == []


def test_a_second_copy_goes(store: S3Registry, sweeper: S3Registry) -> None:
    """Two writers brought the same bytes at the same time."""
    blob = put(store, b"weights")
    store.add_version(sample_version(files=(File("a", blob),)))
    generations = parts(store)
    folder = f"acme/b/{blob.sha256[:2]}/{blob.sha256}/"
    generations.blobs.copy(folder + generations.held("acme", blob.sha256).usable[0].nonce, folder + uuid.uuid4().hex)
    (leftover,) = found(sweeper)
    assert [sweeper.discard(leftover) for _ in range(2)] == [False, True]
    assert found(store) == []
    assert read_back(store, blob) == b"weights"


def test_a_mark_of_nothing_goes(store: S3Registry, sweeper: S3Registry) -> None:
    """A sweep died between the two deletions."""
    blob = put(store, b"weights")
    (leftover,) = found(sweeper)
    parts(store).mark("acme", blob.sha256, "0" * 32)
    (left,) = (one for one in found(sweeper) if one.kind == "mark")
    assert sweeper.discard(left)
    assert [sweeper.discard(leftover) for _ in range(2)] == [False, True]
    assert list(parts(store).blobs.listing("acme/")) == []


def test_an_upload_that_was_cut_off_goes(store: S3Registry, sweeper: S3Registry) -> None:
    objects = parts(store).blobs.objects
    key = f"acme/b/ff/{'f' * 64}/{'0' * 32}"
    upload = objects.call("create_multipart_upload", key)["UploadId"]
    objects.call("upload_part", key, UploadId=upload, PartNumber=1, Body=b"x" * (5 << 20))
    assert list(sweeper.leftovers(timedelta(hours=1))) == []
    (left,) = found(sweeper)
    assert (left.kind, left.tenant, left.size) == ("upload", "acme", 5 << 20)
    assert not sweeper.discard(evolve(left, age=3600.0))  # a part came since it was found
    assert sweeper.discard(left)
    assert not sweeper.discard(left)
    assert found(store) == []


def test_a_retirement_that_was_cut_off_is_completed_once(store: S3Registry, sweeper: S3Registry) -> None:
    store.add_version(sample_version())
    store.append("acme", "versions/m", 0, sample_entry("signed"))
    body = envelope("a tombstone", after=1, entry=sample_entry("retired").to_dict())
    bucket = store._parts.bucket  # noqa: SLF001  the crash came right behind this write
    bucket.put(log("acme", "m", "r") + "1.0.0", body)
    stored = store.get_version("acme", "m", "1.0.0")
    assert stored is not None
    assert stored.retired
    (left,) = found(sweeper)
    assert (left.kind, left.tenant) == ("tombstone", "acme")
    store.append("acme", "versions/m", 1, sample_entry("signed"))
    with ThreadPoolExecutor(4) as pool:
        acts: list[Callable[[], object]] = [
            lambda: sweeper.discard(left),
            lambda: store.retire_version("acme", "m", "1.0.0", sample_entry("again")),
        ]
        list(pool.map(lambda act: act(), acts * 2))
    assert [entry.kind for entry in store.read("acme", "versions/m")] == ["signed", "signed", "retired"]
    assert found(sweeper) == []
