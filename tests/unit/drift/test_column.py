"""Columns: missing values counted, categories coded, what no test can compare refused with the column's name."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops_core.drift.column import MOST_CATEGORIES, boolean_column, category_column, is_missing, number_column, problem
from mlops_core.exceptions import DriftDetectionError

if TYPE_CHECKING:
    from collections.abc import Iterator


def test_missing_numbers_are_counted_and_left_out() -> None:
    column = number_column("current", "delay", np.array([1.0, np.nan, 3.0, np.nan]))
    assert (column.missing, column.is_numeric) == (2, True)
    assert column.present().tolist() == [1.0, 3.0]


def test_without_missing_values_nothing_is_copied() -> None:
    values = np.array([1.0, 2.0])
    assert number_column("current", "delay", values).present() is values


def test_booleans_are_two_categories() -> None:
    column = boolean_column("current", "late", np.array([1.0, 0.0, np.nan, 1.0]))
    assert column.present().tolist() == [1, 0, 1]
    assert (column.categories, column.missing, column.is_numeric) == (("False", "True"), 1, False)


@given(values=st.lists(st.one_of(st.none(), st.text(max_size=3)), min_size=2).filter(lambda some: sum(one is not None for one in some) > 1))
def test_codes_stand_for_their_categories(values: list[str | None]) -> None:
    column = category_column("current", "carrier", [values[:1], values[1:]], len(values))
    assert [None if code < 0 else column.categories[code] for code in column.data] == values
    assert list(column.categories) == sorted({value for value in values if value is not None})
    assert column.missing == values.count(None)


def test_every_kind_of_nothing_is_missing() -> None:
    assert [is_missing(value) for value in (None, float("nan"), pd.NA, pd.NaT, np.nan)] == [True] * 5
    assert [is_missing(value) for value in (0, "", "nan", False, Decimal(0))] == [False] * 5


def test_a_column_of_identifiers_is_refused_before_all_of_it_is_read() -> None:
    read = 0

    def pieces() -> Iterator[list[str]]:
        nonlocal read
        for start in range(0, 10_000_000, 5000):
            read += 1
            yield [f"id{start + i}" for i in range(5000)]

    with pytest.raises(DriftDetectionError, match=rf"column 'flight' has more than {MOST_CATEGORIES:,} categories - "):
        category_column("reference", "flight", pieces(), 10_000_000)
    assert read == 3


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ([1.0, np.inf, -np.inf], "holds 2 infinite values - replace"),
        ([np.nan, np.nan], "holds only missing values - name other"),
        ([], "holds only missing values"),
        ([1.0, np.nan], "has 1 value - give at least 2"),
        ([5.0], "has 1 value - give at least 2"),
    ],
)
def test_numbers_that_cannot_be_compared(values: list[float], told: str) -> None:
    with pytest.raises(DriftDetectionError, match=f"^drift: reference data: column 'delay' {told}"):
        number_column("reference", "delay", np.array(values))


def test_values_that_are_missing_now_are_no_mistake() -> None:
    assert not number_column("current", "delay", np.array([np.nan, np.nan])).is_comparable
    assert not number_column("current", "delay", np.array([1.0, np.nan])).is_comparable
    assert number_column("current", "delay", np.array([1.0, 2.0])).is_comparable
    with pytest.raises(DriftDetectionError, match="column 'delay' has 1 value"):
        number_column("current", "delay", np.array([5.0]))


def test_a_long_name_is_shortened() -> None:
    assert len(problem("current", "x" * 500, "is bad").message) < 120
