"""Concept drift by labels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from mlops_core.drift.concept import compare_errors
from mlops_core.exceptions import DriftDetectionError


def draw(rng: np.random.Generator, rows: int, error_rate: float) -> tuple[Any, Any]:
    labels = rng.integers(0, 3, rows)
    wrong = rng.random(rows) < error_rate
    return labels, np.where(wrong, (labels + 1) % 3, labels)


def test_a_higher_error_rate_is_found() -> None:
    rng = np.random.default_rng(1)
    found = compare_errors(draw(rng, 800, 0.1), draw(rng, 600, 0.2), threshold=0.05)
    assert found.drift_detected
    assert found.current_error_rate > found.reference_error_rate
    assert found.statistic == pytest.approx(found.current_error_rate - found.reference_error_rate)
    assert (found.n, found.m, found.method) == (800, 600, "Fisher's exact test")


def test_a_lower_one_too() -> None:
    rng = np.random.default_rng(1)
    found = compare_errors(draw(rng, 800, 0.2), draw(rng, 600, 0.1), threshold=0.05)
    assert found.drift_detected
    assert found.statistic == -found.effect_size < 0


def test_the_null_is_rejected_no_more_often_than_it_says() -> None:
    rng = np.random.default_rng(2)
    found = [compare_errors(draw(rng, 200, 0.15), draw(rng, 150, 0.15), threshold=0.05).drift_detected for _ in range(500)]
    assert np.mean(found) <= 0.05


@pytest.mark.parametrize(
    "pair",
    [
        (["a", "b", "c", "a"], ["a", "b", "c", "c"]),
        ([1, 2, 3, 1], [1.0, 2.0, 3.0, 3.0]),
        ([True, False, True, True], [1, 0, 1, 0]),
        (pd.Series(["a", "b", "c", "a"], dtype="category"), np.array(["a", "b", "c", "c"])),
        (np.array([[0], [1], [0], [1]]), np.array([0, 1, 0, 0])),
    ],
)
def test_classes_in_many_forms(pair: tuple[Any, Any]) -> None:
    assert compare_errors(pair, pair, threshold=0.05).current_error_rate == 0.25


@pytest.mark.parametrize(
    ("pair", "told"),
    [
        (([1, 2, 3], [1, 2]), "current data: there are 3 labels and 2 predictions - give one prediction for each label"),
        ((["a", "b"], [0, 1]), "current data: labels are text and predictions numbers - give classes in one form"),
        (([0, 1], ["a", "b"]), "current data: labels are numbers and predictions text"),
        (([0, 1, None], [0, 1, 1]), "current labels: 1 values are missing - drop those rows"),
        (([0, 1], [0.2, 0.9]), "current predictions: they hold fractions, so they are no classes - compare a regression's metrics"),
        ((np.array(["2024-01-01", "2024-01-02"], "M8[D]"), [0, 1]), "current labels: values of kind datetime are no classes"),
        ((np.zeros((3, 2)), [0, 1, 1]), "current labels: expected one column, got 2"),
        (([], []), "current labels: expected one column, got 0"),
    ],
)
def test_what_is_no_pair_of_classes(pair: tuple[Any, Any], told: str) -> None:
    with pytest.raises(DriftDetectionError) as found:
        compare_errors(([0, 1], [0, 1]), pair, threshold=0.05)
    assert found.value.message.startswith(f"drift: {told}")
