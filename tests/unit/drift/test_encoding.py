"""Both sides as one matrix."""

from __future__ import annotations

import numpy as np
import pytest

from mlops_core.drift.encoding import encode_both
from mlops_core.exceptions import DriftDetectionError


def test_numbers_have_mean_0_and_variance_1() -> None:
    found, rows = encode_both({"a": [1.0, 2, 3], "b": [5.0, 5, 5]}, {"b": [5.0, 5], "a": [4.0, 5]})
    assert (found.shape, rows) == ((5, 1), 3)
    assert found[:, 0] == pytest.approx((np.arange(5) - 2) / np.sqrt(2))


def test_missing_numbers_are_the_mean_and_a_column_of_their_own() -> None:
    found, _ = encode_both([[1.0], [None], [3.0]], [[5.0], [3.0]])
    assert found.shape == (5, 2)
    assert found[1, 0] == pytest.approx(0)
    assert found[:, 1].argmax() == 1


def test_categories_are_columns_by_frequency() -> None:
    found, _ = encode_both({"c": ["x", "y", "x", None]}, {"c": ["x", "z", "z"]})
    assert found.shape == (7, 3)
    assert (found[:, 0] > 0).tolist() == [True, False, True, False, True, False, False]
    assert (found[:, 1] > 0).tolist() == [False] * 5 + [True, True]
    many = [f"c{i}" for i in range(50)]
    assert encode_both({"c": many}, {"c": many})[0].shape == (100, 20)


def test_large_numbers_and_columns_that_now_have_none() -> None:
    assert np.isfinite(encode_both(np.array([1e308, -1e308, 5.0]), np.array([1e308, 2.0]))[0]).all()
    assert encode_both({"a": [1.0, 2.0]}, {"a": [None, None]})[0].shape == (4, 2)


def test_other_columns_are_refused() -> None:
    with pytest.raises(DriftDetectionError, match="no column in common"):
        encode_both({"a": [1.0, 2]}, {"b": [1.0, 2]})


def test_chunks_are_refused_since_labels_lie_beside_rows() -> None:
    with pytest.raises(DriftDetectionError, match="current data: its rows must stay beside their labels"):
        encode_both({"a": [1.0, 2]}, iter([{"a": [1.0, 2]}]))
