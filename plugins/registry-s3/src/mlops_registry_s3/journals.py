"""Journals: an entry is an object that is written only where none is, at the position behind the newest."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

from attrs import define, field, frozen

from mlops_core.exceptions import ConflictError, VersioningError
from mlops_core.records import Entry, JournalHead, NewEntry, Page
from mlops_registry_s3.bucket import Bucket
from mlops_registry_s3.cache import Cache
from mlops_registry_s3.generations import Generations
from mlops_registry_s3.keys import envelope, journal_name, journal_part, number_key, number_of, opened, part

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["Journals", "Place"]

_BODIES: Final = 16 << 20  # bytes of entries, as they are stored
_KNOWN: Final = 1024  # journals
_BATCH: Final = 256


@frozen
class Place:
    """An entry as it is stored, with its writer's nonce."""

    entry: Entry
    nonce: str


@define(eq=False)
class _Index:
    """What a process knows of a journal up to ``position``: the first position of each key, and the digests that entries name."""

    position: int = 0
    keys: dict[str, int] = field(factory=dict)
    digests: set[str] = field(factory=set)
    lock: threading.Lock = field(factory=threading.Lock)


@define(eq=False)
class Journals:
    """The journals of all tenants."""

    bucket: Bucket
    generations: Generations
    _places: Cache[Place] = field(factory=lambda: Cache(_BODIES), init=False)
    _indexes: Cache[_Index] = field(factory=lambda: Cache(_KNOWN), init=False)

    def head(self, tenant: str, journal: str) -> int:
        """The newest position, 0 in a journal without entries: one listing."""
        found = next(self.bucket.listing(_folder(tenant, journal), limit=1), None)
        return 0 if found is None else number_of(found.key)

    def append(self, tenant: str, journal: str, expected: int, new: NewEntry, nonce: str | None = None) -> Entry:
        """Append behind ``expected``, if it is the newest."""
        try:
            entry = new.to_dict()
        except ValueError as error:
            raise VersioningError(f"registry.s3: journal {journal}: an entry holds what JSON cannot: {error}") from error
        own = {"nonce": nonce} if nonce else {}
        body = envelope(f"an entry of journal {journal}", position=expected + 1, entry=entry, **own)
        there = expected == 0 or self._places.get((tenant, journal, expected)) is not None  # who read the newest need not ask again
        if there or self.head(tenant, journal) == expected:
            self.generations.keep(tenant, new.digests())
            if expected == 0:
                self.bucket.put(_heads(tenant) + journal_part(journal), b"")
            if self.bucket.create(_folder(tenant, journal) + number_key(expected + 1), body) is None:
                return self._keep(tenant, journal, body).entry
        head = self.head(tenant, journal)
        raise ConflictError(f"registry.s3: journal {journal} is at {head}, not {expected}", head=head)

    def read(self, tenant: str, journal: str, after: int, limit: int, *, newest_first: bool) -> Sequence[Entry]:
        """Entries by position."""
        first, last = max(after, 0) + 1, self.head(tenant, journal)
        if newest_first:
            first = max(first, last - limit + 1)
        else:
            last = min(last, first + limit - 1)
        found = tuple(place.entry for place in self.places(tenant, journal, first, last))
        return found[::-1] if newest_first else found

    def places(self, tenant: str, journal: str, first: int, last: int) -> Sequence[Place]:
        """The positions ``first`` to ``last``, which are there."""
        wanted = range(first, last + 1)
        found = {position: self._places.get((tenant, journal, position)) for position in wanted}
        missing = [position for position, place in found.items() if place is None]
        each = self.bucket.client.pool.map if len(missing) > 1 else map
        rest = iter(each(lambda position: self._place(tenant, journal, position), missing))
        return [place or next(rest) for place in found.values()]

    def _place(self, tenant: str, journal: str, position: int) -> Place:
        return self._keep(tenant, journal, self.bucket.need(_folder(tenant, journal) + number_key(position)))

    def _keep(self, tenant: str, journal: str, body: bytes) -> Place:
        what = f"an entry of journal {journal}"
        content = opened(body, what)
        try:
            new = NewEntry.from_dict(content["entry"])
            place = Place(Entry.of(tenant, journal, content["position"], new), content["nonce"])
        except (KeyError, ValueError) as error:
            raise VersioningError(f"registry.s3: {what} holds none: {error} - restore the object from a backup") from error
        return self._places.put((tenant, journal, place.entry.position), place, len(body))

    def entry_of(self, tenant: str, journal: str, key: str) -> Entry | None:
        """The oldest entry with this key; each entry is read once a process."""
        position = self._index(tenant, journal).keys.get(key)
        return None if position is None else self.places(tenant, journal, position, position)[0].entry

    def digests(self, tenant: str, journal: str) -> set[str]:
        """Every digest that an entry names."""
        return self._index(tenant, journal).digests

    def _index(self, tenant: str, journal: str) -> _Index:
        index = self._indexes.get((tenant, journal)) or self._indexes.put((tenant, journal), _Index(), 1)
        head = self.head(tenant, journal)
        with index.lock:
            while index.position < head:
                for place in self.places(tenant, journal, index.position + 1, min(head, index.position + _BATCH)):
                    entry = place.entry
                    index.position = entry.position
                    index.keys.setdefault(entry.key, entry.position)
                    index.digests |= NewEntry(entry.at, entry.kind, entry.key, entry.change, entry.state).digests()
        return index

    def complete(self, tenant: str, journal: str, after: int, new: NewEntry, nonce: str) -> None:
        """Append an entry that may be there already, at a position greater than ``after``: its nonce tells."""
        seen = after
        while True:
            while seen < (head := self.head(tenant, journal)):
                places = self.places(tenant, journal, seen + 1, min(head, seen + _BATCH))
                if any(place.nonce == nonce for place in places):
                    return
                seen = places[-1].entry.position
            try:
                self.append(tenant, journal, seen, new, nonce)
            except ConflictError:
                continue
            return

    def names(self, tenant: str, prefix: str = "", after: str | None = None) -> Iterator[str]:
        """Journals that may have entries, by name."""
        folder = _heads(tenant)
        start = "" if after is None else folder + journal_part(after)
        for found in self.bucket.listing(folder + journal_part(prefix), after=start):
            yield journal_name(found.key[len(folder) :])

    def page(self, tenant: str, prefix: str, cursor: str | None, limit: int) -> Page[JournalHead]:
        """Journals with entries; the cursor is the last name of the page before."""
        names, heads = self.names(tenant, prefix, cursor), list[JournalHead]()
        while len(heads) <= limit and (batch := [name for name, _ in zip(names, range(limit + 1 - len(heads)), strict=False)]):
            positions = self.bucket.client.pool.map(lambda name: self.head(tenant, name), batch)
            heads += [JournalHead(name, position) for name, position in zip(batch, positions, strict=True) if position]
        return Page(tuple(heads[:limit]), heads[limit - 1].name if len(heads) > limit else None)


def _folder(tenant: str, journal: str) -> str:
    return f"{part(tenant)}/j/{journal_part(journal)}/"


def _heads(tenant: str) -> str:
    return f"{part(tenant)}/h/"
