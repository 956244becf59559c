"""Current data beside a reference."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mlops_core.drift import Reference
from mlops_core.drift.pairing import Pairing, pair
from mlops_core.drift.table import read_table
from mlops_core.exceptions import DriftDetectionError
from mlops_drift_psi import PopulationStability


def side_by_side(reference: Any, current: Any) -> Pairing:
    return pair(Reference.fit(reference, {"psi": PopulationStability()}), read_table("current", current))


def test_by_name_in_the_order_of_the_reference() -> None:
    found = side_by_side({"a": [1, 2], "b": [3, 4]}, {"c": [0, 0], "b": [5, 6], "a": [7, 8]})
    assert {name: column.data.tolist() for name, column in found.columns.items()} == {"a": [7.0, 8.0], "b": [5.0, 6.0]}
    assert (found.new_columns, found.missing_columns, found.rows) == (("c",), (), 2)
    assert side_by_side({"a": [1, 2], "b": [3, 4]}, {"a": [7, 8]}).missing_columns == ("b",)


def test_by_position_where_a_side_has_no_names() -> None:
    for current in (np.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]]):
        found = side_by_side({"a": [1, 2], "b": [3, 4]}, current)
        assert {name: (column.name, column.data.tolist()) for name, column in found.columns.items()} == {
            "a": ("a", [1.0, 3.0]),
            "b": ("b", [2.0, 4.0]),
        }
    assert list(side_by_side(np.zeros((3, 1)), {"z": [1, 2]}).columns) == ["x0"]


def test_categories_share_one_code_space() -> None:
    found = side_by_side({"c": ["b", "d", "b"]}, {"c": ["d", "a", None, "c", "d"]})
    assert found.columns["c"].data.tolist() == [1, 2, -1, 3, 1]
    assert found.new_categories == {"c": ("a", "c")}
    assert found.missing_categories == {"c": ("b",)}


def test_booleans_have_no_new_categories() -> None:
    found = side_by_side({"c": [True, True, None]}, {"c": [False, False]})
    assert (dict(found.new_categories), dict(found.missing_categories)) == ({}, {})
    assert found.columns["c"].data.tolist() == [0, 0]


@pytest.mark.parametrize(
    ("reference", "current", "told"),
    [
        (np.zeros((3, 2)), np.zeros((3, 4)), "the reference has 2 columns, the current data 4, so 'x2' is in the current data only - give"),
        (np.zeros((3, 3)), np.zeros((3, 2)), "the reference has 3 columns, the current data 2, so 'x2' is in the reference data only"),
        ({"a": [1, 2], "b": [1, 2]}, np.zeros(3), "the reference has 2 columns, the current data 1, so 'b' is in the reference data only"),
        ({"a": [1, 2]}, {"b": [1, 2]}, "the sides have no column in common (such as 'a' and 'b') - give the same columns"),
        (
            {"a": [1, 2]},
            {"a": ["1", "two"]},
            "current data: column 'a' holds values of kind category, such as '1', where the reference's are of kind number - convert",
        ),
        (
            {"a": ["x", "y"]},
            {"a": [1, 2]},
            "current data: column 'a' holds values of kind number, where the reference's are of kind category",
        ),
        (
            {"a": [True, False]},
            {"a": [1, 0]},
            "current data: column 'a' holds values of kind number, where the reference's are of kind boolean",
        ),
    ],
)
def test_sides_that_do_not_fit(reference: Any, current: Any, told: str) -> None:
    with pytest.raises(DriftDetectionError) as found:
        side_by_side(reference, current)
    assert found.value.message.startswith(f"drift: {told}")
