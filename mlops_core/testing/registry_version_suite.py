"""What every registry store must do with versions."""

from __future__ import annotations

import threading
from abc import abstractmethod
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from attrs import evolve

from mlops_core.exceptions import ArtifactError, ConflictError, MLOpsError, VersioningError
from mlops_core.query import parse
from mlops_core.records import Blob, File, ModelVersion, Query
from mlops_core.testing.registry_samples import AT, full_version, put, sample_entry, sample_version

if TYPE_CHECKING:
    from mlops_core.roles import RegistryStore

__all__ = ["VersionSuite"]

_FILTERS = (
    "accuracy >= 0.9",
    "accuracy > 0.92 and accuracy < 0.98",
    "accuracy = 0.94 or stage = 'prod'",
    "not stage = 'prod'",
    "stage != 'prod' and model = 'm'",
    "model = 'm' and version = '3'",
    "big >= 1152921504606846976 and big < 1152921504606846978",
    "big > 1152921504606846976",
    "flag = true",
    "stage like 'p%'",
    "stage in ('prod', 'test')",
    "long = '" + "x" * 300 + "3'",
    "long > '" + "x" * 300 + "3'",
    "missing = 1",
    "accuracy = 'text'",
    "order by accuracy desc",
    "order by stage, accuracy desc",
    "model = 'm' order by created desc",
    "created >= '2024-05-01' order by model desc, version",
)


class VersionSuite:
    """Versions: atomic, idempotent by key, numbered without gaps, found by what they hold."""

    @abstractmethod
    def store(self) -> RegistryStore:
        """Override as a fixture: a fresh store."""

    def test_a_version_comes_back_as_it_was_given(self, store: RegistryStore) -> None:
        """Every field, text of any script, control characters included."""
        given = full_version(put(store, b"weights"), put(store, b"reference"))
        assert store.add_version(given) == given
        assert store.get_version("acme", "m", given.version) == given
        assert store.find_versions("acme", Query()).items == (given,)

    def test_a_big_value_comes_back_whole(self, store: RegistryStore) -> None:
        """Metadata has no small limit."""
        given = sample_version(metadata={"report": "é" * 1_000_000})
        store.add_version(given)
        assert store.get_version("acme", "m", "1.0.0") == given

    def test_the_same_key_answers_the_stored_version(self, store: RegistryStore) -> None:
        """Whatever else the retry says; keys belong to one model."""
        first = store.add_version(sample_version("1.0.0", key="run/stage", metadata={"try": 1}))
        assert store.add_version(sample_version("1.0.0", key="run/stage", metadata={"try": 2})) == first
        assert store.add_version(sample_version("9.9.9", key="run/stage")) == first
        assert store.get_version("acme", "m", "9.9.9") is None
        other = sample_version("1.0.0", model="other", key="run/stage")
        assert store.add_version(other) == other  # a key is one model's

    def test_a_taken_version_is_a_conflict_and_nothing_changes(self, store: RegistryStore) -> None:
        """The first stays as it was."""
        first = store.add_version(sample_version("1.0.0", key="a"))
        with pytest.raises(ConflictError):
            store.add_version(sample_version("1.0.0", key="b", metadata={"other": 1}))
        assert store.get_version("acme", "m", "1.0.0") == first
        assert store.find_versions("acme", Query()).items == (first,)

    @pytest.mark.parametrize("size", [0, 7, 9])
    def test_a_version_without_all_its_blobs_is_refused_whole(self, store: RegistryStore, size: int) -> None:
        """Missing, or of another size: no version, and no number used up."""
        there = put(store, b"weights")
        missing = Blob("f" * 64, size) if size != 9 else Blob(there.sha256, 9)
        with pytest.raises(ArtifactError):
            store.add_version(sample_version(files=(File("a", there), File("b", missing))))
        with pytest.raises(ArtifactError):
            store.add_next_version("acme", "m", lambda n: sample_version(str(n), number=n, files=(File("b", missing),)))
        assert store.get_version("acme", "m", "1.0.0") is None
        assert store.find_versions("acme", Query()).items == ()
        assert store.add_next_version("acme", "m", lambda n: sample_version(str(n), number=n)).number == 1

    def test_numbers_are_dense_and_never_given_twice(self, store: RegistryStore) -> None:
        """Neither explicit nor retired versions disturb them; each model counts for itself."""

        def add() -> int | None:
            return store.add_next_version("acme", "m", lambda n: sample_version(str(n), number=n)).number

        assert [add(), add()] == [1, 2]
        store.add_version(sample_version("2.5"))
        store.retire_version("acme", "m", "2", sample_entry("retired"))
        assert add() == 3
        assert store.add_next_version("acme", "other", lambda n: sample_version(str(n), model="other", number=n)).number == 1

    def test_a_version_of_another_store_is_added_as_it_stands(self, store: RegistryStore) -> None:
        """Its number must be the next one, so that numbers stay dense, and counting goes on behind it; a retired one stays retired."""
        for number in (1, 2):
            store.add_version(sample_version(str(number), number=number, retired=number == 1))
        for number in (2, 4):
            with pytest.raises(ConflictError):
                store.add_version(sample_version(f"number {number}", number=number))
        assert store.add_version(sample_version("again", key="key 2", number=2)).version == "2"
        assert store.add_next_version("acme", "m", lambda n: sample_version(str(n), number=n)).number == 3
        assert [one.version for one in store.find_versions("acme", Query()).items] == ["2", "3"]
        first = store.get_version("acme", "m", "1")
        assert first is not None
        assert first.retired

    def test_a_number_is_given_back_where_the_version_is_not_made(self, store: RegistryStore) -> None:
        """``make`` raised, or made a version whose key is known."""

        def broken(number: int) -> ModelVersion:
            raise VersioningError(f"no version {number}")

        with pytest.raises(VersioningError, match="no version 1"):
            store.add_next_version("acme", "m", broken)
        known = store.add_version(sample_version("1.0.0", key="known"))
        assert store.add_next_version("acme", "m", lambda n: sample_version(str(n), key="known", number=n)) == known
        assert store.add_next_version("acme", "m", lambda n: sample_version(str(n), number=n)).number == 1

    def test_a_repeated_request_gets_the_number_of_the_first(self, store: RegistryStore) -> None:
        """A known key uses up no number."""

        def make(number: int) -> ModelVersion:
            return sample_version(str(number), key="run/stage", number=number)

        first = store.add_next_version("acme", "m", make, key="run/stage")
        assert store.add_next_version("acme", "m", make, key="run/stage") == first
        assert [one.number for one in store.find_versions("acme", Query()).items] == [1]

    def test_threads_get_numbers_without_gaps(self, store: RegistryStore) -> None:
        """The number is given inside the commit."""

        def register(thread: int) -> list[int | None]:
            def make(number: int) -> ModelVersion:
                return sample_version(str(number), key=f"{thread}: {number}", number=number)

            return [store.add_next_version("acme", "m", make).number for _ in range(10)]

        with ThreadPoolExecutor(8) as pool:
            numbers = [number for part in pool.map(register, range(8)) for number in part]
        assert sorted(numbers) == list(range(1, 81))  # type: ignore[type-var]  # none is None, or they would not be equal

    def test_one_thread_wins_an_explicit_version(self, store: RegistryStore) -> None:
        """The others get the conflict."""
        start = threading.Barrier(8)

        def register(thread: int) -> str | None:
            start.wait()
            try:
                return store.add_version(sample_version(key=f"by {thread}")).key
            except ConflictError:
                return None

        with ThreadPoolExecutor(8) as pool:
            winners = [key for key in pool.map(register, range(8)) if key]
        stored = store.get_version("acme", "m", "1.0.0")
        assert stored is not None
        assert winners == [stored.key]

    def test_a_retired_version_is_hidden_and_stays_taken(self, store: RegistryStore) -> None:
        """Hidden from find, answered by get, with one tombstone however often it is retired."""
        first = store.add_version(sample_version("1.0.0", key="a"))
        store.add_version(sample_version("2.0.0", key="b"))
        store.retire_version("acme", "m", "1.0.0", sample_entry("retired", change={"version": "1.0.0"}))
        store.retire_version("acme", "m", "1.0.0", sample_entry("retired", change={"again": True}))
        assert [one.version for one in store.find_versions("acme", Query()).items] == ["2.0.0"]
        assert store.get_version("acme", "m", "1.0.0") == evolve(first, retired=True)
        assert [entry.change for entry in store.read("acme", "versions/m")] == [{"version": "1.0.0"}]
        with pytest.raises(ConflictError):
            store.add_version(sample_version("1.0.0", key="c"))
        assert store.add_version(sample_version("1.0.0", key="a")) == evolve(first, retired=True)
        with pytest.raises(VersioningError):
            store.retire_version("acme", "m", "3.0.0", sample_entry("retired"))

    @pytest.fixture
    def some(self, store: RegistryStore) -> list[ModelVersion]:
        """Versions of two models with metadata of every kind, some of it missing."""
        made = []
        for i in range(1, 9):
            metadata = {"accuracy": 0.9 + i / 100, "big": 2**60 + i - 1, "flag": i % 2 == 0, "long": "x" * 300 + str(i)}
            if i % 3:
                metadata["stage"] = ("prod", "test")[i % 2]
            version = sample_version(str(i), model="m" if i % 4 else "n", metadata=metadata, created=AT + timedelta(seconds=i // 2))
            made.append(store.add_version(version))
        store.add_version(sample_version("gone", metadata={"accuracy": 0.99}))
        store.retire_version("acme", "m", "gone", sample_entry("retired"))
        return made

    @pytest.mark.parametrize("text", _FILTERS)
    def test_a_search_finds_what_the_reference_finds(self, store: RegistryStore, some: list[ModelVersion], text: str) -> None:
        """``Query.apply`` over the living versions is the reference, order included."""
        query = parse(text, default="metadata", attributes=("model", "version", "created"))
        expected = query.apply(some, ModelVersion.fields).items
        assert store.find_versions("acme", query).items == expected

    @pytest.mark.parametrize("text", ["", "accuracy > 0.92", "order by created desc", "order by accuracy desc", "missing = 1"])
    @pytest.mark.parametrize("limit", [1, 3, 100])
    def test_pages_join_to_the_whole(self, store: RegistryStore, some: list[ModelVersion], text: str, limit: int) -> None:
        """Nothing twice, nothing left out, no page over its limit."""
        query = parse(text, default="metadata", attributes=("created",))
        pages: list[ModelVersion] = []
        cursor = None
        while True:
            page = store.find_versions("acme", evolve(query, limit=limit, cursor=cursor))
            assert len(page.items) <= limit
            pages += page.items
            cursor = page.cursor
            if cursor is None:
                break
        assert tuple(pages) == query.apply(some, ModelVersion.fields).items

    def test_the_last_added_comes_first_where_asked(self, store: RegistryStore) -> None:
        """Whatever time their makers' clocks told; a page at a time, and where the query's order leaves them equal."""
        for i, minutes in enumerate((5, 0, 3, 0), 1):
            store.add_version(sample_version(f"v{i}", created=AT + timedelta(minutes=minutes), metadata={"odd": i % 2}))

        def names(query: Query) -> list[str]:
            found = []
            while True:
                page = store.find_versions("acme", query, newest_first=True)
                found += [one.version for one in page.items]
                if page.cursor is None:
                    return found
                query = evolve(query, cursor=page.cursor)

        assert names(Query()) == names(Query(limit=1)) == names(Query(limit=3)) == ["v4", "v3", "v2", "v1"]
        for limit in (None, 1, 3):
            assert names(parse("order by odd", default="metadata", limit=limit)) == ["v4", "v2", "v3", "v1"]
            assert names(parse("order by created", default="metadata", attributes=("created",), limit=limit)) == ["v4", "v2", "v3", "v1"]

    def test_retired_versions_are_found_where_asked(self, store: RegistryStore, some: list[ModelVersion]) -> None:
        """With the living ones, by what they hold."""
        query = parse("accuracy >= 0.97", default="metadata")
        found = store.find_versions("acme", query, retired=True).items
        assert [(one.version, one.retired) for one in found] == [("7", False), ("8", False), ("gone", True)]
        assert [one.version for one in store.find_versions("acme", query, retired=True, newest_first=True).items] == ["gone", "8", "7"]
        assert store.find_versions("rival", query, retired=True).items == ()
        assert len(store.find_versions("acme", Query(), retired=True).items) == len(some) + 1

    def test_models_are_listed_by_name(self, store: RegistryStore, some: list[ModelVersion]) -> None:
        """Those with a living version, page by page."""
        store.add_version(sample_version(model="a"))
        store.add_version(sample_version(model="z"))
        store.retire_version("acme", "z", "1.0.0", sample_entry("retired"))
        first = store.models("acme", limit=2)
        assert first.items == ("a", "m")
        assert store.models("acme", cursor=first.cursor) == type(first)(("n",))
        assert store.models("nobody").items == ()

    def test_a_value_that_json_cannot_hold_is_refused_whole(self, store: RegistryStore) -> None:
        """Not a number, no JSON type, no valid text."""
        for value in (float("nan"), {1, 2}, "\ud800"):
            with pytest.raises(MLOpsError):
                store.add_version(sample_version(metadata={"value": value}))
        assert store.find_versions("acme", Query()).items == ()

    def test_another_tenant_sees_and_takes_nothing(self, store: RegistryStore) -> None:
        """Another tenant's record answers exactly as a missing one."""
        blob = put(store, b"weights")
        store.add_version(sample_version(files=(File("a", blob),)))
        assert store.get_version("rival", "m", "1.0.0") is None
        assert store.find_versions("rival", Query()).items == ()
        with pytest.raises(ArtifactError):
            store.add_version(sample_version(tenant="rival", files=(File("a", blob),)))
        mine = store.add_version(sample_version(tenant="rival", key="its own"))
        assert store.get_version("rival", "m", "1.0.0") == mine
        with pytest.raises(VersioningError):
            store.retire_version("third", "m", "1.0.0", sample_entry("retired"))
        assert store.tenants().items == ("acme", "rival")
        assert store.tenants(cursor="acme").items == ("rival",)
