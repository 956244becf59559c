"""Entries of append-only journals: aliases, deployments, pipeline runs, incidents."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from attrs import field, frozen

from mlops_core.records.record import Record

__all__ = ["Entry", "JournalHead", "NewEntry"]


@frozen
class NewEntry(Record):
    """What a writer appends. ``key`` names the request, so that a retry finds its own entry; ``change`` is what happened.

    ``state`` is the complete state after it, or None in a journal of deltas.
    """

    at: datetime
    kind: str
    key: str = ""
    change: Mapping[str, Any] = field(factory=dict)
    state: Mapping[str, Any] | None = None

    def digests(self) -> frozenset[str]:
        """Every value under a key ``sha256`` in change and state: a store keeps the blobs that were there when an entry named them."""
        return frozenset(_digests((self.change, self.state)))


@frozen
class Entry(Record):
    """An entry as stored. Positions are dense, begin at 1 and are never trimmed; ``id`` is unique in the store.

    ``id`` follows from tenant, journal and position, so that a copy in another store has the same.
    """

    position: int
    id: str
    at: datetime
    kind: str
    key: str = ""
    change: Mapping[str, Any] = field(factory=dict)
    state: Mapping[str, Any] | None = None

    @classmethod
    def of(cls, tenant: str, journal: str, position: int, new: NewEntry) -> Entry:
        """The stored form of a new entry at this position."""
        text = "\0".join((tenant, journal, str(position)))
        name = hashlib.sha256(text.encode()).hexdigest()[:32]
        return cls(position, name, new.at, new.kind, new.key, new.change, new.state)


@frozen
class JournalHead(Record):
    """A journal's name and the position of its newest entry."""

    name: str
    position: int


def _digests(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        if isinstance(named := value.get("sha256"), str):
            yield named
        for inner in value.values():
            yield from _digests(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _digests(inner)
