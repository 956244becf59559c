"""The role registry: what it leaves to a backend."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from attrs import define, evolve

from mlops_core.records import ModelVersion, NewEntry, Page, Query
from mlops_core.roles import RegistryStore
from mlops_core.testing.memory_registry import MemoryRegistry

AT = datetime(2024, 1, 1, tzinfo=UTC)


def test_it_cannot_be_made_without_its_mechanism() -> None:
    with pytest.raises(TypeError, match="abstract"):
        RegistryStore()  # type: ignore[abstract]


def test_its_abstract_methods_are_the_mechanism() -> None:
    assert RegistryStore.__abstractmethods__ == frozenset(
        {
            "add_version",
            "add_next_version",
            "get_version",
            "find_versions",
            "retire_version",
            "append",
            "read",
            "journals",
            "lease",
            "put_artifact",
            "open_artifact",
            "leftovers",
            "discard",
            "tenants",
        }
    )


@define(eq=False)
class ByTheBook(MemoryRegistry):
    """A store that leaves to the role what the role can do by itself, and reads two at a time."""

    contract = 1
    models = RegistryStore.models
    entry_of = RegistryStore.entry_of

    def find_versions(self, tenant: str, query: Query, *, retired: bool = False, newest_first: bool = False) -> Page[ModelVersion]:
        return super().find_versions(tenant, evolve(query, limit=2), retired=retired, newest_first=newest_first)


def version(model: str, name: str) -> ModelVersion:
    return ModelVersion("acme", model, name, f"{model}-{name}", "d" * 64, (), AT)


def test_names_of_models_are_found_through_their_versions() -> None:
    store = ByTheBook()
    for name, model in (("1", "b"), ("1", "a"), ("1", "c"), ("2", "a")):
        store.add_version(version(model, name))
    assert store.models("acme") == Page(("a", "b", "c"))
    first = store.models("acme", limit=2)
    assert first == Page(("a", "b"), "b")
    assert store.models("acme", cursor=first.cursor, limit=2) == Page(("c",))
    assert store.models("other") == Page(())


def test_a_retired_model_is_not_named() -> None:
    store = ByTheBook()
    store.add_version(version("a", "1"))
    store.retire_version("acme", "a", "1", NewEntry(AT, "retired"))
    assert store.models("acme") == Page(())


def test_an_entry_is_found_by_its_key_however_long_the_journal() -> None:
    store = ByTheBook()
    for number in range(1005):
        store.append("acme", "runs/p/r", number, NewEntry(AT, "k", key=f"key-{number // 2}"))
    found = store.entry_of("acme", "runs/p/r", "key-501")
    assert found is not None
    assert found.position == 1003
    assert store.entry_of("acme", "runs/p/r", "key-0") == store.read("acme", "runs/p/r", limit=1)[0]
    assert store.entry_of("acme", "runs/p/r", "nothing") is None
    assert store.entry_of("acme", "runs/p/empty", "key-0") is None
