"""The conformance suite of every registry store.

Subclass it, override the fixture ``store``, and run it with pytest::

    class TestMine(RegistryStoreSuite):
        @pytest.fixture
        def store(self, tmp_path):
            store = MyRegistry(path=tmp_path / "registry")
            yield store
            store.close()

A store that several processes can open passes ``SharedRegistryStoreSuite`` as well.
"""

from __future__ import annotations

import multiprocessing
import pickle
from abc import abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import attrs

from mlops_core.journal import Head, Journal
from mlops_core.records import NewEntry, Query
from mlops_core.roles import RegistryStore
from mlops_core.testing.registry_artifact_suite import ArtifactSuite, read_back
from mlops_core.testing.registry_journal_suite import JournalSuite
from mlops_core.testing.registry_samples import put, sample_entry, sample_version
from mlops_core.testing.registry_version_suite import VersionSuite

if TYPE_CHECKING:
    from collections.abc import Iterable
    from multiprocessing.connection import Connection

__all__ = ["Opener", "RegistryStoreSuite", "SharedRegistryStoreSuite"]

Opener = Callable[[], RegistryStore]
"""Opens the store in any process: picklable, such as ``functools.partial(MyRegistry, path)``."""


class RegistryStoreSuite(VersionSuite, JournalSuite, ArtifactSuite):
    """The contract of ``mlops_core.roles.RegistryStore``."""

    @abstractmethod
    def store(self) -> RegistryStore:
        """Override as a fixture: a fresh store."""

    def test_the_class_declares_what_plugins_must(self, store: RegistryStore) -> None:
        """The contract in its own body, and help for each option."""
        kind: Any = type(store)
        assert vars(kind)["contract"] == 1
        assert isinstance(kind.capabilities, frozenset)
        unexplained = [option.name for option in attrs.fields(kind) if option.init and not option.metadata.get("help")]
        assert unexplained == []

    def test_checking_and_closing_can_be_repeated(self, store: RegistryStore) -> None:
        """A new store has nothing to migrate."""
        store.check()
        store.check()
        assert list(store.migrate(dry_run=True)) == []
        store.close()
        store.close()


class SharedRegistryStoreSuite(RegistryStoreSuite):
    """The contract of a store that several processes open at the same time."""

    @abstractmethod
    def opener(self) -> Opener:
        """Override as a fixture: opens the store of the fixture ``store`` once more."""

    def test_an_opener_reaches_the_same_store(self, store: RegistryStore, opener: Opener) -> None:
        """What is acknowledged here can be read there."""
        blob = put(store, b"weights")
        store.add_version(sample_version())
        store.append("acme", "j", 0, sample_entry())
        other = pickle.loads(pickle.dumps(opener))()  # noqa: S301  our own bytes
        try:
            assert other.get_version("acme", "m", "1.0.0") == sample_version()
            assert other.read("acme", "j") == store.read("acme", "j")
            assert read_back(other, blob) == b"weights"
        finally:
            other.close()

    def test_processes_get_numbers_without_gaps(self, store: RegistryStore, opener: Opener) -> None:
        """In the order in which they were given."""
        _in_processes(_register, [(opener, worker, 10) for worker in range(4)])
        versions = store.find_versions("acme", Query()).items
        assert [one.number for one in versions] == list(range(1, 41))

    def test_no_update_is_lost_between_processes(self, store: RegistryStore, opener: Opener) -> None:
        """Compare and append: every one of 40 increments counts."""
        _in_processes(_count, [(opener, 10)] * 4)
        assert Journal(store, "acme", "counter").head().state == {"count": 40}
        assert [entry.position for entry in store.read("acme", "counter")] == list(range(1, 41))

    def test_a_store_works_on_after_a_fork(self, store: RegistryStore, opener: Opener) -> None:
        """In the child and in the parent."""
        store.append("acme", "j", 0, sample_entry())
        context = multiprocessing.get_context("fork")
        child = context.Process(target=_append_in_child, args=(store,))
        child.start()
        child.join(60)
        assert child.exitcode == 0
        assert store.append("acme", "j", 2, sample_entry()).position == 3
        assert len(store.read("acme", "j")) == 3

    def test_what_a_child_writes_outlives_its_parents_connections(self, store: RegistryStore, opener: Opener) -> None:
        """The parent closes while the child is half-way, and others read what the child wrote after that."""
        store.append("acme", "j", 0, sample_entry())
        context = multiprocessing.get_context("fork")
        here, there = context.Pipe()
        child = context.Process(target=_append_when_told, args=(store, there))
        child.start()
        assert here.recv() == 2
        store.close()
        here.send("go on")
        assert here.recv() == 3
        other = opener()
        try:
            assert [entry.position for entry in other.read("acme", "j")] == [1, 2, 3]
        finally:
            other.close()
            here.send("end")
            child.join(60)
        assert child.exitcode == 0


def _in_processes(work: Callable[..., None], arguments: Iterable[tuple[object, ...]]) -> None:
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=work, args=given) for given in arguments]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)
    assert [worker.exitcode for worker in workers] == [0] * len(workers)


def _register(opener: Opener, worker: int, times: int) -> None:
    store = opener()
    for i in range(times):
        key = f"{worker}.{i}"
        store.add_next_version("acme", "m", lambda n, key=key: sample_version(str(n), key=key, number=n), key=key)  # type: ignore[misc]  # the default binds the loop's value
    store.close()


def _count(opener: Opener, times: int) -> None:
    def add(head: Head) -> NewEntry:
        return sample_entry(state={"count": head.state.get("count", 0) + 1})

    store = opener()
    journal = Journal(store, "acme", "counter")
    for _ in range(times):
        journal.update(add)
    store.close()


def _append_in_child(store: RegistryStore) -> None:
    store.append("acme", "j", 1, sample_entry())
    store.close()


def _append_when_told(store: RegistryStore, told: Connection) -> None:
    for position in (1, 2):
        told.send(store.append("acme", "j", position, sample_entry()).position)
        told.recv()
    store.close()
