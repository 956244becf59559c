"""The test ``mmd_rff``."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar, Final

import numpy as np
from attrs import define, field, validators

from mlops_drift_mmd.discrepancy import unbiased
from mlops_drift_mmd.kernels import width
from mlops_drift_mmd.permutation import p_value
from mlops_drift_mmd.sample import scaled
from mlops_drift_mmd.table import TableTest, bandwidth_option, permutations_option, rows_option, standardise_option

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

__all__ = ["FourierDiscrepancy"]

_ROWS: Final = 4096


@define
class FourierDiscrepancy(TableTest):
    """The maximum mean discrepancy in time linear in the rows (Zhao & Meng 2015, FastMMD, Neural Computation 27).

    The Gaussian kernel of ``mmd`` is replaced by the inner product of cosines and sines at random frequencies, whose mean it is (Rahimi &
    Recht 2007, Random Features for Large-Scale Kernel Machines, NIPS). With D frequencies the kernel errs by about 1 / sqrt(2 D). The
    p-value is exact all the same: the frequencies have nothing to do with the labels. Statistic and effect size are those of ``mmd``, of
    the approximate kernel.

    Time O(N D (d + B)) of N = n + m rows, memory O(N (d + B)): about 20 ms per 1,000 rows at 199 permutations.

    Example:
        >>> import numpy as np
        >>> test, rng = FourierDiscrepancy(), np.random.default_rng(7)
        >>> reference = test.prepare(rng.normal(size=(5000, 4)))
        >>> outcome = test.compare(reference, rng.normal(0.1, size=(5000, 4)), rng=rng)
        >>> round(outcome.effect_size, 2), outcome.p_value
        (0.05, 0.005)
    """

    contract: ClassVar[int] = 1

    permutations: int = permutations_option(199)
    max_rows: int = rows_option(50_000, "Time grows with it.")
    bandwidth: float | None = bandwidth_option()
    standardise: bool = standardise_option()
    frequencies: int = field(default=256, validator=validators.ge(1), metadata={"help": "Random frequencies D; more are closer to mmd."})

    def _decide(self, pooled: NDArray[np.float64], labels: NDArray[np.int8], rng: Generator) -> tuple[float, float, float]:
        points, unit = scaled(pooled, standardise=self.standardise)
        waves = rng.normal(size=(points.shape[1], self.frequencies)) / width(points, unit, self.bandwidth, rng)
        squared = self._squared(points, waves, labels)
        return float(squared[0]), p_value(squared), math.sqrt(max(0.0, float(squared[0])))

    def _method(self) -> str:
        return "MMD, random Fourier features, permutation"

    def _squared(self, points: NDArray[np.float64], waves: NDArray[np.float64], labels: NDArray[np.int8]) -> NDArray[np.float64]:
        """The unbiased squared discrepancy of every labelling: with a mean feature f of each row, K = f f' and its diagonal is 1."""
        signed, total = np.zeros((len(labels), 2 * self.frequencies)), np.zeros(2 * self.frequencies)
        for start in range(0, len(points), _ROWS):
            angles = points[start : start + _ROWS] @ waves
            features = np.concatenate([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
            signed += labels[:, start : start + _ROWS].astype(np.float32) @ features
            total += features.sum(axis=0, dtype=np.float64)
        size, balance = len(points), int(labels[0].sum())
        n = (size + balance) // 2
        quadratic = np.einsum("bf,bf->b", signed, signed) / self.frequencies - size
        linear = signed @ total / self.frequencies - balance
        squared: NDArray[np.float64] = unbiased(quadratic, linear, float(total @ total) / self.frequencies - size, n, size - n)
        return squared
