from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from attrs import evolve

from mlops_core.records import Blob, File
from mlops_core.stack.sealed import SEAL, SEAL_TENANT
from mlops_core.testing.registry_samples import full_version, put, sample_entry, sample_version
from mlops_core.versioning import walking
from mlops_core.versioning.walking import entries_of, heads_of, holds, named_blobs, placeless, tenants_of, versions_of

if TYPE_CHECKING:
    from mlops_core.testing.memory_registry import MemoryRegistry


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walking, "_PAGE", 3)


@pytest.mark.parametrize("count", [0, 1, 3, 4, 6, 7])
def test_pages_join_to_the_whole(store: MemoryRegistry, count: int) -> None:
    for i in range(count):
        store.add_version(sample_version(f"v{i}", retired=i % 2 == 1))
        store.append("acme", "j", i, sample_entry(at=i))
        store.append("acme", f"j{i}", 0, sample_entry())
    assert [one.version for one in versions_of(store, "acme")] == [f"v{i}" for i in range(count)]
    assert [one.position for one in entries_of(store, "acme", "j")] == list(range(1, count + 1))
    assert [one.position for one in entries_of(store, "acme", "j", until=2)] == list(range(1, min(count, 2) + 1))
    assert len(list(heads_of(store, "acme"))) == (count + 1 if count else 0)
    assert list(tenants_of(store)) == (["acme"] if count else [])


def test_the_seal_is_no_record(store: MemoryRegistry) -> None:
    for journal in (SEAL, "registry/other"):
        store.append(SEAL_TENANT, journal, 0, sample_entry())
        store.append("acme", journal, 0, sample_entry())
    assert [one.name for one in heads_of(store, SEAL_TENANT)] == ["registry/other"]
    assert [one.name for one in heads_of(store, "acme")] == ["registry/other", SEAL]


def test_what_an_entry_names_with_the_size_where_it_is_told(store: MemoryRegistry) -> None:
    change = {"out": [{"sha256": "a", "size": 3, "files": [{"blob": {"sha256": "b", "size": 0}}]}], "sha256": "c", "n": {"sha256": 7}}
    entry = store.append("acme", "j", 0, sample_entry(change=change, state={"sha256": "d", "size": True}))
    assert [(one.sha256, one.size) for one in named_blobs(entry)] == [("c", -1), ("a", 3), ("b", 0), ("d", -1)]


def test_a_store_holds_what_it_can_open(store: MemoryRegistry) -> None:
    blob = put(store, b"x")
    assert holds(store, "acme", blob)
    assert not holds(store, "rival", blob)


def test_places_are_each_stores_own(store: MemoryRegistry) -> None:
    blob, reference = put(store, b"weights"), put(store, b"reference")
    plain = full_version(blob, reference)
    assert placeless(plain) is plain
    placed = full_version(*(evolve(one, location=f"s3://bucket/{one.sha256}") for one in (blob, reference)))
    assert placeless(placed) == plain
    assert placeless(sample_version(files=(File("a", Blob("a", 1, "here")),))) == sample_version(files=(File("a", Blob("a", 1)),))
