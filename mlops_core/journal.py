"""Append-only journals as state: read the current one, change it without losing another writer's change, hold a lease.

An alias, a deployment, an incident or a pipeline run is a journal. ``Journal.update`` is the one way to change it::

    def promote(head: Head) -> NewEntry | None:
        if head.state.get("version") == "2":
            return None                                     # nothing to do
        return NewEntry(at=clock.now(), kind="set", state={"version": "2"})

    Journal(store, "acme", "aliases/ticket_classifier/champion").update(promote, key="tickets/run-7/deployment")
"""

from __future__ import annotations

import logging
import os
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Self

from attrs import define, evolve, field, frozen

from mlops_core.clock import SystemClock
from mlops_core.exceptions import ConflictError, MLOpsError
from mlops_core.records import Entry, NewEntry, Record
from mlops_core.roles import Clock, RegistryStore

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["Decide", "Head", "Journal", "Lease", "journals_under", "merged", "update"]

_ATTEMPTS = 1000
_PAGE = 1000
_LOG = logging.getLogger(__name__)


@frozen
class Head(Record):
    """A journal as it stands: the newest entry, its position (0: no entry yet) and the complete state after it."""

    position: int = 0
    state: Mapping[str, Any] = field(factory=dict)
    entry: Entry | None = None

    def then(self, entry: Entry) -> Head:
        """After one more entry: its state, or, where it has none, this one with the entry's change merged in."""
        state = merged(self.state, entry.change) if entry.state is None else entry.state
        return Head(entry.position, state, entry)


Decide = Callable[[Head], NewEntry | None]
"""A pure function of the head: what to append, or None for nothing. It may be called several times, with a head as new or newer."""


def merged(state: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """``change`` merged into ``state`` as a JSON merge patch (RFC 7396): mappings merge by key, None removes, the rest replaces."""
    result = dict(state)
    for name, value in change.items():
        if value is None:
            result.pop(name, None)
        elif isinstance(value, Mapping):
            inner = result.get(name)
            result[name] = merged(inner if isinstance(inner, Mapping) else {}, value)
        else:
            result[name] = value
    return result


@define(eq=False)
class Journal:
    """One journal of a tenant.

    Every ``snapshot_every``-th entry carries the complete state; the others carry their change only, which is then a merge patch. With 1
    (aliases, deployments) the newest entry alone is the state. An entry whose writer gives the state itself is always complete. Safe from
    several threads and processes; keep the object for many updates, since it reads only what is new.
    """

    store: RegistryStore
    tenant: str
    name: str
    snapshot_every: int = 1
    _head: Head = field(factory=Head, init=False, repr=False)

    def head(self) -> Head:
        """The journal as it stands now."""
        head = self._head
        if head.position == 0 or self.snapshot_every == 1:
            head = self._from_snapshot()
        else:
            for entry in self.history(after=head.position):
                head = head.then(entry)
        self._head = head
        return head

    def _from_snapshot(self) -> Head:
        """Read back to the newest complete entry and forward again from there."""
        behind: list[Entry] = []
        for entry in self.history(newest_first=True, page=max(self.snapshot_every, 1)):
            behind.append(entry)
            if entry.state is not None:
                break
        head = Head()
        for entry in reversed(behind):
            head = head.then(entry)
        return head

    def history(self, *, after: int = 0, newest_first: bool = False, page: int = _PAGE) -> Iterator[Entry]:
        """Every entry behind ``after``, oldest first unless told otherwise, read page by page."""
        if newest_first:
            # A store pages upwards only: the newest page first, then the rest by position from the start.
            newest = self.store.read(self.tenant, self.name, after=after, limit=page, newest_first=True)
            yield from newest
            if newest and newest[-1].position > after + 1:
                older = self.history(after=after)
                rest = [entry for entry in older if entry.position < newest[-1].position]
                yield from reversed(rest)
            return
        while entries := self.store.read(self.tenant, self.name, after=after, limit=page):
            yield from entries
            if len(entries) < page:
                return
            after = entries[-1].position

    def find(self, key: str) -> Entry | None:
        """The entry that a request of this key wrote, or None."""
        return self.store.entry_of(self.tenant, self.name, key)

    def append(self, entry: NewEntry) -> Entry:
        """Append whatever the state is; an entry of the same (not empty) key is answered instead of a second one."""
        added = self.update(lambda _: entry, key=entry.key)
        assert added is not None  # noqa: S101  the decision above is never None
        return added

    def update(self, decide: Decide, *, key: str = "") -> Entry | None:
        """Append what ``decide`` makes of the newest head; when another writer was first, ask it again with the newer head.

        ``key`` names the request: if an entry of that key is there, it is answered and nothing is decided, so that a caller which died
        between the entry and its acknowledgement can simply repeat. Answers None if ``decide`` did.

        Raises:
            ConflictError: Other writers were first a thousand times.
        """
        for attempt in range(_ATTEMPTS):
            if key and (known := self.find(key)):
                return known
            head, new = self._decided(decide, afresh=attempt > 0)
            if new is None:
                return None
            new = self._complete(head, evolve(new, key=key or new.key))
            try:
                entry = self.store.append(self.tenant, self.name, head.position, new)
            except ConflictError:
                continue
            self._head = head.then(entry)
            return entry
        raise ConflictError(f"journal {self.name}: other writers were first {_ATTEMPTS} times - try again later")

    def _decided(self, decide: Decide, *, afresh: bool) -> tuple[Head, NewEntry | None]:
        """A journal of changes has one writer at a time: its last head will do to append behind, since the store refuses an old one.

        It will not do to append nothing, or to raise.
        """
        if self.snapshot_every > 1 and self._head.position and not afresh:
            with suppress(Exception):
                if (new := decide(self._head)) is not None:
                    return self._head, new
        head = self.head()
        return head, decide(head)

    def _complete(self, head: Head, new: NewEntry) -> NewEntry:
        if new.state is not None or (head.position + 1) % self.snapshot_every:
            return new
        return evolve(new, state=merged(head.state, new.change))


def journals_under(store: RegistryStore, tenant: str, prefix: str) -> Iterator[str]:
    """Names of the journals that begin with ``prefix``, without it, sorted."""
    cursor = None
    while True:
        page = store.journals(tenant, prefix, cursor=cursor)
        yield from (head.name.removeprefix(prefix) for head in page.items)
        if page.cursor is None:
            return
        cursor = page.cursor


def update(store: RegistryStore, tenant: str, journal: str, decide: Decide, *, key: str = "") -> Entry | None:
    """``Journal.update`` for a single change of a journal whose entries are complete."""
    return Journal(store, tenant, journal).update(decide, key=key)


@define(eq=False)
class Lease:
    """A lease held while the ``with`` block runs, renewed in a thread each third of ``ttl``.

    A lease protects effort, not truth: a process that was stopped for longer than ``ttl`` goes on without it. Ask ``lost`` (or ``check``)
    before each effect, and let ``decide`` compare the owner that the journal's state names.
    """

    store: RegistryStore
    tenant: str
    name: str
    ttl: timedelta = timedelta(seconds=30)
    owner: str = field(factory=lambda: uuid.uuid4().hex)
    on_loss: Callable[[], None] | None = None
    clock: Clock = field(factory=SystemClock)
    _gone: threading.Event = field(factory=threading.Event, init=False, repr=False)
    _done: threading.Event = field(factory=threading.Event, init=False, repr=False)
    _renewed: float = field(default=0.0, init=False, repr=False)
    _pid: int = field(default=0, init=False, repr=False)
    _thread: threading.Thread | None = field(default=None, init=False, repr=False)

    def __enter__(self) -> Self:
        """Take the lease; raises ``ConflictError`` while another owner holds it."""
        if not self.take():
            raise ConflictError(f"lease {self.name}: another process holds it - wait for it to end, or for at most {self.ttl} if it died")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.release()

    def take(self) -> bool:
        """Take the lease and begin to renew it; False while another owner holds it."""
        if not self._renew():
            return False
        self._pid = os.getpid()
        self._gone.clear()
        self._done.clear()
        self._thread = threading.Thread(target=self._keep, name=f"lease {self.name}", daemon=True)
        self._thread.start()
        return True

    def release(self) -> None:
        """Give the lease back. Without effect in a forked child, and where it was lost."""
        if self._thread is None or self._pid != os.getpid():
            return
        self._done.set()
        self._thread.join()
        self._thread = None
        if not self.lost:
            self.store.lease(self.tenant, self.name, self.owner, timedelta(0))

    @property
    def lost(self) -> bool:
        """Whether another owner may hold it by now."""
        return self._gone.is_set() or self.clock.monotonic() - self._renewed >= self.ttl.total_seconds()

    def check(self) -> None:
        """Raise ``ConflictError`` if the lease is lost."""
        if self.lost:
            raise ConflictError(
                f"lease {self.name}: lost - this process was held up for longer than {self.ttl}, another may have taken over"
            )

    def _renew(self) -> bool:
        before = self.clock.monotonic()
        held = self.store.lease(self.tenant, self.name, self.owner, self.ttl)
        if held:
            self._renewed = before
        return held

    def _keep(self) -> None:
        while not self._done.wait(self.ttl.total_seconds() / 3):
            try:
                held = self._renew()
            except MLOpsError as error:
                _LOG.warning("lease %s: not renewed: %s", self.name, error.message)
                held = not self.lost
            if not held:
                self._gone.set()
                _LOG.warning("lease %s: lost", self.name)
                if self.on_loss is not None:
                    self.on_loss()
                return
