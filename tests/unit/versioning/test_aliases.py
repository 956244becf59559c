from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from mlops_core.exceptions import VersioningError
from mlops_core.testing.memory_registry import MemoryRegistry
from mlops_core.versioning import ModelVersioning

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mlops_core.records import Entry, NewEntry
    from mlops_core.stack import Stack


class TestAliases:
    def test_an_alias_stands_for_a_version_everywhere(
        self, versioning: ModelVersioning, register: Callable[..., str], tmp_path: Path
    ) -> None:
        register("1.0", accuracy=0.9)
        register("2.0", accuracy=0.95)
        assert versioning.set_alias("m", "champion", "1.0").generation == 1
        assert versioning.get_version("m", "@champion").version == "1.0"
        assert versioning.get_lineage("m", "@champion").version == "1.0"
        assert versioning.load_model("m", "@champion") == {"value": ["m", "1.0", {"accuracy": 0.9}]}
        assert versioning.diff("m", "@champion", "2.0").before == "1.0"
        assert versioning.download("m", "@champion", tmp_path / "out").is_file()
        versioning.set_alias("m", "challenger", "2.0")
        versioning.set_alias("m", "champion", "@challenger")
        assert versioning.get_alias("m", "champion").version == "2.0"

    def test_moving_and_deleting_are_history(self, versioning: ModelVersioning, register: Callable[..., str]) -> None:
        register("1.0")
        register("2.0")
        for version in ("1.0", "2.0", "2.0"):
            versioning.set_alias("m", "champion", version)
        versioning.set_alias("m", "staging", "1.0")
        versioning.delete_alias("m", "champion")
        assert [(one.version, one.generation) for one in versioning.alias_history("m", "champion")] == [("1.0", 1), ("2.0", 2), (None, 3)]
        assert [one.name for one in versioning.list_aliases("m")] == ["staging"]
        with pytest.raises(VersioningError, match=r"no alias 'champion' \(there are: staging\)"):
            versioning.get_alias("m", "champion")
        with pytest.raises(VersioningError, match="no alias 'champion'"):
            versioning.delete_alias("m", "champion")

    def test_a_retried_change_is_made_once(self, versioning: ModelVersioning, register: Callable[..., str]) -> None:
        register("1.0")
        register("2.0")
        first = versioning.set_alias("m", "champion", "1.0", key="run-1/promote")
        versioning.set_alias("m", "champion", "2.0")
        assert versioning.set_alias("m", "champion", "1.0", key="run-1/promote") == first
        assert versioning.get_alias("m", "champion").version == "2.0"

    def test_an_alias_needs_a_version_and_a_name(self, versioning: ModelVersioning, register: Callable[..., str]) -> None:
        register("1.0")
        with pytest.raises(VersioningError, match="no version"):
            versioning.set_alias("m", "champion", "2.0")
        for alias in ("", "a/b", "@a", 7):
            with pytest.raises(VersioningError, match="alias"):
                versioning.set_alias("m", alias, "1.0")  # type: ignore[arg-type]  # on purpose
        with pytest.raises(VersioningError, match=r"no alias 'champion' \(there are: none\)"):
            versioning.get_version("m", "@champion")

    def test_a_version_that_an_alias_means_is_not_deleted(self, versioning: ModelVersioning, register: Callable[..., str]) -> None:
        register("1.0")
        versioning.set_alias("m", "champion", "1.0")
        with pytest.raises(VersioningError, match=r"alias 'champion' points to version 1\.0"):
            versioning.delete_version("m", "1.0")
        versioning.delete_alias("m", "champion")
        versioning.delete_version("m", "1.0", reason="superseded")

    def test_a_deletion_tells_when_and_why(self, versioning: ModelVersioning, register: Callable[..., str], store: MemoryRegistry) -> None:
        register("1.0")
        versioning.delete_version("m", "1.0", reason="wrong data")
        (entry,) = store.read("acme", "versions/m")
        assert (entry.kind, entry.change) == ("retired", {"version": "1.0", "reason": "wrong data"})
        assert versioning.list_versions("m") == ()
        assert versioning.get_lineage("m", "1.0").version == "1.0"


class Interrupted(MemoryRegistry):
    """Another program acts just before the first write of this one."""

    act: Callable[[], object] | None = None

    def append(self, tenant: str, journal: str, expected: int, entry: NewEntry) -> Entry:
        self._let_act()
        return super().append(tenant, journal, expected, entry)

    def retire_version(self, tenant: str, model: str, version: str, tombstone: NewEntry) -> None:
        self._let_act()
        super().retire_version(tenant, model, version, tombstone)

    def _let_act(self) -> None:
        act, self.act = self.act, None
        if act is not None:
            act()


class TestSetWhileDeleted:
    @pytest.fixture
    def store(self) -> Interrupted:
        return Interrupted()

    def test_an_alias_stays_where_it_was(self, versioning: ModelVersioning, register: Callable[..., str], store: Interrupted) -> None:
        for version in ("1.0", "2.0", "3.0"):
            register(version)
        versioning.set_alias("m", "champion", "1.0")
        store.act = lambda: versioning.delete_version("m", "2.0")
        with pytest.raises(VersioningError, match=r"version 2\.0 was deleted just now"):
            versioning.set_alias("m", "champion", "2.0")
        store.act = lambda: versioning.delete_version("m", "3.0")
        with pytest.raises(VersioningError, match=r"version 3\.0 was deleted just now"):
            versioning.set_alias("m", "new", "3.0")
        assert [(one.name, one.version) for one in versioning.list_aliases("m")] == [("champion", "1.0")]

    def test_a_deletion_takes_an_alias_back(self, versioning: ModelVersioning, register: Callable[..., str], store: Interrupted) -> None:
        register("1.0")
        register("2.0")
        versioning.set_alias("m", "champion", "1.0")
        store.act = lambda: (versioning.set_alias("m", "champion", "2.0"), versioning.set_alias("m", "new", "2.0"))
        versioning.delete_version("m", "2.0")
        assert [(one.name, one.version) for one in versioning.list_aliases("m")] == [("champion", "1.0")]
        assert [one.version for one in versioning.alias_history("m", "champion")] == ["1.0", "2.0", "1.0"]

    def test_an_alias_goes_back_to_no_deleted_version(
        self, versioning: ModelVersioning, register: Callable[..., str], store: Interrupted
    ) -> None:
        register("1.0")
        register("2.0")
        versioning.set_alias("m", "champion", "1.0")

        def move_and_delete() -> None:
            versioning.set_alias("m", "champion", "2.0")
            versioning.delete_version("m", "1.0")

        store.act = move_and_delete
        versioning.delete_version("m", "2.0")
        assert versioning.list_aliases("m") == ()


def test_movers_at_the_same_time_lose_no_change(stack: Stack, register: Callable[..., str]) -> None:
    versions = [register() for _ in range(4)]

    def move(worker: int) -> None:
        versioning = ModelVersioning(stack=stack)
        for i in range(10):
            versioning.set_alias("m", "champion", versions[(worker + i) % 4], key=f"{worker}.{i}")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(move, range(4)))
    history = ModelVersioning(stack=stack).alias_history("m", "champion")
    assert [one.generation for one in history] == list(range(1, len(history) + 1))
    changed = [(before.version, after.version) for before, after in pairwise(history)]
    assert all(before != after for before, after in changed)
    assert ModelVersioning(stack=stack).get_alias("m", "champion") == history[-1]
