"""Kinds of columns that a caller declares."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from mlops_core import DriftDetector
from mlops_core.drift import Reference
from mlops_core.drift.schema import KINDS, Schema, declared_schema, read_column
from mlops_core.drift.table import read_table
from mlops_core.exceptions import DriftDetectionError

if TYPE_CHECKING:
    from pathlib import Path

    from mlops_core.drift.column import Kind

NAN = float("nan")


@pytest.mark.parametrize(
    ("kind", "values", "data"),
    [
        ("number", ["1", " 2.5 ", None], [1, 2.5, NAN]),
        ("number", [True, False, "3"], [1, 0, 3]),
        ("number", [1, 2.5, Decimal("0.5")], [1, 2.5, 0.5]),
        ("datetime", ["1970-01-01T00:00:01", "1970-01-01T01:00:01+01:00"], [1e6, 1e6]),
        ("datetime", [date(1970, 1, 2), None, date(1970, 1, 1)], [86400e6, NAN, 0]),
        ("duration", [1, 2.5, timedelta(seconds=3)], [1, 2.5, 3]),
        ("boolean", [1, 0.0, "True", None, "FALSE "], [1, 0, 1, -1, 0]),
        ("text", ["", "abc", None, "äö"], [0, 3, NAN, 2]),
    ],
)
def test_values_are_read_as_what_they_are_declared_to_be(kind: Kind, values: list[Any], data: list[float]) -> None:
    column = read_column("current", "x", values, kind)
    assert (column.name, column.kind, column.missing) == ("x", kind, sum(value is None for value in values))
    np.testing.assert_array_equal(column.data, data)


@pytest.mark.parametrize(
    "values",
    [
        [10, 2, None, 10],
        np.array([10, 2, np.nan, 10]),
        pd.Series([10, 2, None, 10]),
        pl.Series([10, 2, None, 10]),
        pa.chunked_array([[10, 2], [None, 10]]),
        ["10", 2, None, 10.0],
    ],
)
def test_numbers_as_categories_have_one_label_however_they_are_stored(values: Any) -> None:
    (column,) = read_table("current", {"x": values}, None, Schema({"x": "category"})).columns
    assert (column.kind, column.categories, column.data.tolist()) == ("category", ("10", "2"), [0, 1, -1, 0])


@pytest.mark.parametrize("values", [np.array(["2024-01-01", "2024-01-02"], "M8[ns]"), [date(2024, 1, 1), date(2024, 1, 2)]])
def test_times_as_categories(values: Any) -> None:
    assert len(read_column("current", "x", values, "category").categories) == 2


def test_numbers_stay_what_they_are_without_a_loop_over_them() -> None:
    values = np.array([1.0, 2.0, 3.0])
    assert read_column("current", "x", values, "number").data is values


@pytest.mark.parametrize(
    ("kind", "values", "told"),
    [
        ("number", ["1", "none"], "is declared as number and holds 'none' - give a number, or declare another kind in schema="),
        ("number", [10**400, 1], "is declared as number and holds 1000"),
        ("number", [1.0, float("inf")], "holds 1 infinite values"),
        ("boolean", [1, 2], "is declared as boolean and holds 2 - give true or false"),
        ("datetime", ["yesterday", "today"], "is declared as datetime and holds 'yesterday' - give a time such as"),
        ("datetime", [1, 2], "is declared as datetime and holds 1 "),
        ("duration", ["1h", "2h"], "is declared as duration and holds '1h' - give a length of time"),
        ("text", [1.5, 2], "is declared as text and holds 1.5 - give text"),
        ("category", [[1], [2]], r"is declared as category and holds \[1\] - give a category"),
    ],
)
def test_a_value_of_another_kind_is_named(kind: Kind, values: list[Any], told: str) -> None:
    with pytest.raises(DriftDetectionError, match=f"^drift: current data: column 'x' {told}") as caught:
        read_column("current", "x", values, kind)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (["text"], "expected kinds by column, got"),
        ({1: "text"}, "expected kinds by column"),
        ({"a": "txt"}, "column 'a': 'txt' is no kind - did you mean 'text'?"),
        ({"a": ["text"]}, "is no kind"),
    ],
)
def test_what_is_no_schema(given: Any, told: str) -> None:
    with pytest.raises(DriftDetectionError, match=f"^drift: schema: .*{told}"):
        declared_schema(given)


def test_every_kind_may_be_declared() -> None:
    assert declared_schema({kind: kind for kind in KINDS}) == {kind: kind for kind in KINDS}
    assert declared_schema(None) == {}


def words(count: int, mean: float, seed: int) -> list[str]:
    return [f"{row:05}-" + "x" * int(length) for row, length in enumerate(np.random.default_rng(seed).poisson(mean, count))]


@pytest.mark.parametrize("seed", [1, 2])
def test_free_text_is_compared_by_its_length(seed: int) -> None:
    detector = DriftDetector(tests=["ks"])
    schema: dict[str, Kind] = {"comment": "text"}
    before = {"comment": words(12_000, 40, seed)}  # more of them than a column may have categories
    with pytest.raises(DriftDetectionError, match=r"column 'comment' has more than 10,000 categories .* declare it as text in schema="):
        detector.detect_data_drift(before, before)
    assert not detector.detect_data_drift(before, {"comment": words(500, 40, seed + 10)}, schema=schema).drift_detected
    found = detector.detect_data_drift(before, {"comment": words(500, 50, seed + 10)}, schema=schema)
    assert found.drift_detected
    assert found.distributions[0].kind == "text"


def test_a_reference_knows_its_schema(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    before = {"zip": rng.integers(10, 14, 400), "size": rng.normal(size=400)}
    detector = DriftDetector(tests=["psi"])
    detector.fit_reference(before, schema={"zip": "category"}).save(tmp_path / "reference.npz")
    reference = Reference.load(tmp_path / "reference.npz")
    assert [one.kind for one in reference.columns] == ["category", "number"]
    found = detector.detect_data_drift(reference, {"zip": rng.integers(11, 15, 400), "size": rng.normal(size=400)})
    assert found.drifted_columns == ("zip",)
    assert found.new_categories == {"zip": ("14",)}
    assert detector.detect_data_drift(reference, np.column_stack([rng.integers(11, 15, 400), rng.normal(size=400)])).drifted_columns == (
        "zip",
    )
    with pytest.raises(DriftDetectionError, match="schema: the kinds are those that the reference was fitted with"):
        detector.detect_data_drift(reference, before, schema={"zip": "number"})


def test_positions_are_declared_too() -> None:
    rng = np.random.default_rng(1)
    before, after = rng.integers(0, 3, (300, 2)), rng.integers(0, 3, (300, 2))
    found = DriftDetector(tests=["ks", "chi2"]).detect_data_drift(before, after, schema={"x1": "category"})
    assert [(one.column, one.test) for one in found.outcomes] == [("x0", "ks"), ("x0", "chi2"), ("x1", "chi2")]
    table = read_table("current", [["a", 1], ["b", 2]], None, Schema({"x1": "category"}))
    assert [column.kind for column in table.columns] == ["category", "category"]
    (only,) = read_table("current", pl.Series("a", ["1", "2"]), None, Schema({"x0": "number"})).columns
    assert only.kind == "number"


def test_a_declared_column_that_is_not_there_is_told() -> None:
    data = {"a": [1.0, 2.0, 3.0], "b": [1.0, 2.0, 3.0]}
    with pytest.raises(DriftDetectionError, match=r"column 'c' is not there \(there are: a, b\)"):
        DriftDetector().detect_data_drift(data, data, schema={"c": "text"})
    found = DriftDetector().detect_data_drift(data, data, schema={"b": "category"}, columns=["a"])
    assert {one.column for one in found.outcomes} == {"a"}


def test_chunks_are_read_by_the_schema() -> None:
    chunks = iter([{"a": ["x", "yy"]}, {"a": ["z" * 9, None]}])
    (column,) = read_table("reference", chunks, None, Schema({"a": "text"})).columns
    assert (column.kind, column.missing, sorted(column.present())) == ("text", 1, [1, 2, 9])


def test_a_time_with_and_without_zone() -> None:
    column = read_column("current", "t", [datetime(2024, 1, 1, tzinfo=None), "2024-01-01T00:00"], "datetime")  # noqa: DTZ001  one without is taken for UTC
    assert column.data[0] == column.data[1]
