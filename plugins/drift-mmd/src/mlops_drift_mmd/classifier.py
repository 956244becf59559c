"""The test ``c2st``."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np
from attrs import define, field, validators

from mlops_drift_mmd.permutation import p_value
from mlops_drift_mmd.table import TableTest, permutations_option, rows_option

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

__all__ = ["ClassifierTest", "left_out_scores", "product_features"]


@define
class ClassifierTest(TableTest):
    """Whether a classifier can tell the two samples apart (Lopez-Paz & Oquab 2017, Revisiting Classifier Two-Sample Tests, ICLR).

    The classifier is Fisher's discriminant by ridge regression on the columns and all products of two of them, so that it sees shifts,
    spreads and correlations; columns enter as normal scores of their pooled ranks, so neither units nor outliers nor increasing
    transformations matter. Every row is scored by the classifier that was fitted without it (leave-one-out, in closed form). The
    statistic is the difference of the mean scores of both samples, finer than a count of hits; the p-value comes from ``permutations``
    random divisions of the pooled rows, each with its own classifiers, and is exact. No data are set aside for either.

    The effect size is the balanced accuracy on rows left out, above that of guessing: the mean share of rows attributed to their own
    sample, minus 1/2, in [0, 0.5], and 0 where it is worse. It has no conventional threshold.

    Time O(N p (p + B)) of N = n + m rows and p = d (d + 3) / 2 features, at most ``max_features``; memory O(N (p + B)), some 300 MB at
    most with the defaults.

    Example:
        >>> import numpy as np
        >>> test, rng = ClassifierTest(), np.random.default_rng(7)
        >>> reference = test.prepare(rng.normal(size=(300, 2)))
        >>> current = rng.multivariate_normal([0, 0], [[1, 0.8], [0.8, 1]], size=300)
        >>> outcome = test.compare(reference, current, rng=rng)
        >>> round(outcome.effect_size, 2), outcome.p_value
        (0.15, 0.005)
    """

    contract: ClassVar[int] = 1

    permutations: int = permutations_option(199)
    max_rows: int = rows_option(5000, "Time grows with it.")
    max_features: int = field(
        default=1000,
        validator=validators.ge(1),
        metadata={"help": "Most columns and products of columns; where there are more, so many products are drawn at random."},
    )

    def _decide(self, pooled: NDArray[np.float64], labels: NDArray[np.int8], rng: Generator) -> tuple[float, float, float]:
        scores = left_out_scores(product_features(_normal_scores(pooled), self.max_features, rng), labels)
        reference = labels > 0
        n = int(reference[0].sum())
        sums = np.einsum("bi,bi->b", scores, reference)
        gaps = (scores.sum(axis=1) - sums) / (len(pooled) - n) - sums / n
        before, after = scores[0, :n], scores[0, n:]
        middle = (before.mean() + after.mean()) / 2
        hits = (np.mean(before < middle) + np.mean(after > middle)) / 2
        return float(gaps[0]), p_value(gaps), max(0.0, float(hits) - 0.5)

    def _method(self) -> str:
        return "classifier, leave-one-out, permutation"


def _normal_scores(pooled: NDArray[np.float64]) -> NDArray[np.float64]:
    """Normal quantiles of the mid-ranks of each column."""
    from scipy.special import ndtri

    scores = np.empty_like(pooled)
    for place, column in enumerate(pooled.T):
        _, inverse, counts = np.unique(column, return_inverse=True, return_counts=True)
        scores[:, place] = ndtri((np.cumsum(counts) - counts / 2) / len(pooled))[inverse]
    return scores


def product_features(columns: NDArray[np.float64], most: int, rng: Generator) -> NDArray[np.float64]:
    """Columns, squares and products of columns (N, p), of mean 0 and standard deviation 1, or 0 where they are constant."""
    left, right = np.triu_indices(columns.shape[1])
    if len(left) > (room := max(0, most - columns.shape[1])):
        drawn = rng.choice(len(left), room, replace=False)
        left, right = left[drawn], right[drawn]
    features = np.empty((len(columns), columns.shape[1] + len(left)))
    features[:, : columns.shape[1]] = columns
    np.multiply(columns[:, left], columns[:, right], out=features[:, columns.shape[1] :])
    features -= features.mean(axis=0)
    spread = features.std(axis=0)
    features /= np.where(spread > 1e-9, spread, 1.0)  # noqa: PLR2004  rounding of a constant
    return features


def left_out_scores(features: NDArray[np.float64], labels: NDArray[np.int8]) -> NDArray[np.float64]:
    """The score (1 + B, N) of each row under each labelling, by the ridge regression on the other rows; a higher one speaks for current.

    Labels change neither the regression's matrix nor what a row has of its own prediction, so one decomposition serves all of them. The
    penalty is the number of features: as much is expected of all of them together as of chance.
    """
    size, count = features.shape
    targets = (labels.mean(axis=1, keepdims=True) - labels) / 2
    weights = np.linalg.solve(features.T @ features + count * np.eye(count), features.T)
    fitted = (targets @ features) @ weights
    own = np.einsum("ip,pi->i", features, weights) + 1 / size
    scores: NDArray[np.float64] = targets - (targets - fitted) / np.maximum(1 - own, 1e-9)
    return scores
