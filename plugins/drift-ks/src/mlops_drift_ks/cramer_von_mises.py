"""The test ``cvm``."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from attrs import define, field, validators

from mlops_core.records import TestOutcome
from mlops_drift_ks.cvm_null import exact_p_value, limiting_p_value
from mlops_drift_ks.sample import Pool, Sample, SortedTest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.random import Generator

__all__ = ["CramerVonMises"]


@define
class CramerVonMises(SortedTest):
    """The mean squared distance between two empirical distribution functions (Cramer 1928, von Mises 1931; Anderson 1962 for two samples).

    Sees any change of a numeric column's distribution. Takes the whole range into account where ``ks`` looks at the one place that is
    worst, and so finds more of the usual changes: of centre, and of a part of the values. The statistic is Anderson's T, n m / (n + m)^2
    times the sum of (F - G)^2 over the pooled values; the effect size is the root of their mean, the typical difference in the share of
    values below a point, 0 to about 0.58. Invariant under strictly increasing transformations, symmetric in its two samples, without
    randomness.

    The p-value is exact where n * m <= ``exact_limit``, else from the limiting distribution (see ``mlops_drift_ks.cvm_null``). Within equal
    values F and G are taken to rise evenly, as they do on average when ties are broken at random: that keeps the limiting distribution of T
    below the one without ties (Loewner order of the covariances), so the p-value is conservative. Time O((n + m) log(n + m)); a stored
    reference is kept sorted.

    Example:
        >>> import numpy as np
        >>> test, rng = CramerVonMises(), np.random.default_rng(7)
        >>> reference = test.prepare(np.array([1.0, 2, 3, 4, 5]))
        >>> outcome = test.compare(reference, np.array([3.5, 4.5, 5.5, 6.5, 7.5]), rng=rng)
        >>> outcome.statistic, round(outcome.p_value, 7), outcome.method
        (0.45, 0.0873016, 'Cramer-von Mises, exact')
    """

    contract: ClassVar[int] = 1

    exact_limit: int = field(
        default=200,
        validator=validators.ge(0),
        metadata={"help": "Largest n * m whose p-value is computed exactly (up to 0.1 s at 200, once for a table)."},
    )

    def _outcomes(self, pairs: Sequence[tuple[Sample, Sample]], rng: Generator) -> list[TestOutcome]:
        return [self._outcome(Pool.of(reference, current)) for reference, current in pairs]

    def _outcome(self, pool: Pool) -> TestOutcome:
        n, m = pool.n, pool.m
        squares = _sum_of_squares(pool)
        statistic = squares * (n * m) / (n + m) ** 2
        exact = n * m <= self.exact_limit
        p_value = exact_p_value(n, m, statistic) if exact else limiting_p_value(n, m, statistic)
        method = f"Cramer-von Mises, {'exact' if exact else 'limiting distribution'}"
        return TestOutcome(statistic, p_value, math.sqrt(squares / (n + m)), method, n, m)


def _sum_of_squares(pool: Pool) -> float:
    """The sum of (F - G)^2 over the pooled values, along the straight line within equal ones."""
    after = pool.differences.astype(np.float64)
    if len(after) == pool.n + pool.m:  # the same without ties, in a tenth of the time
        return float(after @ after) / (pool.n * pool.m) ** 2
    before = np.append(0.0, after[:-1])
    tied = np.diff(pool.counts, prepend=0)
    rise = after - before
    squares = tied * before**2 + (tied + 1) * rise * (before + rise * (2 * tied + 1) / (6 * tied))
    return float(squares.sum()) / (pool.n * pool.m) ** 2
