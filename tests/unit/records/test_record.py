import pickle
from typing import Any

import pytest
from attrs import define, field, frozen
from hypothesis import given
from hypothesis import strategies as st

from mlops_core import records
from mlops_core.records import Record, canonical_json, digest_of


@frozen
class Reading(Record):
    """A reading with a derived figure."""

    count: int
    errors: int = 0
    _hidden: int = field(default=0, alias="hidden")

    @property
    def rate(self) -> float:
        return self.errors / self.count

    @property
    def _private(self) -> int:
        return 1


@frozen
class Later(Reading):
    """Fields of a base come first."""

    note: str = ""


def test_a_record_answers_by_attribute_and_by_item() -> None:
    reading = Reading(4, 1)
    assert (reading.count, reading["count"]) == (4, 4)
    assert reading["rate"] == reading.rate == 0.25


def test_a_record_is_read_like_a_mapping() -> None:
    reading = Reading(4, 1)
    assert reading.keys() == ("count", "errors", "rate")
    assert list(reading) == ["count", "errors", "rate"]
    assert dict(reading) == {"count": 4, "errors": 1, "rate": 0.25}
    assert "rate" in reading
    assert "nothing" not in reading
    assert 5 not in reading
    assert Later(1).keys() == ("count", "errors", "note", "rate")


@pytest.mark.parametrize("name", ["nothing", "to_dict", "_hidden", "_private", "__class__"])
def test_only_fields_and_figures_are_items(name: str) -> None:
    with pytest.raises(KeyError, match=name):
        Reading(1)[name]


def test_derived_figures_are_not_written() -> None:
    assert "rate" not in Reading(4, 1).to_dict()
    assert Reading.from_dict(Reading(4, 1).to_dict()) == Reading(4, 1)


def test_records_are_frozen_compared_by_value_and_hashable() -> None:
    reading: Any = Reading(4, 1)
    with pytest.raises(AttributeError):
        reading.count = 5
    assert reading == Reading(4, 1)
    assert hash(reading) == hash(Reading(4, 1))
    assert pickle.loads(pickle.dumps(reading)) == reading  # noqa: S301  our own bytes


def test_every_record_of_the_core_is_frozen_and_slotted() -> None:
    classes = [value for name in records.__all__ if isinstance(value := getattr(records, name), type) and issubclass(value, Record)]
    assert len(classes) > 40
    for cls in classes:
        if cls is Record:
            continue
        assert "__slots__" in vars(cls), cls
        assert cls.__setattr__ is not object.__setattr__, cls


def test_a_record_that_is_no_attrs_class_has_only_its_figures() -> None:
    @define
    class Empty(Record):
        pass

    assert Empty().keys() == ()


def test_canonical_json_is_one_text_per_value() -> None:
    assert canonical_json({"b": 1, "a": [True, None, "\u00e9"]}) == '{"a":[true,null,"\u00e9"],"b":1}'
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical_json(float("nan"))


json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text()),
    lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.text(), inner)),
    max_leaves=10,
)


@given(st.dictionaries(st.text(), json_values))
def test_the_order_of_keys_does_not_change_a_digest(value: dict[str, Any]) -> None:
    assert digest_of(value) == digest_of(dict(reversed(value.items())))


@given(json_values, json_values)
def test_equal_digests_mean_equal_texts(left: Any, right: Any) -> None:
    assert (digest_of(left) == digest_of(right)) == (canonical_json(left) == canonical_json(right))
