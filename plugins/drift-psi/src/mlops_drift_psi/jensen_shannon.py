"""The test ``js``."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from attrs import define

from mlops_drift_psi.binned import BinnedTest

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["JensenShannon"]


@define
class JensenShannon(BinnedTest):
    """The Jensen-Shannon divergence of the shares of bins or categories (Lin 1991), in bits.

    The statistic is the mean of the Kullback-Leibler divergences of both samples' shares from the middle between them: 0 for equal shares,
    1 for samples that have no bin in common. It stays finite where a bin is empty, needs no smoothing, and is symmetric in the shares. The
    effect size is its root, the Jensen-Shannon distance, which is a metric (Endres & Schindelin 2003), conventionally read as drift from
    0.1 on. Use it as ``psi`` is used, where new and lost categories are usual: those make ``psi`` depend on its smoothing.

    The decision rests on the null distribution, as two samples of 100 values of one distribution lie 0.1 and more apart in ten bins: the
    divergence times 8 ln(2) n m / (n + m) is chi-square distributed in large samples (Grosse et al. 2002, Physical Review E 65). As it gets
    there slowly (0.059 in place of 0.05 at 20 expected values in each bin), it is simulated where a bin expects fewer than 80 values of the
    smaller sample, as for ``psi``, whose bins it shares. Time O(n log n) to prepare, O(m bins) to compare, O(B bins) to simulate.

    Example:
        >>> import numpy as np
        >>> test, rng = JensenShannon(), np.random.default_rng(7)
        >>> reference = test.prepare(rng.normal(size=4000))
        >>> outcome = test.compare(reference, rng.normal(0.5, size=2000), rng=rng)
        >>> round(outcome.statistic, 3), round(outcome.effect_size, 3), outcome.p_value < 1e-9, outcome.method
        (0.046, 0.214, True, 'Jensen-Shannon, chi-square')
    """

    contract: ClassVar[int] = 1
    effect_threshold: ClassVar[float] = 0.1
    _name: ClassVar[str] = "Jensen-Shannon"
    _expected: ClassVar[int] = 80

    def divergence(self, reference: NDArray[Any], current: NDArray[Any]) -> Any:
        """The divergence of the shares, in bits."""
        p = reference / reference.sum(axis=-1, keepdims=True)
        q = current / current.sum(axis=-1, keepdims=True)
        return np.clip(_entropy((p + q) / 2) - (_entropy(p) + _entropy(q)) / 2, 0.0, 1.0)

    def _measures(self, divergence: float, reference: NDArray[np.int64], current: NDArray[np.int64]) -> tuple[float, float, float]:
        scale = 8 * math.log(2) / (1 / int(reference.sum()) + 1 / int(current.sum()))
        return divergence, math.sqrt(divergence), scale * divergence


def _entropy(shares: NDArray[np.float64]) -> Any:
    """In bits, over the last axis."""
    return -(shares * np.log2(np.where(shares > 0, shares, 1.0))).sum(axis=-1)
