"""Recalibration, and the test of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from mlops_core.drift.calibration import Recalibration, is_calibrated

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray


def draw(rng: Generator, rows: int, scale: float = 2.0, *, overconfident: float = 1.0) -> tuple[NDArray[Any], NDArray[Any]]:
    """Labels, and the probabilities of a model that is sure where ``scale`` is large."""
    score = rng.normal(0, scale, rows)
    labels = (rng.random(rows) < 1 / (1 + np.exp(-score))).astype(np.int64)
    return labels, 1 / (1 + np.exp(-overconfident * score))


def test_calibrated_probabilities_are_refused_no_more_often_than_said() -> None:
    refused = 0
    for seed in range(300):
        rng = np.random.default_rng(seed)
        labels, probabilities = draw(rng, 600)
        refused += not is_calibrated(probabilities, labels.astype(float), rng)
    assert refused / 300 <= 0.01 + 2.57 * (0.01 * 0.99 / 300) ** 0.5


def test_a_recalibration_finds_the_slope() -> None:
    labels, bold = draw(np.random.default_rng(1), 20_000, overconfident=3.0)
    _, right = draw(np.random.default_rng(1), 20_000)
    assert np.abs(Recalibration(bold, labels.astype(float))(bold) - right).max() < 0.03
    sure = Recalibration(np.array([0.0, 1.0] * 200), np.array([0.0, 1.0] * 200))
    assert sure(np.array([0.0, 1.0])) == pytest.approx([0, 1], abs=1e-3)


def test_what_no_slope_mends_is_found() -> None:
    rng = np.random.default_rng(1)
    probabilities = rng.random(4000)
    labels = rng.random(4000) < np.where(np.abs(probabilities - 0.5) < 0.25, 0.9, 0.1)
    assert not is_calibrated(probabilities, labels.astype(float), rng)
