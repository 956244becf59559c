"""The test ``energy``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from attrs import define

from mlops_drift_ks.permutation import PermutationTest

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mlops_drift_ks.sample import Pool, Sample

__all__ = ["Energy"]


@define
class Energy(PermutationTest):
    """The energy distance of one column: by how much values of different samples lie further apart than values of the same one.

    The statistic is 2 E|X - Y| - E|X - X'| - E|Y - Y'| (Szekely & Rizzo 2004, 2013), which for numbers is 2 times the integral of
    (F - G)^2: ``cvm`` with lengths of the axis in place of shares of the values. The effect size is Szekely & Rizzo's coefficient of
    inhomogeneity, the statistic divided by 2 E|X - Y|: 0 for samples that are equal, 1 for two different constants, and the same in any
    unit. Use it for changes of any kind where distances between values mean something; it weighs the tails more than ``cvm`` and less than
    ``wasserstein``. Unchanged by shifts of both samples, and but for the statistic by changes of unit; symmetric in its two samples.

    The p-value is a permutation one, exact with ties and small samples (see ``mlops_drift_ks.permutation``). Time
    O((n + m) log(n + m) + 128 B), the second part once for all columns without ties; a stored reference is kept sorted.

    Example:
        >>> import numpy as np
        >>> test, rng = Energy(), np.random.default_rng(7)
        >>> reference = test.prepare(np.array([1.0, 2, 3, 4, 5]))
        >>> outcome = test.compare(reference, np.array([3.5, 4.5, 5.5, 6.5, 7.5]), rng=rng)
        >>> round(outcome.statistic, 3), round(outcome.effect_size, 3), round(outcome.p_value, 2), outcome.method
        (2.2, 0.407, 0.06, 'energy distance, permutation')
    """

    contract: ClassVar[int] = 1
    _name: ClassVar[str] = "energy distance"

    def _size(self, differences: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.square(differences)

    def _measures(self, pool: Pool, reference: Sample) -> tuple[float, float]:
        below, gaps = pool.reference[:-1] / pool.n, pool.gaps
        other = (pool.counts - pool.reference)[:-1] / pool.m
        energy = float(np.square(below - other) @ gaps)
        apart = float((below + other - 2 * below * other) @ gaps)  # E|X - Y|
        return min(2 * energy * pool.scale, sys.float_info.max), energy / apart if apart else 0.0
