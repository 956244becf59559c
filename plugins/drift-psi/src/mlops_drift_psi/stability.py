"""The test ``psi``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from attrs import define, field, validators

from mlops_drift_psi.binned import BinnedTest

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["PopulationStability"]


@define
class PopulationStability(BinnedTest):
    """The population stability index: how far the shares of bins or categories moved.

    The index, its effect size, is the sum of (q - p) ln(q / p) over the bins, p the reference's share and q the current one. It is
    conventionally read as: below 0.1 no change, up to 0.25 a moderate and above 0.25 a large one. That is a practical threshold
    (``effect_threshold`` 0.1) and says nothing about chance: two samples of 100 values of one distribution pass 0.1 most of the time. So
    the decision rests on the null distribution (Yurdakul 2018, Statistical Properties of Population Stability Index, Western Michigan
    University): the statistic, index / (1/n + 1/m), is chi-square with one degree of freedom less than there are bins with a value in
    either sample. Where a bin expects fewer than 20 values of the smaller sample the p-value is simulated instead, at least 1 / (1 + B):
    by permutation for categories; by ranks for numbers, whose bins are quantiles of the reference itself; for numbers with ties it is the
    larger of both.

    Numeric bins are quantiles of the reference with open outer bins; a value that exceeds a bin's share has its own. Each count is raised
    by ``smoothing`` so that an empty bin has a logarithm. Time O(n log n) to prepare, O(m bins) to compare, O(B bins) to simulate.

    Example:
        >>> import numpy as np
        >>> test, rng = PopulationStability(), np.random.default_rng(7)
        >>> reference = test.prepare(rng.normal(size=2000))
        >>> outcome = test.compare(reference, rng.normal(0.5, size=1000), rng=rng)
        >>> round(outcome.effect_size, 3), outcome.p_value < 1e-9, outcome.method
        (0.28, True, 'PSI, chi-square')
    """

    contract: ClassVar[int] = 1
    effect_threshold: ClassVar[float] = 0.1
    _name: ClassVar[str] = "PSI"
    _expected: ClassVar[int] = 20

    smoothing: float = field(default=0.5, validator=validators.gt(0), metadata={"help": "Added to the count of every bin."})

    def divergence(self, reference: NDArray[Any], current: NDArray[Any]) -> Any:
        """The sum of (q - p) ln(q / p) over the bins, with shares p = (count + smoothing) / (n + smoothing * bins)."""
        bins = reference.shape[-1]
        p = (reference + self.smoothing) / (reference.sum(axis=-1, keepdims=True) + self.smoothing * bins)
        q = (current + self.smoothing) / (current.sum(axis=-1, keepdims=True) + self.smoothing * bins)
        return ((q - p) * np.log(q / p)).sum(axis=-1)

    def _measures(self, divergence: float, reference: NDArray[np.int64], current: NDArray[np.int64]) -> tuple[float, float, float]:
        statistic = divergence / (1 / int(reference.sum()) + 1 / int(current.sum()))
        return statistic, divergence, statistic
