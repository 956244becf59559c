import math
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops_core.records import (
    And,
    Comparison,
    Metric,
    NewEntry,
    Not,
    Or,
    OrderBy,
    Query,
    RunReport,
    SeriesKey,
    StackRef,
    StageResult,
    StageTask,
    TrackBatch,
)
from mlops_core.records.codec import decode, encode
from mlops_core.records.monitoring import Segment
from mlops_core.records.pipeline import PipelineStatus, StageStatus

AT = datetime(2024, 1, 15, 12, 30, 0, 123456, tzinfo=UTC)
SEGMENT = Segment(SeriesKey("acme", "prod", "m"), AT, AT + timedelta(seconds=1), "w", 1, histogram={5: 3, -2: 1}, errors_by_type={"E": 1})
TASK = StageTask(
    StackRef("/p", "acme", config={"documents": [["a", "b"]]}),
    "run-1",
    "training",
    2,
    earlier=(StageResult("data", StageStatus.SUCCEEDED, history=(Metric("m", 0.5, 1, AT),)),),
)
QUERY = Query(And((Comparison("a", "=", 1), Or((Not(Comparison("b", "in", (1, 2))), Comparison("c", "like", "x%"))))), (OrderBy("a"),), 5)


@pytest.mark.parametrize(
    "record", [SEGMENT, TASK, QUERY, Query(), TrackBatch("w", 1, {"a": "1"}), RunReport("p", "t", "r", PipelineStatus.HELD, ())]
)
def test_a_record_comes_back_as_it_was(record: Any) -> None:
    import json

    assert decode(type(record), json.loads(json.dumps(encode(record)))) == record
    assert type(record).from_dict(record.to_dict()) == record


@given(st.datetimes(min_value=datetime(1970, 1, 2), max_value=datetime(9000, 1, 1), timezones=st.timezones()))  # noqa: DTZ001  bounds
def test_a_time_is_written_in_utc_and_comes_back_exactly(at: datetime) -> None:
    entry = NewEntry(at, "kind")
    text = encode(entry)["at"]
    assert text.endswith("Z")
    assert decode(NewEntry, encode(entry)).at == at.astimezone(UTC)
    assert decode(NewEntry, encode(entry)).at.tzinfo is UTC


def test_every_zone_is_the_same_moment() -> None:
    assert decode(NewEntry, {"at": "2024-01-15T14:30:00+02:00", "kind": "k"}).at == datetime(2024, 1, 15, 12, 30, tzinfo=UTC)
    east = datetime(2024, 1, 15, 14, 30, tzinfo=timezone(timedelta(hours=2)))
    assert encode(NewEntry(east, "k"))["at"] == "2024-01-15T12:30:00.000000Z"


def test_a_duration_is_written_in_seconds() -> None:
    assert encode(timedelta(minutes=5)) == 300.0
    assert decode(timedelta, 0.5) == timedelta(milliseconds=500)


def test_conditions_carry_their_kind() -> None:
    """``And`` and ``Or`` have the same fields."""
    assert encode(QUERY)["where"]["kind"] == "and"
    assert decode(Or, encode(Or(()))) == Or(())
    with pytest.raises(ValueError, match="expected a value of kind or"):
        decode(Or, encode(And(())))
    with pytest.raises(ValueError, match="expected a value of kind and, comparison, not, or"):
        decode(Query, {"where": {"kind": "xor", "terms": []}})


STAGE = {"stage": "a", "status": "succeeded"}
WRONG = {
    "a missing field": (StageResult, {"stage": "a"}, "not a StageResult: KeyError: 'status'"),
    "an unknown field": (StageResult, {**STAGE, "newer": 1}, "not a StageResult: ForbiddenExtraKeysError: .*newer"),
    "a number for text": (StageResult, {**STAGE, "stage": 5}, "not a StageResult: TypeError: expected text, got 5"),
    "text for a number": (StageResult, {**STAGE, "seconds": "long"}, "expected a number, got 'long'"),
    "a truth value for a number": (StageResult, {**STAGE, "seconds": True}, "expected a number, got True"),
    "a fraction for a whole number": (StageResult, {**STAGE, "attempt": 1.5}, "expected a whole number, got 1.5"),
    "text for a truth value": (OrderBy, {"field": "a", "descending": "false"}, "expected true or false, got 'false'"),
    "a word that is no status": (StageResult, {**STAGE, "status": "great"}, "'great' is not a valid StageStatus"),
    "a list for a mapping": (NewEntry, {"at": "2024-01-15T12:30:00Z", "kind": "k", "change": [1]}, "expected a mapping, got list"),
    "a time without a zone": (NewEntry, {"at": "2024-01-15T12:30:00", "kind": "k"}, "time '2024-01-15T12:30:00' has no zone"),
    "a time that is a number": (NewEntry, {"at": 5, "kind": "k"}, "expected a time as text, got 5"),
    "a time that is none": (NewEntry, {"at": "noon", "kind": "k"}, "Invalid isoformat string"),
    "no mapping at all": (StageResult, None, "not a StageResult: "),
}


@pytest.mark.parametrize(("cls", "data", "cause"), WRONG.values(), ids=WRONG)
def test_what_is_no_record_is_refused(cls: type, data: Any, cause: str) -> None:
    with pytest.raises(ValueError, match=cause):
        decode(cls, data)


def test_what_json_cannot_hold_is_refused_when_it_is_written() -> None:
    with pytest.raises(ValueError, match=r"NewEntry\.change\.a\[1\]: set cannot be written as JSON"):
        encode(NewEntry(AT, "k", change={"a": [1, {2}]}))
    with pytest.raises(ValueError, match=r"NewEntry\.change: tuple cannot be a key in JSON"):
        encode(NewEntry(AT, "k", change={(1, 2): 1}))  # type: ignore[dict-item]  # the point of the test


def test_what_is_no_number_is_kept() -> None:
    assert math.isnan(decode(Metric, encode(Metric("m", math.nan, 0, AT))).value)
    assert decode(float, "-inf") == -math.inf


def test_digits_are_the_keys_of_a_histogram_in_json() -> None:
    assert decode(Segment, {**encode(SEGMENT), "histogram": {"5": 3, "-2": 1}}) == SEGMENT
