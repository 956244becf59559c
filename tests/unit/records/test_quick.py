"""The quick way answers what the general way answers, or nothing."""

from __future__ import annotations

import importlib
import json
import pkgutil
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import attrs
import hypothesis.strategies as st
import pytest
from hypothesis import given

import mlops_core.records
from mlops_core.records import Blob, Entry, ModelVersion, NewEntry, Record, canonical_json
from mlops_core.records.codec import _converter
from mlops_core.records.quick import quick_decoder
from mlops_core.testing.registry_samples import full_version, sample_entry, sample_version

if TYPE_CHECKING:
    from collections.abc import Iterator

FULL = full_version(Blob("a" * 64, 7), Blob("b" * 64, 9))
SAMPLES = [sample_version(), sample_version("1", number=1, retired=True), FULL, sample_entry("set", key="k", change={"a": [1]}, state={})]


def plain(record: Record) -> Any:
    return json.loads(canonical_json(record.to_dict()))


def records() -> Iterator[type]:
    for module in pkgutil.iter_modules(mlops_core.records.__path__):
        for value in vars(importlib.import_module(f"mlops_core.records.{module.name}")).values():
            if isinstance(value, type) and issubclass(value, Record) and attrs.has(value):
                yield value


@pytest.mark.parametrize("record", SAMPLES, ids=lambda one: type(one).__name__)
def test_a_record_comes_back_by_either_way(record: Record) -> None:
    quick = quick_decoder(type(record))
    assert quick is not None
    assert quick(plain(record)) == record == _converter().structure(plain(record), type(record))


def test_what_a_store_reads_by_the_thousand_has_a_quick_way() -> None:
    known = {cls.__name__ for cls in set(records()) if quick_decoder(cls) is not None}
    assert {"ModelVersion", "NewEntry", "Entry", "Blob", "File", "Schema", "LineageLink", "ArtifactRef"} <= known


CHANGES: st.SearchStrategy[Any] = st.sampled_from(
    [None, 1, 1.5, True, "x", "2024-05-01T12:00:00Z", "2024-05-01T12:00:00", [], {}, [None], ["x"], [{}], {"x": 1}]
)


@given(st.sampled_from(SAMPLES), st.data())
def test_whatever_is_changed_it_answers_the_same_or_nothing(record: Record, data: st.DataObject) -> None:
    values = plain(record)
    name = data.draw(st.sampled_from([*values, "unknown"]))
    if data.draw(st.booleans()):
        values[name] = data.draw(CHANGES)
    else:
        values.pop(name, None)
    quick = quick_decoder(type(record))
    assert quick is not None
    try:
        found = quick(values)
    except (TypeError, ValueError):
        found = None
    if found is not None:
        assert found == _converter().structure(values, type(record))


def test_a_caller_may_change_what_it_gave() -> None:
    values = plain(sample_version(metadata={"accuracy": 0.9}))
    version = ModelVersion.from_dict(values)
    values["metadata"]["accuracy"] = 0.1
    assert version.metadata == {"accuracy": 0.9}


@pytest.mark.parametrize("text", ["2024-05-01T14:30:00+02:00", "2024-05-01T12:30:00Z", "2024-05-01T12:30:00.000000Z"])
def test_times_are_in_utc(text: str) -> None:
    entry = NewEntry.from_dict({"at": text, "kind": "set"})
    assert entry.at == datetime(2024, 5, 1, 12, 30, tzinfo=UTC)
    assert entry.at.tzinfo is UTC


def test_the_error_of_a_wrong_value_is_that_of_the_general_way() -> None:
    values = plain(Entry.of("acme", "j", 1, sample_entry()))
    with pytest.raises(ValueError, match=r"not a Entry: .*expected text, got 3"):
        Entry.from_dict({**values, "kind": 3})
    with pytest.raises(ValueError, match="not a Entry"):
        Entry.from_dict({**values, "more": 1})
