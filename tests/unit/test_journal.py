from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from attrs import define, field
from hypothesis import given
from hypothesis import strategies as st

from mlops_core.exceptions import ConflictError, VersioningError
from mlops_core.journal import Head, Journal, Lease, merged, update
from mlops_core.testing.clock import FakeClock
from mlops_core.testing.memory_registry import MemoryRegistry
from mlops_core.testing.registry_samples import AT, sample_entry

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlops_core.records import Entry, NewEntry

NAMES = st.sampled_from("abc")
VALUES = st.recursive(st.integers(0, 3) | st.text("xy", max_size=2), lambda inner: st.dictionaries(NAMES, inner, max_size=3), max_leaves=6)
STATES = st.dictionaries(NAMES, VALUES, max_size=3)
CHANGES = st.dictionaries(
    NAMES,
    st.recursive(st.none() | st.integers(0, 3), lambda inner: st.dictionaries(NAMES, inner, max_size=3), max_leaves=6),
    max_size=3,
)


def delta(change: dict[str, Any], key: str = "") -> NewEntry:
    return sample_entry("stage", key=key, change=change)


@define(eq=False)
class Unlucky(MemoryRegistry):
    """Before each of the next appends, somebody else appends; or the answer of the next append is lost."""

    rivals: int = 0
    lost: int = 0
    calls: int = 0
    reads: int = 0
    rival: Callable[[Unlucky, str, str], None] = field(default=lambda store, tenant, journal: store.intrude(tenant, journal))

    def intrude(self, tenant: str, journal: str) -> None:
        super().append(tenant, journal, len(self.read(tenant, journal)), sample_entry("rival", state={"by": "rival"}))

    def read(self, tenant: str, journal: str, *, after: int = 0, limit: int = 1000, newest_first: bool = False) -> Sequence[Entry]:
        self.reads += 1
        return super().read(tenant, journal, after=after, limit=limit, newest_first=newest_first)

    def append(self, tenant: str, journal: str, expected: int, entry: NewEntry) -> Entry:
        self.calls += 1
        if self.rivals:
            self.rivals -= 1
            self.rival(self, tenant, journal)
        added = super().append(tenant, journal, expected, entry)
        if self.lost:
            self.lost -= 1
            raise VersioningError("the connection broke")
        return added


@pytest.fixture
def store() -> Unlucky:
    return Unlucky()


class TestMerged:
    def test_it_follows_the_rules_of_a_merge_patch(self) -> None:
        state = {"title": "Goodbye!", "author": {"given": "John", "family": "Doe"}, "tags": ["a", "b"], "content": "x"}
        change = {"title": "Hello!", "phone": "1", "author": {"family": None}, "tags": ["c"], "content": {"text": "y"}}
        expected = {"title": "Hello!", "author": {"given": "John"}, "tags": ["c"], "content": {"text": "y"}, "phone": "1"}
        assert merged(state, change) == expected

    @given(STATES, CHANGES)
    def test_it_changes_neither_side_and_repeats_to_the_same(self, state: dict[str, Any], change: dict[str, Any]) -> None:
        before = repr((state, change))
        once = merged(state, change)
        assert merged(once, change) == once
        assert repr((state, change)) == before

    @given(STATES)
    def test_nothing_changes_nothing(self, state: dict[str, Any]) -> None:
        assert merged(state, {}) == state


class TestJournal:
    def test_a_new_journal_is_empty(self, store: Unlucky) -> None:
        assert Journal(store, "acme", "j").head() == Head()
        assert list(Journal(store, "acme", "j").history()) == []

    def test_the_newest_complete_entry_is_the_state(self, store: Unlucky) -> None:
        journal = Journal(store, "acme", "j")
        journal.append(sample_entry(state={"version": "1"}))
        journal.append(sample_entry(state={"version": "2"}))
        assert journal.head().state == {"version": "2"}
        assert Journal(store, "acme", "j").head().position == 2

    def test_a_change_alone_is_merged_and_stored_complete(self, store: Unlucky) -> None:
        journal = Journal(store, "acme", "j")
        journal.append(delta({"a": 1}))
        entry = journal.append(delta({"b": 2}))
        assert entry.state == {"a": 1, "b": 2}

    def test_decide_sees_the_head_and_may_decide_nothing(self, store: Unlucky) -> None:
        journal = Journal(store, "acme", "j")
        journal.append(sample_entry(state={"version": "1"}))
        seen: list[Head] = []

        def nothing(head: Head) -> None:
            seen.append(head)

        assert journal.update(nothing) is None
        assert [(head.position, head.state) for head in seen] == [(1, {"version": "1"})]
        assert journal.head().position == 1

    def test_a_sole_writer_of_changes_looks_no_further_than_its_own_last_entry(self, store: Unlucky) -> None:
        journal = Journal(store, "acme", "j", snapshot_every=64)
        other = Journal(store, "acme", "j", snapshot_every=64)
        journal.append(delta({"a": 1}))
        reads = store.reads
        journal.append(delta({"b": 2}))
        assert store.reads == reads
        other.append(delta({"c": 3}))
        seen: list[int] = []

        def nothing_more(head: Head) -> NewEntry | None:
            seen.append(head.position)
            return delta({"d": 4}) if "c" not in head.state else None

        assert journal.update(nothing_more) is None
        assert seen == [2, 3]

    def test_an_old_head_refuses_nothing(self, store: Unlucky) -> None:
        journal = Journal(store, "acme", "j", snapshot_every=64)
        journal.append(delta({"owner": "other"}))
        Journal(store, "acme", "j", snapshot_every=64).append(delta({"owner": "mine"}))

        def mine(head: Head) -> NewEntry:
            if head.state["owner"] != "mine":
                raise VersioningError("taken over")
            return delta({"done": True})

        added = journal.update(mine)
        assert added is not None
        assert added.position == 3

    def test_what_decide_raises_changes_nothing(self, store: Unlucky) -> None:
        def refuse(head: Head) -> NewEntry:
            raise VersioningError(f"not at {head.position}")

        with pytest.raises(VersioningError, match="not at 0"):
            update(store, "acme", "j", refuse)
        assert list(store.read("acme", "j")) == []

    def test_another_writer_first_means_deciding_again(self, store: Unlucky) -> None:
        store.rivals = 3
        states: list[Any] = []

        def decide(head: Head) -> NewEntry:
            states.append(head.state.get("by"))
            return sample_entry(state={"by": "me"})

        entry = update(store, "acme", "j", decide)
        assert entry is not None
        assert entry.position == 4
        assert states == [None, "rival", "rival", "rival"]

    def test_a_writer_that_is_never_first_is_told(self, store: Unlucky) -> None:
        store.rivals = 10_000
        with pytest.raises(ConflictError, match="1000 times"):
            Journal(store, "acme", "j").append(sample_entry())

    def test_a_retry_finds_its_own_entry(self, store: Unlucky) -> None:
        store.lost = 1
        journal = Journal(store, "acme", "j")
        with pytest.raises(VersioningError):
            journal.append(sample_entry(key="deploy 1", state={"version": "1"}))
        journal.append(sample_entry(key="deploy 2", state={"version": "2"}))
        again = Journal(store, "acme", "j").append(sample_entry(key="deploy 1", state={"version": "1"}))
        assert again.position == 1
        assert journal.head().state == {"version": "2"}
        assert journal.find("deploy 1") == again
        assert journal.find("deploy 3") is None

    def test_a_repeated_request_decides_nothing(self, store: Unlucky) -> None:
        decided: list[int] = []

        def decide(head: Head) -> NewEntry:
            decided.append(head.position)
            return sample_entry(state={})

        journal = Journal(store, "acme", "j")
        first = journal.update(decide, key="k")
        assert journal.update(decide, key="k") == first
        assert decided == [0]

    def test_of_two_writers_with_one_key_the_second_finds_the_first(self, store: Unlucky) -> None:
        def same_request(other: Unlucky, tenant: str, journal: str) -> None:
            MemoryRegistry.append(other, tenant, journal, 0, sample_entry("first", key="k"))

        store.rivals, store.rival = 1, same_request
        entry = Journal(store, "acme", "j").append(sample_entry("second", key="k"))
        assert (entry.kind, entry.position) == ("first", 1)

    def test_history_reads_page_by_page_from_either_end(self, store: Unlucky) -> None:
        journal = Journal(store, "acme", "j")
        for i in range(7):
            journal.append(sample_entry(at=i))
        assert [entry.position for entry in journal.history(page=3)] == [1, 2, 3, 4, 5, 6, 7]
        assert [entry.position for entry in journal.history(after=4, page=3)] == [5, 6, 7]
        assert [entry.position for entry in journal.history(newest_first=True, page=3)] == [7, 6, 5, 4, 3, 2, 1]
        assert [entry.position for entry in journal.history(after=2, newest_first=True, page=10)] == [7, 6, 5, 4, 3]


class TestDeltas:
    @given(st.lists(st.tuples(CHANGES, st.booleans()), max_size=20), st.integers(1, 5))
    def test_any_reader_folds_to_the_same_state(self, changes: list[tuple[dict[str, Any], bool]], every: int) -> None:
        """Two writers take turns; a reader that kept up, one that sleeps and a new one see what folding all changes gives."""
        store = MemoryRegistry()
        writers = [Journal(store, "acme", "j", every) for _ in range(2)]
        keeps_up = Journal(store, "acme", "j", every)
        expected: dict[str, Any] = {}
        for change, first in changes:
            writers[first].append(delta(change))
            expected = merged(expected, change)
            assert keeps_up.head().state == expected
        position = len(changes)
        for journal in (*writers, keeps_up, Journal(store, "acme", "j", every)):
            assert (journal.head().position, journal.head().state) == (position, expected)

    def test_every_nth_entry_is_a_snapshot(self, store: Unlucky) -> None:
        journal = Journal(store, "acme", "runs/p/1", snapshot_every=4)
        for i in range(9):
            journal.append(delta({f"stage {i}": "done"}))
        assert [entry.position for entry in journal.history() if entry.state is not None] == [4, 8]
        assert len(Journal(store, "acme", "runs/p/1", snapshot_every=4).head().state) == 9

    def test_a_state_that_the_writer_gives_is_a_snapshot(self, store: Unlucky) -> None:
        journal = Journal(store, "acme", "j", snapshot_every=64)
        journal.append(delta({"a": 1}))
        journal.append(sample_entry(state={"b": 2}))
        journal.append(delta({"c": 3}))
        assert Journal(store, "acme", "j", snapshot_every=64).head().state == {"b": 2, "c": 3}

    def test_a_long_run_reads_back_no_further_than_its_snapshot(self) -> None:
        @define(eq=False)
        class Counting(MemoryRegistry):
            entries_read: int = 0

            def read(self, tenant: str, journal: str, *, after: int = 0, limit: int = 1000, newest_first: bool = False) -> Sequence[Entry]:
                found = super().read(tenant, journal, after=after, limit=limit, newest_first=newest_first)
                self.entries_read += len(found)
                return found

        store = Counting()
        journal = Journal(store, "acme", "runs/p/1", snapshot_every=64)
        for i in range(300):
            journal.append(delta({"stage": i}))
        assert store.entries_read == 0  # its own entries it knows
        assert Journal(store, "acme", "runs/p/1", snapshot_every=64).head().state == {"stage": 299}
        assert store.entries_read <= 64

    def test_threads_that_share_a_journal_lose_no_change(self, store: Unlucky) -> None:
        journal = Journal(store, "acme", "j", snapshot_every=8)

        def work(thread: int) -> None:
            for i in range(20):
                journal.append(delta({f"{thread}.{i}": True}))

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(work, range(4)))
        assert len(journal.head().state) == 80


@define(eq=False)
class Shaky(MemoryRegistry):
    """Renewing can fail, or be refused."""

    down: bool = False
    taken_over: bool = False
    asked: threading.Event = field(factory=threading.Event)

    def lease(self, tenant: str, name: str, owner: str, ttl: timedelta) -> bool:
        self.asked.set()
        if self.down:
            raise VersioningError("the store is down")
        return not self.taken_over and super().lease(tenant, name, owner, ttl)


class TestLease:
    TTL = timedelta(seconds=0.3)

    def test_it_is_held_for_the_block_and_renewed(self) -> None:
        store = Shaky()
        with Lease(store, "acme", "watch", self.TTL) as lease:
            time.sleep(0.7)
            assert not store.lease("acme", "watch", "another", self.TTL)
            lease.check()
        assert store.lease("acme", "watch", "another", self.TTL)

    def test_it_is_refused_while_another_holds_it(self) -> None:
        store = Shaky()
        with Lease(store, "acme", "watch"), pytest.raises(ConflictError, match="another process holds it"), Lease(store, "acme", "watch"):
            raise AssertionError("both hold it")
        assert Lease(store, "acme", "watch").take()

    def test_it_is_given_back_where_the_block_raises(self) -> None:
        store = Shaky()
        with pytest.raises(KeyError), Lease(store, "acme", "watch"):
            raise KeyError
        assert store.lease("acme", "watch", "another", self.TTL)

    def test_a_takeover_is_noticed_and_told(self, caplog: pytest.LogCaptureFixture) -> None:
        store, told = Shaky(), threading.Event()
        with Lease(store, "acme", "watch", self.TTL, on_loss=told.set) as lease:
            store.taken_over = True
            assert told.wait(10)
            assert lease.lost
            with pytest.raises(ConflictError, match="lost"):
                lease.check()
        assert "lease watch: lost" in caplog.text

    def test_a_store_that_is_down_is_a_loss_when_the_time_is_over(self, caplog: pytest.LogCaptureFixture) -> None:
        store, told = Shaky(), threading.Event()
        lease = Lease(store, "acme", "watch", self.TTL, on_loss=told.set)
        assert lease.take()
        store.down = True
        assert told.wait(10)
        assert lease.lost
        assert "not renewed: the store is down" in caplog.text
        store.down = False
        lease.release()

    def test_a_short_outage_is_no_loss(self) -> None:
        store = Shaky()
        with Lease(store, "acme", "watch", timedelta(seconds=3)) as lease:
            store.down = True
            store.asked.clear()
            assert store.asked.wait(10)
            store.down = False
            lease.check()

    def test_a_process_that_was_stopped_knows_without_asking(self) -> None:
        clock = FakeClock(AT)
        with Lease(Shaky(), "acme", "watch", timedelta(seconds=30), clock=clock) as lease:
            clock.advance(29)
            lease.check()
            clock.advance(1)
            assert lease.lost

    def test_releasing_twice_or_without_holding_does_nothing(self) -> None:
        store = Shaky()
        lease = Lease(store, "acme", "watch")
        lease.release()
        assert lease.take()
        lease.release()
        assert store.lease("acme", "watch", "another", self.TTL)
        lease.release()
        assert not store.lease("acme", "watch", "third", self.TTL)
