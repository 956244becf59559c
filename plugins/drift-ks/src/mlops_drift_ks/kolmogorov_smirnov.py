"""The test ``ks``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from attrs import define, field, validators

from mlops_core.records import TestOutcome
from mlops_core.roles import DriftTest
from mlops_drift_ks.distribution import exact_p_value, limiting_p_value

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.random import Generator
    from numpy.typing import NDArray

__all__ = ["KolmogorovSmirnov"]


@define
class KolmogorovSmirnov(DriftTest):
    """The largest distance D between two empirical distribution functions (Kolmogorov 1933, Smirnov 1939).

    Sees any change of a numeric column's distribution, best one of its centre, less well one of the tails. D is at once the statistic and
    the effect size, in [0, 1]: the largest difference in the share of values below some point. It is computed exactly, with ties too; ties
    make the p-value conservative. Invariant under strictly increasing transformations, symmetric in its two samples, without randomness.

    The p-value is exact for samples of one size and where n * m <= ``exact_limit``, else from the limiting distribution (see
    ``mlops_drift_ks.distribution``). Time O((n + m) log(n + m)); O(m log m + m log n) with a prepared reference, which is kept sorted.

    Example:
        >>> import numpy as np
        >>> test, rng = KolmogorovSmirnov(), np.random.default_rng(7)
        >>> reference = test.prepare(np.array([1.0, 2, 3, 4, 5]))
        >>> outcome = test.compare(reference, np.array([3.5, 4.5, 5.5, 6.5, 7.5]), rng=rng)
        >>> outcome.statistic, round(outcome.p_value, 7), outcome.method
        (0.6, 0.3571429, 'Kolmogorov-Smirnov, exact')
    """

    contract: ClassVar[int] = 1

    exact_limit: int = field(
        default=250_000,
        validator=validators.ge(0),
        metadata={"help": "Largest n * m of samples of different sizes whose p-value is computed exactly (10 ms at 500 x 500)."},
    )

    def prepare(self, reference: NDArray[Any]) -> NDArray[np.float64]:
        """The sorted sample."""
        return np.sort(np.asarray(reference, dtype=np.float64))

    def compare(self, reference: NDArray[np.float64], current: NDArray[Any], *, rng: Generator) -> TestOutcome:
        """Test one column."""
        return self._outcome(reference, np.sort(current))

    def compare_columns(self, reference: Sequence[NDArray[np.float64]], current: NDArray[Any], *, rng: Generator) -> list[TestOutcome]:
        """Test all columns of (m, d), sorted in one call."""
        ordered = np.sort(np.ascontiguousarray(current.T), axis=1)
        return [self._outcome(prepared, ordered[i]) for i, prepared in enumerate(reference)]

    def load(self, arrays: Mapping[str, NDArray[Any]]) -> NDArray[np.float64]:
        """The sorted sample, back again."""
        return np.asarray(arrays["reference"], dtype=np.float64)

    def _outcome(self, reference: NDArray[np.float64], current: NDArray[np.float64]) -> TestOutcome:
        n, m = len(reference), len(current)
        steps = _steps(reference, current) if m <= n else _steps(current, reference)
        exact = n == m or n * m <= self.exact_limit
        p_value = exact_p_value(n, m, steps) if exact else limiting_p_value(n, m, steps)
        distance = steps / (n * m)
        method = f"Kolmogorov-Smirnov, {'exact' if exact else 'limiting distribution'}"
        return TestOutcome(distance, p_value, distance, method, n, m)


def _steps(many: NDArray[np.float64], few: NDArray[np.float64]) -> int:
    """D * n * m of two sorted samples.

    Between two neighbours of ``few`` its distribution function is flat and the other one rises, so the distance is largest at one of them:
    just before it or at it. Of equal neighbours only the first and the last matter, and the maximum finds those by itself.
    """
    n, m = len(many), len(few)
    rank = np.arange(m)
    below = np.searchsorted(many, few, side="left")
    tied = many[np.minimum(below, n - 1)] == few
    up_to = np.searchsorted(many, few, side="right") if tied.any() else below
    before = np.max(below * m - rank * n)
    at = np.max((rank + 1) * n - up_to * m)
    return max(int(before), int(at), 0)
