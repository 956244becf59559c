"""The test ``mmd_fuse``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from attrs import define
from numpy.typing import NDArray

from mlops_drift_mmd.collection import KernelCollection

if TYPE_CHECKING:
    from mlops_drift_mmd.discrepancy import Discrepancies

__all__ = ["FusedDiscrepancy"]


@define
class FusedDiscrepancy(KernelCollection):
    """Maximum mean discrepancies under many kernels, fused to one (Biggs, Schrab & Gretton 2023, MMD-FUSE, NeurIPS 36).

    Each kernel's unbiased MMD^2 is divided by the root of the sum of k(z, z')^2 over pooled rows / (n (n - 1)), n the smaller sample, which
    no permutation changes. The statistic is the soft maximum (1 / l) log mean exp(l t) of these values t, with the l = n (n - 1) of the
    authors' program. Its permutation p-value is exact, without a correction for the number of kernels: Gaussian and Laplace ones of
    ``bandwidths`` widths each, evenly spaced over the distances of pooled rows. Like ``mmd_agg`` it finds changes on scales that are not
    known beforehand.

    The effect size is the largest MMD of the kernels, in [0, sqrt(2)]; it has no conventional threshold. Time O(N^2 (d + kernels B)) of
    N = n + m rows, memory O(N (d + B) + kernels B).

    Example:
        >>> import numpy as np
        >>> test, rng = FusedDiscrepancy(), np.random.default_rng(7)
        >>> reference = test.prepare(rng.uniform(-5, 5, size=(300, 1)))
        >>> current = np.round(rng.uniform(-5, 5, size=(300, 1))) + rng.normal(scale=0.1, size=(300, 1))
        >>> outcome = test.compare(reference, current, rng=rng)
        >>> round(outcome.effect_size, 2), outcome.p_value
        (0.19, 0.002)
    """

    contract: ClassVar[int] = 1
    spaced: ClassVar[Callable[..., NDArray[Any]]] = staticmethod(np.linspace)

    @staticmethod
    def combine(found: Discrepancies, n: int, m: int) -> NDArray[Any]:
        """The soft maximum of the kernels' normalised discrepancies, for each labelling."""
        smaller, pooled = min(n, m), n + m
        squares = found.mean_square * (pooled * (pooled - 1) / (smaller * (smaller - 1)))
        normalised = found.squared / np.sqrt(np.maximum(squares, np.finfo(np.float32).tiny))[:, None]
        return _soft_maximum(normalised, smaller * (smaller - 1))

    def _method(self) -> str:
        return "MMD fused over kernels, permutation"


def _soft_maximum(values: NDArray[np.float64], sharpness: float) -> NDArray[np.float64]:
    """(1 / l) log mean exp(l t) over the first axis: between mean and maximum, the nearer to it the sharper."""
    largest = values.max(axis=0)
    softened: NDArray[np.float64] = largest + np.log(np.mean(np.exp(sharpness * (values - largest)), axis=0)) / sharpness
    return softened
