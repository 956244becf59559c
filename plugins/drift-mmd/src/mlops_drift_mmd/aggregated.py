"""The test ``mmd_agg``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from attrs import define
from numpy.typing import NDArray

from mlops_drift_mmd.collection import KernelCollection
from mlops_drift_mmd.permutation import TIE

if TYPE_CHECKING:
    from mlops_drift_mmd.discrepancy import Discrepancies

__all__ = ["AggregatedDiscrepancy"]


@define
class AggregatedDiscrepancy(KernelCollection):
    """Maximum mean discrepancies under many kernels, aggregated (Schrab et al. 2023, MMD Aggregated Two-Sample Test, JMLR 24).

    One bandwidth sees changes of one scale. This test takes Gaussian and Laplace kernels of ``bandwidths`` widths each, geometrically
    spaced over the distances of pooled rows, and rejects where one of them does at a level that is corrected as far as their dependence
    makes necessary. The paper states the test at a given level; the p-value here is the smallest level at which it rejects. Every
    labelling, the one seen and the permuted ones, is given the smallest permutation p-value of a kernel (the paper's uniform weights), and
    the p-value is the share of labellings whose smallest one is at most that of the one seen (Westfall & Young 1993, Resampling-Based
    Multiple Testing). The labellings are exchangeable, so it is exact; the same permutations serve the quantiles and the correction. Few
    smallest p-values are possible, so equal ones are ordered by the largest standardised discrepancy of a kernel, without which the test
    would be conservative.

    The statistic is the number of labellings that some kernel puts below the one seen, with the order of equal ones behind the point.
    The effect size is the largest MMD of the kernels, in [0, sqrt(2)]; it has no conventional threshold. Time O(N^2 (d + kernels B)) of
    N = n + m rows, at most ``max_rows`` of each side; memory O(N (d + B) + kernels B).

    Example:
        >>> import numpy as np
        >>> test, rng = AggregatedDiscrepancy(), np.random.default_rng(7)
        >>> reference = test.prepare(rng.uniform(-5, 5, size=(300, 1)))
        >>> current = np.round(rng.uniform(-5, 5, size=(300, 1))) + rng.normal(scale=0.1, size=(300, 1))
        >>> outcome = test.compare(reference, current, rng=rng)
        >>> round(outcome.effect_size, 2), outcome.p_value
        (0.19, 0.002)
    """

    contract: ClassVar[int] = 1
    spaced: ClassVar[Callable[..., NDArray[Any]]] = staticmethod(np.geomspace)

    @staticmethod
    def combine(found: Discrepancies, n: int, m: int) -> NDArray[Any]:
        """The largest rank of a kernel's discrepancy among the labellings, and the rank of the largest standardised one between."""
        del n, m
        squared = found.squared
        spread = squared.std(axis=1, keepdims=True)
        excess = (squared - squared.mean(axis=1, keepdims=True)) / np.where(spread > found.ties[:, None], spread, np.inf)
        largest = np.max([_ranks(row, tie) for row, tie in zip(squared, found.ties, strict=True)], axis=0)
        return np.asarray(largest + _ranks(excess.max(axis=0), TIE) / squared.shape[1])

    def _method(self) -> str:
        return "MMD aggregated over kernels, permutation"


def _ranks(statistics: NDArray[np.float64], tie: float) -> NDArray[np.intp]:
    """How many of the statistics are smaller, by more than rounding."""
    return np.searchsorted(np.sort(statistics), statistics - tie, side="left")
