"""Arrays and lists of every dtype, to numbers or categories."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from mlops_core.drift.arrays import array_column, object_column, table_columns
from mlops_core.exceptions import DriftDetectionError

HOUR = 3_600_000_000.0


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "i1", "u2", "i8", "longdouble"])
def test_numbers_of_any_width(dtype: str) -> None:
    column = array_column("current", "x", np.array([1, 2, 3], dtype=dtype))
    assert (column.kind, str(column.data.dtype), column.data.tolist()) == ("number", "float64", [1.0, 2.0, 3.0])


@pytest.mark.parametrize(
    "values",
    [np.array(["b", "a", "b"]), np.array([b"b", b"a", b"b"]), np.array(["b", "a", "b"], dtype=object), np.array(["b", "a", "b"], "T")],
    ids=["U", "S", "O", "T"],
)
def test_text_is_categories(values: Any) -> None:
    column = array_column("current", "x", values)
    assert (column.kind, column.categories, column.data.tolist()) == ("category", ("a", "b"), [1, 0, 1])


def test_booleans() -> None:
    assert array_column("current", "x", np.array([True, False])).data.tolist() == [1, 0]
    column = object_column("current", "x", [True, None, np.False_])
    assert (column.kind, column.data.tolist(), column.missing) == ("boolean", [1, -1, 0], 1)


def test_times_are_numbers_on_one_scale() -> None:
    moments = np.array(["2024-01-01T00:00", "NaT", "2024-01-01T02:00"], dtype="datetime64[m]")
    zone = timezone(timedelta(hours=1))
    objects = [datetime(2024, 1, 1, 1, tzinfo=zone), None, datetime(2024, 1, 1, 2, tzinfo=UTC)]
    for column in (array_column("current", "t", moments), object_column("current", "t", objects)):
        assert (column.kind, column.missing) == ("datetime", 1)
        assert np.diff(column.present()).tolist() == [2 * HOUR]
    days = object_column("current", "t", [date(2024, 1, 1), date(2024, 1, 2), np.datetime64("2024-01-03")])
    assert np.diff(days.present()).tolist() == [24 * HOUR, 24 * HOUR]


def test_durations_are_seconds() -> None:
    lengths = np.array([1500, 3000, "NaT"], dtype="timedelta64[ms]")
    column = array_column("current", "d", lengths)
    assert (column.kind, column.present().tolist()) == ("duration", [1.5, 3.0])
    assert object_column("current", "d", [timedelta(seconds=2), None, timedelta(0)]).present().tolist() == [2.0, 0.0]


def test_lists_of_numbers() -> None:
    column = object_column("current", "x", [1, None, 2.5, Decimal("0.5"), np.int64(3), float("nan")])
    assert (column.kind, column.missing, column.present().tolist()) == ("number", 2, [1.0, 2.5, 0.5, 3.0])


def test_masked_values_are_missing() -> None:
    masked = np.ma.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], mask=[[False, True], [False, False], [False, False]])
    columns = table_columns("current", masked)
    assert [column.missing for column in columns] == [0, 1]
    assert columns[1].present().tolist() == [4.0, 6.0]


def test_a_table_is_columns_by_position() -> None:
    columns = table_columns("current", np.arange(6).reshape(3, 2))
    assert [(column.name, column.data.tolist()) for column in columns] == [("x0", [0.0, 2.0, 4.0]), ("x1", [1.0, 3.0, 5.0])]
    mixed = table_columns("current", np.array([[1, "a"], [2, "b"]], dtype=object))
    assert [column.kind for column in mixed] == ["number", "category"]


@pytest.mark.parametrize(
    ("values", "told"),
    [
        (np.array([1j, 2j]), "is of dtype complex128 - give numbers"),
        (np.zeros(3, dtype="V4"), "is of dtype |V4"),
        (np.zeros((2, 2)), "has 2 dimensions - give one value per row"),
        (np.array([1.0, "a", 2.0], dtype=object), "mixes float, str - give values of one kind"),
        (np.array([True, 1], dtype=object), "mixes bool, int"),
        (np.array([{}, {}], dtype=object), "holds values of type dict - give numbers"),
    ],
)
def test_what_no_test_can_compare(values: Any, told: str) -> None:
    with pytest.raises(DriftDetectionError) as found:
        array_column("reference", "x", values)
    assert found.value.message.startswith(f"drift: reference data: column 'x' {told}")
