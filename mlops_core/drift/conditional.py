"""Whether labels depend on the period given the features: a change of P(label | features) rather than of the features.

The generalised covariance measure (Shah & Peters 2020, The hardness of conditional independence testing and the generalised covariance
measure, Annals of Statistics 48): where the label does not depend on the period given the features, the residuals of both after a
regression on the features are uncorrelated, even though each regression is only roughly right: the errors of the two multiply. Weights
that depend on the features find changes that cancel out on average (Scheidegger, Hoerrmann & Buehlmann 2022, The weighted generalised
covariance measure, Journal of Machine Learning Research 23); the largest studentised covariance is held against its multiplier bootstrap.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from mlops_core.records import TestOutcome

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

__all__ = ["METHOD", "compare_given"]

METHOD: Final = "generalised covariance measure"

_ROUNDS: Final = 999
_FOLDS: Final = 5
_WAVES: Final = 100
_MOST_ROWS: Final = 50_000
_BATCH: Final = 1 << 22  # random numbers at a time
_PENALTIES: Final = np.logspace(-6, 2, 17)


def compare_given(features: NDArray[np.float64], labels: NDArray[np.float64], n: int, rng: Generator) -> TestOutcome:
    """Test whether ``labels`` (rows, k) depend on the period given ``features`` (rows, d); the first ``n`` rows are the reference's.

    The statistic is the largest studentised covariance of the residuals, over weights 1 and each feature; the effect size is the largest
    correlation of the residuals of a label and of the period. Needs features with mean 0 and variance 1. Asymptotic: see the tests for
    its size. Beyond 50,000 rows that many are drawn. O(rows d^2).
    """
    rows = np.arange(len(features))
    if len(rows) > _MOST_ROWS:
        rows = np.sort(rng.choice(len(rows), _MOST_ROWS, replace=False))
    period = (rows >= n).astype(np.float64)
    targets = np.column_stack([period, labels[rows]])
    residuals = _residuals(_basis(features[rows], rng), targets, rng)
    products = residuals[:, :1] * residuals[:, 1:]
    correlation = np.abs(products.mean(axis=0)) / np.maximum(
        np.sqrt((residuals[:, :1] ** 2).mean() * (residuals[:, 1:] ** 2).mean(axis=0)), 1e-300
    )
    weights = np.column_stack([np.ones(len(rows)), features[rows]])
    weighted = (products[:, :, None] * weights[:, None, :]).reshape(len(rows), -1)
    statistic, p_value = _largest(weighted, rng)
    reference = int(np.searchsorted(rows, n))
    return TestOutcome(statistic, p_value, float(min(1.0, correlation.max(initial=0))), METHOD, reference, len(rows) - reference)


def _basis(features: NDArray[np.float64], rng: Generator) -> NDArray[np.float64]:
    """The features, their squares, and waves of random directions, whose sums come near any smooth function (Rahimi & Recht 2007)."""
    some = features[rng.integers(0, len(features), 300)]
    squares = np.zeros((len(some), len(some)))
    for column in some.T:
        squares += (column[:, None] - column) ** 2
    apart = squares[squares > 0]
    usual = float(np.sqrt(np.median(apart))) if len(apart) else 1.0
    directions = rng.normal(size=(features.shape[1], _WAVES)) * np.sqrt(2) / usual
    waves = np.sqrt(2 / _WAVES) * np.cos(features @ directions + rng.uniform(0, 2 * np.pi, _WAVES))
    return np.column_stack([features, features**2, waves])


def _residuals(basis: NDArray[np.float64], targets: NDArray[np.float64], rng: Generator) -> NDArray[np.float64]:
    """Of each row after a regression on the rows of other folds: a row is not explained by itself."""
    fold = rng.permutation(np.arange(len(basis)) % _FOLDS)
    found = np.empty_like(targets)
    for number in range(_FOLDS):
        held = fold == number
        found[held] = targets[held] - _ridge(basis[~held], targets[~held], basis[held])
    return found


def _ridge(basis: NDArray[np.float64], targets: NDArray[np.float64], at: NDArray[np.float64]) -> NDArray[np.float64]:
    """Predictions of a ridge regression, the penalty of each target chosen by generalised cross-validation (Golub, Heath & Wahba 1979)."""
    middle, level, rows = basis.mean(axis=0), targets.mean(axis=0), len(basis)
    centred, aims = basis - middle, targets - level
    sizes, vectors = np.linalg.eigh(centred.T @ centred)
    sizes = np.maximum(sizes, 0)
    shares = sizes[:, None] / (sizes[:, None] + _PENALTIES * rows)
    along = vectors.T @ (centred.T @ aims)
    explained = np.divide(along**2, sizes[:, None], out=np.zeros_like(along), where=sizes[:, None] > sizes.max() * 1e-12)
    degrees = 1 + shares.sum(axis=0)
    coefficients = np.empty_like(along)
    for place in range(targets.shape[1]):
        left = (aims[:, place] ** 2).sum() - explained[:, place].sum() + ((1 - shares) ** 2 * explained[:, place : place + 1]).sum(axis=0)
        best = int(np.argmin(np.maximum(left, 0) / (1 - np.minimum(degrees / rows, 0.999)) ** 2))
        coefficients[:, place] = along[:, place] / (sizes + _PENALTIES[best] * rows)
    predictions: NDArray[np.float64] = (at - middle) @ (vectors @ coefficients) + level
    return predictions


def _largest(products: NDArray[np.float64], rng: Generator) -> tuple[float, float]:
    """The largest studentised mean, and its p-value by the multiplier bootstrap (Chernozhukov, Chetverikov & Kato 2013)."""
    rows = len(products)
    centred = products - products.mean(axis=0)
    spread = centred.std(axis=0)
    usable = spread > 0
    if not usable.any():
        return 0.0, 1.0
    scaled = centred[:, usable] / (spread[usable] * np.sqrt(rows))
    seen = float((np.abs(products[:, usable].mean(axis=0)) / spread[usable]).max() * np.sqrt(rows))
    beyond, left = 0, _ROUNDS
    while left:
        rounds = min(left, max(1, _BATCH // rows))
        beyond += int((np.abs(rng.normal(size=(rounds, rows)) @ scaled).max(axis=1) >= seen).sum())
        left -= rounds
    return seen, (1 + beyond) / (1 + _ROUNDS)
