"""Entries of journals as records."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from mlops_core.records import Entry, NewEntry

AT = datetime(2024, 5, 1, tzinfo=UTC)


def test_an_entry_keeps_what_was_appended() -> None:
    new = NewEntry(AT, "set", "key", {"a": [1, {"b": None}]}, {"x": 1})
    entry = Entry.from_dict({**new.to_dict(), "position": 3, "id": "i"})
    assert (entry.position, entry.kind, entry.change, entry.state) == (3, "set", {"a": [1, {"b": None}]}, {"x": 1})


def test_a_naive_time_is_refused() -> None:
    with pytest.raises(ValueError, match="has no zone"):
        NewEntry.from_dict({**NewEntry(AT, "set").to_dict(), "at": "2024-05-01T00:00:00"})
