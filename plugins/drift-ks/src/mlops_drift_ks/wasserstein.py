"""The test ``wasserstein``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from attrs import define

from mlops_drift_ks.permutation import PermutationTest

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mlops_drift_ks.sample import Pool, Sample

__all__ = ["Wasserstein"]


@define
class Wasserstein(PermutationTest):
    """The first Wasserstein distance W1: how far the values moved on average, in their own unit (Kantorovich 1942, Vallender 1974).

    W1 is the integral of |F - G|, the least mean distance over which one sample has to be carried to become the other; for a pure shift it
    is the shift. That is the statistic. The effect size is W1 in standard deviations of the reference (of the pooled values where the
    reference is constant), conventionally read as drift from 0.1 on. Use it where the amount of a change matters and values far out should
    weigh: one value moved by a lot counts for as much as many moved by a little. With heavy tails that makes it blunt, where ``cvm`` and
    ``ks`` stay sharp. Unchanged by shifts of both samples, and but for the statistic by changes of unit; symmetric in its two samples.

    The p-value is a permutation one, exact with ties and small samples (see ``mlops_drift_ks.permutation``). Time
    O((n + m) log(n + m) + 128 B), the second part once for all columns without ties; a stored reference is kept sorted.

    Example:
        >>> import numpy as np
        >>> test, rng = Wasserstein(), np.random.default_rng(7)
        >>> reference = test.prepare(np.array([1.0, 2, 3, 4, 5]))
        >>> outcome = test.compare(reference, np.array([3.5, 4.5, 5.5, 6.5, 7.5]), rng=rng)
        >>> round(outcome.statistic, 3), round(outcome.effect_size, 3), round(outcome.p_value, 2), outcome.method
        (2.5, 1.768, 0.06, 'Wasserstein, permutation')
    """

    contract: ClassVar[int] = 1
    effect_threshold: ClassVar[float] = 0.1
    _name: ClassVar[str] = "Wasserstein"

    def _size(self, differences: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.abs(differences)

    def _measures(self, pool: Pool, reference: Sample) -> tuple[float, float]:
        distance = pool.scale * float(np.abs(pool.differences[:-1]) @ pool.gaps) / (pool.n * pool.m)
        spread = _deviation(reference, np.ones(len(reference))) or _deviation(pool.values, np.diff(pool.counts, prepend=0))
        largest = sys.float_info.max
        return min(distance, largest), min(distance / spread, largest) if spread else 0.0


def _deviation(values: Sample, counts: NDArray[np.float64] | NDArray[np.int64]) -> float:
    """The standard deviation of sorted values that occur so often; without overflow, and 0 for a constant."""
    scale = max(-values[0], values[-1])
    if values[0] == values[-1]:
        return 0.0
    scaled = values / scale
    mean = np.average(scaled, weights=counts)
    return float(scale * np.sqrt(np.average((scaled - mean) ** 2, weights=counts)))
