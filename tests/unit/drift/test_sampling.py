"""Samples of data in chunks: uniform, whatever the chunks are."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Any

import hypothesis.strategies as st
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given

from mlops_core.drift.sampling import RowSample
from mlops_core.drift.table import read_table
from mlops_core.exceptions import DriftDetectionError

if TYPE_CHECKING:
    from mlops_core.drift import DriftDetector

ROWS = 300


def sampled(values: Any, cuts: list[int], size: int, seed: int) -> RowSample:
    sample = RowSample(size, np.random.default_rng(seed))
    for part in np.split(values, sorted(cuts)):
        if len(part):
            table = read_table("reference", {"n": part, "c": [f"c{value % 7:g}" for value in part]}) if len(part) > 1 else None
            if table is not None:
                sample.add(table.columns, table.rows)
    return sample


def test_each_row_is_kept_equally_often() -> None:
    counted: Counter[float] = Counter()
    for seed in range(400):
        sample = sampled(np.arange(float(ROWS)), [7, 50, 180, 185], 60, seed)
        assert (sample.rows, sample.seen) == (60, ROWS)
        counted.update(sample.columns[0].data.tolist())
    expected = 400 * 60 / ROWS
    chi_square = sum((counted[float(row)] - expected) ** 2 for row in range(ROWS)) / (expected * (1 - 60 / ROWS))
    assert chi_square < 300 + 4 * 600**0.5  # mean and four standard deviations


@given(st.lists(st.integers(0, ROWS), max_size=5), st.integers(2, 400), st.integers(0, 5))
def test_rows_stay_whole_and_are_all_different(cuts: list[int], size: int, seed: int) -> None:
    sample = sampled(np.arange(float(ROWS)), cuts, size, seed)
    numbers, categories = sample.columns
    assert sample.rows == min(size, sample.seen)
    assert len(set(numbers.data.tolist())) == sample.rows
    assert [categories.categories[code] for code in categories.data] == [f"c{value % 7:g}" for value in numbers.data]


def test_a_check_takes_chunks_on_either_side(detector: DriftDetector, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    before, after = rng.normal(size=(5000, 2)), rng.normal([0, 1], size=(4000, 2))
    whole = detector.detect_data_drift(before, after)
    assert detector.detect_data_drift(iter(np.split(before, 5)), iter(np.split(after, [10, 2000]))) == whole
    monkeypatch.setattr("mlops_core.drift.table.SAMPLED_ROWS", 1000)
    found = detector.detect_data_drift(iter(np.split(before, 5)), iter(np.split(after, [10, 2000])))
    assert (found.drifted_columns, found.reference_rows, found.current_rows) == (("x1",), 1000, 1000)


def test_missing_values_and_new_categories_of_a_chunk(detector: DriftDetector) -> None:
    chunks = [{"n": [1.0, None], "c": [None, None]}, {"n": [None, None], "c": ["b", "a"]}, {"n": [4.0], "c": ["c"]}]
    fitted = detector.fit_reference(iter(chunks), keep=["*"])
    assert [(one.name, one.kind, one.missing, one.categories) for one in fitted.columns] == [
        ("n", "number", 3, ()),
        ("c", "category", 2, ("a", "b", "c")),
    ]
    assert fitted.rows == 5


def test_batches_of_arrow_are_chunks(detector: DriftDetector) -> None:
    table = pa.table({"a": np.arange(100.0), "b": ["x", "y"] * 50})
    fitted = detector.fit_reference(batch for batch in table.to_batches(max_chunksize=30))
    assert (fitted.rows, [one.name for one in fitted.columns]) == (100, ["a", "b"])


@pytest.mark.parametrize(
    ("chunks", "told"),
    [
        ([{"a": [1.0, 2]}, {"b": [1.0, 2]}], "chunk data: column 'a' is in some of the chunks only"),
        ([{"a": [1.0, 2]}, {"a": ["x", "y"]}], "chunk data: column 'a' is of kind number in one chunk and category in another"),
        ([{"a": [None, None]}, {"a": [None]}], "reference data: column 'a' holds only missing values"),
        ([{"a": [1.0]}], "reference data: column 'a' has 1 value"),
        ([], "reference data: it is empty"),
        ([5], "chunk data: a builtins.int cannot be read"),
        ([{"a": [f"c{i}" for i in range(part * 6000, part * 6000 + 6000)]} for part in range(2)], "more than 10,000 categories"),
    ],
)
def test_chunks_that_do_not_fit(detector: DriftDetector, chunks: list[Any], told: str) -> None:
    with pytest.raises(DriftDetectionError, match=re.escape(told)):
        detector.fit_reference(iter(chunks))
