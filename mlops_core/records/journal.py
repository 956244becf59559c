"""Entries of append-only journals: aliases, deployments, pipeline runs, incidents."""

from __future__ import annotations

from collections.abc import Mapping
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


@frozen
class Entry(Record):
    """An entry as stored. Positions are dense, begin at 1 and are never trimmed; ``id`` is unique in the store."""

    position: int
    id: str
    at: datetime
    kind: str
    key: str = ""
    change: Mapping[str, Any] = field(factory=dict)
    state: Mapping[str, Any] | None = None


@frozen
class JournalHead(Record):
    """A journal's name and the position of its newest entry."""

    name: str
    position: int
