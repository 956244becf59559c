"""Concept drift given the features: a move of the features alone is none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from mlops_core.drift.conditional import compare_given

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.random import Generator
    from numpy.typing import NDArray

    Labels = Callable[[NDArray[np.float64], Generator], NDArray[np.float64]]

ROWS = 400


def linear(x: NDArray[np.float64], rng: Generator) -> NDArray[np.float64]:
    return (rng.random(len(x)) < 1 / (1 + np.exp(-(x[:, 0] + x[:, 1])))).astype(np.float64)


def curved(x: NDArray[np.float64], rng: Generator) -> NDArray[np.float64]:
    return (rng.random(len(x)) < 1 / (1 + np.exp(-(x[:, 0] ** 2 - x[:, 0] * x[:, 1])))).astype(np.float64)


def waves(x: NDArray[np.float64], rng: Generator) -> NDArray[np.float64]:
    return np.asarray(np.sin(2 * x[:, 0]) + x[:, 1] + 0.5 * rng.normal(size=len(x)))


def steps(x: NDArray[np.float64], rng: Generator) -> NDArray[np.float64]:
    return np.asarray((x[:, 0] > 0.5) * 2.0 + 0.5 * rng.normal(size=len(x)))


def periods(rng: Generator, rows: int = ROWS) -> NDArray[np.float64]:
    """Features that moved and spread between the periods."""
    return np.concatenate([rng.normal(size=(rows, 3)), rng.normal(size=(rows, 3)) * [1, 1.3, 1] + [1, 0, 0.5]])


def p_value(x: NDArray[np.float64], y: NDArray[np.float64], seed: int) -> float:
    scaled = (x - x.mean(axis=0)) / x.std(axis=0)
    return compare_given(scaled, ((y - y.mean()) / y.std())[:, None], len(x) // 2, np.random.default_rng(seed)).p_value


@pytest.mark.parametrize(("labels", "repetitions"), [(linear, 400), (waves, 400), (curved, 100), (steps, 100)])
def test_the_null_is_rejected_no_more_often_than_it_says_though_the_features_moved(
    labels: Labels, repetitions: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P(label | features) is the same in both periods; the bound is 0.05 and 2.57 standard errors."""
    monkeypatch.setattr("mlops_core.drift.conditional._ROUNDS", 199)
    rejected = 0
    for seed in range(repetitions):
        rng = np.random.default_rng(seed)
        x = periods(rng)
        rejected += p_value(x, labels(x, rng), seed) <= 0.05
    assert rejected / repetitions <= 0.05 + 2.57 * (0.05 * 0.95 / repetitions) ** 0.5


@pytest.mark.parametrize("change", ["level", "slope"])
def test_a_change_of_the_labels_is_found(change: str) -> None:
    found = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        x = periods(rng)
        y = waves(x, rng)
        now = np.arange(len(x)) >= ROWS
        y += now * (0.4 if change == "level" else 0.5 * (x[:, 2] - 0.5))  # the second cancels out on average
        found += p_value(x, y, seed) <= 0.05
    assert found >= 18


def test_the_figures_of_an_outcome() -> None:
    rng = np.random.default_rng(1)
    x = periods(rng, 150)
    y = waves(x, rng) + (np.arange(300) >= 150)
    first, again = (compare_given(x, y[:, None], 150, np.random.default_rng(5)) for _ in range(2))
    assert first == again
    assert (first.n, first.m, first.method) == (150, 150, "generalised covariance measure")
    assert 0.2 < first.effect_size < 1
    assert first.p_value == 1 / 1000


def test_many_rows_are_sampled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mlops_core.drift.conditional._MOST_ROWS", 200)
    rng = np.random.default_rng(1)
    x = periods(rng, 300)
    outcome = compare_given(x, waves(x, rng)[:, None], 300, rng)
    assert outcome.n + outcome.m == 200
    assert 70 < outcome.n < 130


@pytest.mark.parametrize("labels", [np.zeros((40, 0)), np.zeros((40, 1))])
def test_labels_that_never_change_show_nothing(labels: Any) -> None:
    outcome = compare_given(np.random.default_rng(1).normal(size=(40, 2)), labels, 20, np.random.default_rng(1))
    assert (outcome.p_value, outcome.effect_size, outcome.statistic) == (1.0, 0.0, 0.0)


def test_features_without_columns_leave_the_labels_alone() -> None:
    labels = np.repeat([[-1.0], [1.0]], 50, axis=0) + np.random.default_rng(2).normal(size=(100, 1))
    assert compare_given(np.zeros((100, 0)), labels, 50, np.random.default_rng(1)).p_value < 0.01
