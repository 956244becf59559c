"""The test ``ks``."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np
from attrs import define, field, validators

from mlops_core.records import TestOutcome
from mlops_drift_ks.distribution import exact_p_value, limiting_p_value
from mlops_drift_ks.sample import Sample, SortedTest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.random import Generator
    from numpy.typing import NDArray

__all__ = ["KolmogorovSmirnov"]


@define
class KolmogorovSmirnov(SortedTest):
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

    def _outcomes(self, pairs: Sequence[tuple[Sample, Sample]], rng: Generator) -> list[TestOutcome]:
        return [self._outcome(reference, current) for reference, current in pairs]

    def _outcome(self, reference: Sample, current: Sample) -> TestOutcome:
        n, m = len(reference), len(current)
        steps = _steps(reference, current) if m <= n else _steps(current, reference)
        exact = n == m or n * m <= self.exact_limit
        p_value = exact_p_value(n, m, steps) if exact else limiting_p_value(n, m, steps)
        distance = steps / (n * m)
        method = f"Kolmogorov-Smirnov, {'exact' if exact else 'limiting distribution'}"
        return TestOutcome(distance, p_value, distance, method, n, m)


def _steps(many: Sample, few: Sample) -> int:
    """D * n * m of two sorted samples.

    Between two neighbours of ``few`` its distribution function is flat and the other one rises, so the distance is largest at one of them:
    just before it or at it. Of equal neighbours only the first and the last matter, and the maximum finds those by itself. As both
    functions only rise, what is known at two places bounds the distance at all between them. So the ends of stretches of ``few`` are looked
    up first, and then only the stretches that could hold a larger distance: a few percent of them in large samples.
    """
    n, m = len(many), len(few)
    stretch = max(1, round(m ** (1 / 3)))  # the distance is of order sqrt(m) in counts: shorter than that, and still few ends
    ends = np.append(np.arange(0, m - 1, stretch), m - 1)
    below, up_to = _ranks(many, few[ends])
    found = _largest(below * m - ends * n, (ends + 1) * n - up_to * m)
    first, last = ends[:-1], ends[1:]
    bound = np.maximum(below[1:] * m - (first + 1) * n, last * n - up_to[:-1] * m)
    inside = (first[bound > found, None] + np.arange(1, stretch)).ravel()
    inside = inside[inside < m]
    below, up_to = _ranks(many, few[inside])
    return max(found, _largest(below * m - inside * n, (inside + 1) * n - up_to * m))


def _ranks(ordered: Sample, values: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """How many of ``ordered`` are below each value, and how many are at most it."""
    below = np.searchsorted(ordered, values, side="left")
    tied = ordered[np.minimum(below, len(ordered) - 1)] == values
    return below, np.searchsorted(ordered, values, side="right") if tied.any() else below


def _largest(before: NDArray[np.int64], at: NDArray[np.int64]) -> int:
    """The largest distance just before some places, and at them."""
    return max(int(before.max(initial=0)), int(at.max(initial=0)))
