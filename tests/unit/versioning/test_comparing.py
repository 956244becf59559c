# ruff: noqa: SLF001  damage is done behind a store's back
from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import pytest
from attrs import evolve

from mlops_core.exceptions import CorruptArtifactError, VersioningError
from mlops_core.records import File
from mlops_core.testing.memory_registry import MemoryRegistry
from mlops_core.testing.registry_samples import put, sample_entry, sample_version
from mlops_core.versioning.comparing import Compared, compare_tenant
from mlops_core.versioning.sealing import copy_registry

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def source() -> MemoryRegistry:
    store = MemoryRegistry()
    store.add_version(sample_version("1.0", files=(File("f", put(store, b"weights")),)))
    store.add_version(sample_version("2.0"))
    output = put(store, b"output")
    store.append("acme", "runs/p/1", 0, sample_entry(change={"sha256": output.sha256, "size": 6}))
    store.append("acme", "runs/p/1", 1, sample_entry("ended", change={"sha256": "0" * 64, "again": {"sha256": output.sha256}}))
    return store


@pytest.fixture
def target(source: MemoryRegistry) -> MemoryRegistry:
    store = MemoryRegistry()
    copy_registry(source, store)
    return store


def test_a_copy_is_counted_and_has_one_digest(source: MemoryRegistry, target: MemoryRegistry) -> None:
    found = compare_tenant(source, target, "acme")
    assert evolve(found, digest="") == Compared("acme", versions=2, journals=1, entries=2, blobs=2, size=13)
    assert found == compare_tenant(source, source, "acme")
    assert len(found.digest) == 64


def test_what_the_source_has_more_is_counted_as_behind(source: MemoryRegistry, target: MemoryRegistry) -> None:
    before = compare_tenant(source, target, "acme").digest
    source.add_version(sample_version("3.0"))
    source.append("acme", "runs/p/1", 2, sample_entry())
    source.append("acme", "runs/p/2", 0, sample_entry())
    source.retire_version("acme", "m", "1.0", sample_entry("retired"))
    found = compare_tenant(source, target, "acme")
    assert (found.behind, found.digest) == (5, before)  # a retirement is a change of the version, and an entry


def damage(store: MemoryRegistry, text: bytes, now: bytes | None) -> None:
    key = ("acme", hashlib.sha256(text).hexdigest())
    if now is None:
        del store._blobs[key]
    else:
        store._blobs[key].data = now


@pytest.mark.parametrize(
    ("text", "now", "said"),
    [
        (b"weights", b"wrights", "m 1.0: the target's blob"),
        (b"weights", b"", "m 1.0: the target's blob"),
        (b"weights", None, "m 1.0: registry: no blob"),
        (b"output", b"0utput", "journal runs/p/1: the target's blob"),
        (b"output", None, "journal runs/p/1: registry: no blob"),
    ],
)
def test_damaged_bytes_are_found(source: MemoryRegistry, target: MemoryRegistry, text: bytes, now: bytes | None, said: str) -> None:
    damage(target, text, now)
    with pytest.raises(CorruptArtifactError) as told:
        compare_tenant(source, target, "acme")
    assert told.value.message.startswith(f"copy: tenant acme: {said}")


def alter_version(store: MemoryRegistry) -> None:
    store._versions["acme", "m", "2.0"] = evolve(store._versions["acme", "m", "2.0"], metadata={"x": 1})


def alter_entry(store: MemoryRegistry) -> None:
    entries = store._journals["acme", "runs/p/1"]
    entries[1] = evolve(entries[1], kind="other")


def add(store: MemoryRegistry) -> None:
    store.add_version(sample_version("9.0"))


@pytest.mark.parametrize(
    ("alter", "said"),
    [
        (alter_version, "model m diverged: version 2.0 is not the source's"),
        (alter_entry, "journal runs/p/1 diverged: position 2 is not the source's"),
        (add, "model m diverged: version 9.0 is not the source's"),
    ],
)
def test_a_record_that_differs_is_named(
    source: MemoryRegistry, target: MemoryRegistry, alter: Callable[[MemoryRegistry], Any], said: str
) -> None:
    alter(target)
    with pytest.raises(VersioningError) as told:
        compare_tenant(source, target, "acme")
    assert said in told.value.message


def test_a_blob_is_hashed_once_where_what_is_known_is_kept(source: MemoryRegistry, target: MemoryRegistry) -> None:
    known: dict[tuple[str, str], int] = {}
    first = compare_tenant(source, target, "acme", known)
    assert sorted(known.values()) == [6, 7]
    damage(target, b"weights", b"wrights")
    assert compare_tenant(source, target, "acme", known) == first
    with pytest.raises(CorruptArtifactError):
        compare_tenant(source, target, "acme")
