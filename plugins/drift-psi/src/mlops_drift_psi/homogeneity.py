"""The test ``chi2``."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from attrs import define

from mlops_drift_psi.binned import BinnedTest

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["ChiSquare"]


@define
class ChiSquare(BinnedTest):
    """Pearson's chi-square test of homogeneity: whether two samples have the same shares of bins or categories (Pearson 1900).

    The usual test of categorical columns. The statistic is the sum of (observed - expected)^2 / expected over both samples' counts. The
    effect size is Cramer's V, which for two samples is Cohen's w, at equal weights of the samples: the root of the sum of
    (p - q)^2 / (2 (p + q)), so that it does not depend on how many values either side has; it is that of the textbook where both have the
    same number. 0 for equal shares, 1 for samples without a bin in common; Cohen (1988) calls 0.1 small, 0.3 medium and 0.5 large.

    The p-value is that of a chi-square distribution where every expected count is at least 10: of pairs of one distribution, with 2 to 20
    bins, at most 0.056 then have 0.05 or less, and 0.071 in two bins of ten values each. With the usual 5 (Cochran 1954) bins of tied
    numbers are wrong too often. Else it is simulated as for ``psi``, whose bins it shares. Time O(n log n) to prepare, O(m bins) to
    compare, O(B bins) to simulate.

    Example:
        >>> import numpy as np
        >>> test, rng = ChiSquare(), np.random.default_rng(7)
        >>> reference = test.prepare(np.repeat([0, 1, 2], [50, 30, 20]))
        >>> outcome = test.compare(reference, np.repeat([0, 1, 2], [30, 30, 40]), rng=rng)
        >>> round(outcome.statistic, 3), round(outcome.effect_size, 3), round(outcome.p_value, 5), outcome.method
        (11.667, 0.242, 0.00293, 'Pearson, chi-square')
    """

    contract: ClassVar[int] = 1
    effect_threshold: ClassVar[float] = 0.1
    _name: ClassVar[str] = "Pearson"
    _expected: ClassVar[int] = 10

    def divergence(self, reference: NDArray[Any], current: NDArray[Any]) -> Any:
        """The sum of (observed - expected)^2 / expected over the counts of both."""
        n, m = reference.sum(axis=-1, keepdims=True), current.sum(axis=-1, keepdims=True)
        pooled = np.maximum(reference + current, 1)  # a bin without values adds nothing
        return (n * m * (reference / n - current / m) ** 2 / pooled).sum(axis=-1)

    def _measures(self, divergence: float, reference: NDArray[np.int64], current: NDArray[np.int64]) -> tuple[float, float, float]:
        p, q = reference / reference.sum(), current / current.sum()
        return divergence, math.sqrt(float(((p - q) ** 2 / (2 * (p + q))).sum())), divergence
