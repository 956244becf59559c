"""Values to columns, checked against a schema."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops_core.records import Column, Schema
from mlops_deployer_local.schema import BadRequestError, columns_of, kind_of, matrix_of

DEEP: list[Any] = []
for _ in range(5000):
    DEEP = [DEEP]


def column(dtype: str, *, shape: tuple[int, ...] = (), nullable: bool = False) -> Schema:
    return Schema((Column("c", dtype, shape, nullable),))


@pytest.mark.parametrize(
    ("dtype", "kind"),
    [
        ("float64", "float"),
        ("float16", "float"),
        ("int8", "int"),
        ("uint64", "int"),
        ("bool", "bool"),
        ("str", "text"),
        ("object", "text"),
        ("datetime64[ns]", "time"),
        ("category", "text"),
    ],
)
def test_kinds(dtype: str, kind: str) -> None:
    assert kind_of(dtype) == kind


@pytest.mark.parametrize(
    ("dtype", "values", "wanted"),
    [
        ("float32", [1, 2.5], np.array([1, 2.5], "float32")),
        ("int8", [-128, 127], np.array([-128, 127], "int8")),
        ("uint8", [0, 255], np.array([0, 255], "uint8")),
        ("bool", [True, False], np.array([True, False])),
        ("str", ["a", "ä"], np.array(["a", "ä"], object)),
        ("datetime64[ns]", ["2013-07-01T05:15:00"], np.array(["2013-07-01T05:15:00"], "datetime64[ns]")),
    ],
)
def test_values_take_the_type_of_their_column(dtype: str, values: list[Any], wanted: Any) -> None:
    found = columns_of(column(dtype), {"c": values})["c"]
    assert found.dtype == wanted.dtype
    assert found.tolist() == wanted.tolist()


@pytest.mark.parametrize(
    "text", ["2013", "2013-07", "2013-07-01", "2013-07-01T05:15", "2013-07-01 05:15:00", "2013-07-01T05:15:00.123456789"]
)
def test_times_are_taken_in_every_form_of_iso_8601(text: str) -> None:
    assert columns_of(column("datetime64[ns]"), {"c": [text]})["c"] == np.datetime64(text.replace(" ", "T"), "ns")


def test_an_infinity_that_was_given_is_kept() -> None:
    assert columns_of(column("float32"), {"c": [math.inf, 1.0]})["c"].tolist() == [math.inf, 1.0]


def test_missing_values_where_a_column_may_have_them() -> None:
    assert math.isnan(columns_of(column("float64", nullable=True), {"c": [1.0, None]})["c"][1])
    assert columns_of(column("str", nullable=True), {"c": ["a", None]})["c"].tolist() == ["a", None]
    assert np.isnat(columns_of(column("datetime64[ns]", nullable=True), {"c": ["2013-07-01", None]})["c"][1])


@pytest.mark.parametrize(
    ("schema", "values", "said"),
    [
        (column("int8"), [128], "column 'c': 128 does not fit int8 - it holds -128 to 127"),
        (column("uint8"), [-1], "column 'c': -1 does not fit uint8"),
        (column("int64"), [1.0], "column 'c': 1.0 is not of type int64 - give whole numbers"),
        (column("int64"), [True], "column 'c': True is not of type int64"),
        (column("bool"), [1], "column 'c': 1 is not of type bool - give true or false"),
        (column("int64", nullable=True), [None], "column 'c': type int64 cannot hold a missing value"),
        (column("float64"), [None], "column 'c': a value is missing"),
        (column("datetime64[ns]"), ["noon"], "column 'c': 'noon' is not of type datetime64[ns] - give times as ISO 8601 text"),
        (column("datetime64[ns]"), ["2013-07-32"], "column 'c': a value is not of type datetime64[ns] - give times as ISO 8601 text"),
        (column("datetime64[ns]"), ["now"], "column 'c': 'now' is not of type datetime64[ns] - give times as ISO 8601 text"),
        (column("datetime64[ns]"), ["today"], "column 'c': 'today' is not of type datetime64[ns]"),
        (column("datetime64[ns]", nullable=True), ["NaT"], "column 'c': 'NaT' is not of type datetime64[ns]"),
        (column("datetime64[ns]"), ["20130701"], "column 'c': '20130701' is not of type datetime64[ns]"),
        (column("float32"), [1.0, 1e39], "column 'c': 1e+39 does not fit float32 - it holds up to 3.4028"),
        (column("float16", shape=(2,)), [[1, 70000]], "column 'c': 70000 does not fit float16 - it holds up to 65504"),
        (column("float64"), [DEEP], "column 'c': [[[...]]] is not of type float64"),
        (column("str"), [[{"a": DEEP}]], "column 'c': [{'a': [...]}] is not of type str"),
        (column("float64"), [[1.0]], "column 'c': [1.0] is not of type float64"),
        (column("float64", shape=(2,)), [[1.0, 2.0], [3.0]], "column 'c' is ragged - give rows of shape [2]"),
        (column("float64", shape=(2,)), [1.0, 2.0], "column 'c' is ragged"),
        (column("float64", shape=(2, 2)), [[[1.0, 2.0], 3.0]], "column 'c' is ragged"),
        (column("str"), ["x", {"a": "b" * 100}], "column 'c': {'a': 'bbb"),
        (None, [[1.0], [2.0, 3.0]], "column 'c' is ragged"),
    ],
)
def test_what_does_not_fit_names_its_column(schema: Schema | None, values: list[Any], said: str) -> None:
    with pytest.raises(BadRequestError) as raised:
        columns_of(schema, {"c": values})
    assert raised.value.message.startswith(said)
    assert raised.value.status == 422
    assert len(raised.value.message) < 200


def test_nested_rows_take_the_shape_of_their_column() -> None:
    found = columns_of(column("float32", shape=(2, 3)), {"c": [[[1, 2, 3], [4, 5, 6]]] * 4})["c"]
    assert found.shape == (4, 2, 3)
    assert found[3].tolist() == [[1, 2, 3], [4, 5, 6]]


def test_columns_come_in_the_order_of_the_schema() -> None:
    schema = Schema((Column("b", "float64"), Column("a", "str")))
    assert list(columns_of(schema, {"a": ["x"], "b": [1.0]})) == ["b", "a"]


def test_without_a_schema_everything_is_taken_as_it_is() -> None:
    found = columns_of(None, {"x": [1.5], "n": [1], "t": ["a"], "v": [[1.0, 2.0]]})
    assert {name: values.dtype.kind for name, values in found.items()} == {"x": "f", "n": "i", "t": "O", "v": "f"}


@given(values=st.lists(st.floats(allow_nan=False), min_size=1))
def test_numbers_pass_unchanged(values: list[float]) -> None:
    assert columns_of(column("float64"), {"c": values})["c"].tolist() == values


@given(values=st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists, max_leaves=10))
def test_no_value_ends_in_anything_but_an_array_or_a_refusal(values: Any) -> None:
    for dtype in ("float64", "int64", "bool", "str", "datetime64[ns]"):
        try:
            found = columns_of(column(dtype, nullable=True), {"c": [values]})
        except BadRequestError as error:
            assert "\n" not in error.message  # noqa: PT017  the message is checked beside the class
        else:
            assert len(found["c"]) == 1


@given(
    st.lists(
        st.lists(st.one_of(st.floats(), st.integers(-(10**400), 10**400), st.booleans(), st.none()), min_size=2, max_size=2), max_size=3
    )
)
def test_rows_in_one_step_are_the_columns_one_by_one(rows: list[list[Any]]) -> None:
    schema = Schema((Column("a", "float64"), Column("b", "float64")))
    found = matrix_of(schema, ["a", "b"], rows)
    if found is not None:
        expected = columns_of(schema, {name: [row[at] for row in rows] for at, name in enumerate("ab")})
        assert list(found) == list(expected)
        for name in "ab":
            np.testing.assert_array_equal(found[name], expected[name])
            assert found[name].dtype == expected[name].dtype
    assert matrix_of(schema, ["b", "a"], [[1.0, 2.0]]) is None
    assert matrix_of(Schema((Column("a", "float32"),)), ["a"], [[1.0]]) is None
    whole = matrix_of(schema, ["a", "b"], [[1, 2.5], [3, 4.5]])
    assert whole is not None
    assert {name: values.tolist() for name, values in whole.items()} == {"a": [1.0, 3.0], "b": [2.5, 4.5]}
