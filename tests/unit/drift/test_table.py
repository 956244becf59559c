"""Whatever a caller calls data, as a table."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from mlops_core.drift.table import column_names, read_table, read_values
from mlops_core.exceptions import DriftDetectionError

STRUCTURED = np.array([(1.0, "x"), (2.0, "y")], dtype=[("a", "f8"), ("b", "U1")])


@pytest.mark.parametrize(
    ("data", "names", "named"),
    [
        (np.array([1.0, 2.0]), ["x0"], False),
        (np.zeros((2, 3)), ["x0", "x1", "x2"], False),
        ([1.0, 2.0, None], ["x0"], False),
        ([[1, "a"], [2, "b"]], ["x0", "x1"], False),
        ([np.array([1.0, 2.0]), np.array([3.0, 4.0])], ["x0", "x1"], False),
        (pd.Series([1.0, 2.0]), ["x0"], False),
        (pl.Series("price", [1.0, 2.0]), ["price"], False),
        ({"a": [1, 2], "b": np.array(["x", "y"]), "c": pd.Series([True, False])}, ["a", "b", "c"], True),
        ([{"a": 1, "b": "x"}, {"a": 2}, {"a": 3, "b": "y"}], ["a", "b"], True),
        (pd.DataFrame({"a": [1, 2]}), ["a"], True),
        (pd.DataFrame({0: [1, 2]}), ["0"], True),
        (STRUCTURED, ["a", "b"], True),
    ],
)
def test_many_forms(data: Any, names: list[str], named: object) -> None:
    table = read_table("current", data)
    assert [column.name for column in table.columns] == names
    assert (table.named, table.rows) == (named, len(table.columns[0].data))


def test_rows_that_lack_a_key_have_a_missing_value() -> None:
    table = read_table("current", [{"a": 1, "b": "x"}, {"a": 2}, {"a": 3, "b": "y"}])
    assert [column.missing for column in table.columns] == [0, 1]


@pytest.mark.parametrize("data", [{"a": [1, 2], "b": [object(), object()]}, pl.DataFrame({"a": [1, 2], "b": [[1], [2]]})])
def test_columns_that_are_not_wanted_may_hold_anything(data: Any) -> None:
    assert [column.name for column in read_table("current", data, ["a"]).columns] == ["a"]
    with pytest.raises(DriftDetectionError, match="column 'b'"):
        read_table("current", data)


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (np.zeros(0), "it is empty - give at least one column and two rows"),
        (np.zeros((0, 3)), "it is empty"),
        (np.zeros((3, 0)), "it is empty"),
        ([], "it is empty"),
        ({}, "it is empty"),
        (pd.DataFrame(), "it is empty"),
        (np.zeros((2, 2, 2)), "it has 3 dimensions - give one"),
        (np.array(3.0), "it has 0 dimensions - give one"),
        ([[1, 2], [3]], "its rows have different lengths - give rows of one length"),
        ([[1, 2], 3], "its rows have different lengths"),
        ({"a": [1, 2], "b": [1, 2, 3]}, "column 'b' has 3 rows where 'a' has 2 - give columns of equal length"),
        ([{"a": 1}, 5], "only some of its rows are mappings - give rows of one kind"),
        ([10**400, 1], "column 'x0' holds a number beyond 1e308 - scale"),
        ({"a": 5}, "column 'a' is a int - give an array, a list or a series"),
        ({"a": []}, "column 'a' holds only missing values"),
        (pd.DataFrame({"a": [1.0]}), "column 'a' has 1 value - give at least 2"),
        ("flights.csv", "a builtins.str cannot be read - give a numpy array, a pandas, polars or pyarrow table in memory"),
        (pl.LazyFrame({"a": [1, 2]}), "a polars.lazyframe.frame.LazyFrame cannot be read - give"),
        (None, "a builtins.NoneType cannot be read"),
    ],
)
def test_what_cannot_be_read(data: Any, told: str) -> None:
    with pytest.raises(DriftDetectionError) as found:
        read_table("reference", data)
    assert found.value.message.startswith(f"drift: reference data: {told}")
    assert "\n" not in found.value.message


def test_a_wanted_column_must_be_there() -> None:
    with pytest.raises(DriftDetectionError, match=r"current data: column 'z' is not there \(there are: x0, x1\) - name existing columns"):
        read_table("current", np.zeros((2, 2)), ["z"])


def test_if_none_is_there_those_that_are_are_named() -> None:
    for data in ({"a": [1, 2]}, pd.DataFrame({"a": [1, 2]})):
        with pytest.raises(DriftDetectionError, match=r"current data: column 'z' is not there \(there are: a\)"):
            read_table("current", data, ["z"])


def test_names_of_columns() -> None:
    assert column_names(None) is None
    assert column_names("a") == ("a",)
    assert column_names(["b", "a", "b"]) == ("b", "a")
    for wrong in ([], [1, 2], [None]):
        with pytest.raises(DriftDetectionError, match="columns: expected names"):
            column_names(wrong)


def test_values_are_one_column() -> None:
    assert read_values("current", np.array([[1], [0]]), "labels").name == "labels"
    with pytest.raises(DriftDetectionError, match="current labels: expected one column, got 2 - give one value per row"):
        read_values("current", np.zeros((3, 2)), "labels")
