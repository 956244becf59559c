"""What every registry store must do with journals and leases."""

from __future__ import annotations

import time
from abc import abstractmethod
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from mlops_core.exceptions import ConflictError, MLOpsError
from mlops_core.journal import Head, Journal
from mlops_core.records import Entry, JournalHead, NewEntry
from mlops_core.testing.registry_samples import sample_entry

if TYPE_CHECKING:
    from mlops_core.roles import RegistryStore

__all__ = ["JournalSuite"]


class JournalSuite:
    """Journals: dense, accepted at the expected position only. Leases: one owner at a time, by the store's time."""

    @abstractmethod
    def store(self) -> RegistryStore:
        """Override as a fixture: a fresh store."""

    def pass_time(self, store: RegistryStore, seconds: float) -> None:
        """Let the store's time go on; a store with a clock of its own is waited for."""
        del store
        time.sleep(seconds)

    def test_an_entry_comes_back_as_it_was_given(self, store: RegistryStore) -> None:
        """With an id that follows from its place, unique in the store."""
        change = {"Größe": [1, 2.5, None, {"模型": "🚂\n\x00"}], "empty": {}}
        added = store.append("acme", "j/a", 0, sample_entry("set", key="request 1", change=change, state={"weights": [0.05, 0.95]}))
        second = store.append("acme", "j/a", 1, sample_entry("unset", at=1))
        assert (added.position, added.kind, added.key, added.change) == (1, "set", "request 1", change)
        assert added.state == {"weights": [0.05, 0.95]}
        assert second.state is None
        assert list(store.read("acme", "j/a")) == [added, second]
        assert Entry.of("acme", "j/a", 2, sample_entry("unset", at=1)) == second
        assert len({added.id, second.id, store.append("acme", "j/b", 0, sample_entry()).id}) == 3

    def test_what_json_cannot_hold_is_refused(self, store: RegistryStore) -> None:
        """Nothing is appended."""
        with pytest.raises(MLOpsError):
            store.append("acme", "j/a", 0, sample_entry(change={"value": float("inf")}))
        with pytest.raises(MLOpsError):
            store.append("acme", "j/a", 0, sample_entry(state={"value": object()}))
        assert list(store.read("acme", "j/a")) == []

    @pytest.mark.parametrize("expected", [0, 1, 3, 100, -1])
    def test_an_entry_behind_another_position_is_a_conflict(self, store: RegistryStore, expected: int) -> None:
        """Which tells the head and changes nothing."""
        store.append("acme", "j", 0, sample_entry())
        store.append("acme", "j", 1, sample_entry())
        with pytest.raises(ConflictError) as refused:
            store.append("acme", "j", expected, sample_entry("late"))
        assert refused.value.head == 2
        assert [entry.kind for entry in store.read("acme", "j")] == ["set", "set"]

    def test_reading_follows_positions(self, store: RegistryStore) -> None:
        """Behind a position, at most so many, from either end."""
        for i in range(10):
            store.append("acme", "j", i, sample_entry(at=i))
        assert [entry.position for entry in store.read("acme", "j", after=3, limit=4)] == [4, 5, 6, 7]
        assert [entry.position for entry in store.read("acme", "j", newest_first=True, limit=3)] == [10, 9, 8]
        assert [entry.position for entry in store.read("acme", "j", after=8, newest_first=True)] == [10, 9]
        assert list(store.read("acme", "j", after=10)) == []
        assert list(store.read("acme", "none")) == []

    def test_an_entry_is_found_by_its_key(self, store: RegistryStore) -> None:
        """The oldest of that key, in that journal only."""
        for i in range(5):
            store.append("acme", "j", i, sample_entry(key=f"request {i % 3}"))
        found = store.entry_of("acme", "j", "request 1")
        assert found is not None
        assert found.position == 2
        assert store.entry_of("acme", "j", "request 9") is None
        assert store.entry_of("acme", "other", "request 1") is None

    def test_journals_are_listed_by_prefix(self, store: RegistryStore) -> None:
        """By name, each with its head, page by page."""
        names = ["aliases/m/champion", "aliases/m/staging", "aliases/m2/champion", "runs/p/1"]
        for name in reversed(names):
            store.append("acme", name, 0, sample_entry())
        store.append("acme", names[1], 1, sample_entry())
        heads = [JournalHead(name, 2 if name == names[1] else 1) for name in names]
        assert list(store.journals("acme", "").items) == heads
        assert list(store.journals("acme", "aliases/m/").items) == heads[:2]
        first = store.journals("acme", "aliases/", limit=2)
        assert list(first.items) == heads[:2]
        rest = store.journals("acme", "aliases/", limit=2, cursor=first.cursor)
        assert (list(rest.items), rest.cursor) == (heads[2:3], None)
        assert store.journals("acme", "nothing/").items == ()

    def test_no_update_is_lost_between_threads(self, store: RegistryStore) -> None:
        """Compare and append: every one of 80 increments counts."""

        def count(head: Head) -> NewEntry:
            return sample_entry(state={"count": head.state.get("count", 0) + 1})

        def work(_: int) -> None:
            journal = Journal(store, "acme", "counter")
            for _ in range(10):
                journal.update(count)

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(work, range(8)))
        entries = store.read("acme", "counter")
        assert [(entry.state or {})["count"] for entry in entries] == [entry.position for entry in entries] == list(range(1, 81))

    def test_a_lease_has_one_owner(self, store: RegistryStore) -> None:
        """Who may renew and release it; other names and tenants do not matter."""
        hour = timedelta(hours=1)
        assert store.lease("acme", "watch", "a", hour)
        assert store.lease("acme", "watch", "a", hour)
        assert not store.lease("acme", "watch", "b", hour)
        assert not store.lease("acme", "watch", "b", timedelta(0))
        assert store.lease("acme", "other", "b", hour)
        assert store.lease("rival", "watch", "b", hour)
        assert store.lease("acme", "watch", "a", timedelta(0))
        assert store.lease("acme", "watch", "b", hour)
        assert not store.lease("acme", "watch", "a", hour)

    def test_a_lease_ends_by_the_stores_time(self, store: RegistryStore) -> None:
        """Then another takes it, and the first cannot renew."""
        assert store.lease("acme", "watch", "a", timedelta(seconds=0.2))
        self.pass_time(store, 0.3)
        assert store.lease("acme", "watch", "b", timedelta(hours=1))
        assert not store.lease("acme", "watch", "a", timedelta(hours=1))

    def test_one_thread_wins_a_lease(self, store: RegistryStore) -> None:
        """Of eight that ask at once."""
        with ThreadPoolExecutor(8) as pool:
            taken = list(pool.map(lambda i: store.lease("acme", "watch", f"owner {i}", timedelta(hours=1)), range(8)))
        assert taken.count(True) == 1

    def test_another_tenants_journals_are_not_there(self, store: RegistryStore) -> None:
        """Nor their keys, names and positions."""
        store.append("acme", "j", 0, sample_entry(key="k"))
        assert list(store.read("rival", "j")) == []
        assert store.journals("rival", "").items == ()
        assert store.entry_of("rival", "j", "k") is None
        assert store.append("rival", "j", 0, sample_entry()).position == 1
