"""What the tests with many kernels share."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

from attrs import define, field, validators
from numpy.typing import NDArray

from mlops_drift_mmd.arrays import library
from mlops_drift_mmd.discrepancy import discrepancies
from mlops_drift_mmd.kernels import collection
from mlops_drift_mmd.permutation import p_value
from mlops_drift_mmd.sample import scaled
from mlops_drift_mmd.table import TableTest, array_option, permutations_option, rows_option, standardise_option

if TYPE_CHECKING:
    import numpy as np
    from numpy.random import Generator

    from mlops_drift_mmd.discrepancy import Discrepancies

__all__ = ["KernelCollection"]

_WIDTHS = "Widths of the Gaussian kernels, and as many of the Laplace kernels: from half the 5 % to twice the 95 % quantile of distances."


@define
class KernelCollection(TableTest):
    """A test with Gaussian and Laplace kernels of many widths; its effect size is the largest of their MMDs, in [0, sqrt(2)]."""

    spaced: ClassVar[Callable[..., NDArray[Any]]]
    """How the widths lie between the smallest and the largest: ``np.linspace`` or ``np.geomspace``."""

    permutations: int = permutations_option(499)
    max_rows: int = rows_option(1000, "Time grows with its square.")
    bandwidths: int = field(default=10, validator=validators.ge(2), metadata={"help": _WIDTHS})
    standardise: bool = standardise_option()
    array: str = array_option()

    @staticmethod
    @abstractmethod
    def combine(found: Discrepancies, n: int, m: int) -> NDArray[Any]:
        """One value for each labelling, from the discrepancies of all kernels; the larger, the less like the null."""

    def _decide(self, pooled: NDArray[np.float64], labels: NDArray[np.int8], rng: Generator) -> tuple[float, float, float]:
        points, _ = scaled(pooled, standardise=self.standardise)
        found = discrepancies(points, collection(points, self.bandwidths, self.spaced, rng), labels, library(self.array))
        n = int((labels[0] > 0).sum())
        combined = self.combine(found, n, len(pooled) - n)
        return float(combined[0]), p_value(combined), math.sqrt(max(0.0, float(found.squared[:, 0].max())))
