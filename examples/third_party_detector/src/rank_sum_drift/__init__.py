"""The rank-sum test as a drift test: how somebody else's plugin looks."""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from attrs import define, field

from mlops_core.hookspecs import hookimpl
from mlops_core.records import TestOutcome
from mlops_core.roles import DriftTest

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

__all__ = ["RankSum", "mlops_drift_test"]


@define
class RankSum(DriftTest):
    """Whether values became larger or smaller (Mann & Whitney 1947), by the normal approximation with a correction for ties.

    The effect size is |P(current > reference) - P(current < reference)|, in [0, 1]. A change of the spread alone is not seen.
    """

    contract: ClassVar[int] = 1
    effect_threshold: ClassVar[float] = 0.1

    continuity: bool = field(default=True, metadata={"help": "Correct for ranks being whole numbers: conservative in small samples."})

    def prepare(self, reference: NDArray[Any]) -> NDArray[Any]:
        """The sorted sample."""
        return np.sort(reference)

    def compare(self, reference: NDArray[Any], current: NDArray[Any], *, rng: Generator) -> TestOutcome:
        """Test one column."""
        n, m = len(reference), len(current)
        below = np.searchsorted(reference, current, side="left")
        up_to = np.searchsorted(reference, current, side="right")
        lead = float((below + up_to).sum()) / 2 - n * m / 2  # pairs in which current is larger, more than half of all
        _, ties = np.unique(np.concatenate([reference, current]), return_counts=True)
        total = n + m
        variance = n * m / 12 * (total + 1 - float((ties.astype(float) ** 3 - ties).sum()) / (total * (total - 1)))
        distance = max(0.0, abs(lead) - (0.5 if self.continuity else 0.0))
        p_value = math.erfc(distance / math.sqrt(2 * variance)) if variance > 0 else 1.0
        return TestOutcome(
            statistic=lead,
            p_value=max(sys.float_info.min, p_value),
            effect_size=abs(2 * lead / (n * m)),
            method="rank-sum, normal approximation",
            n=n,
            m=m,
        )


@hookimpl
def mlops_drift_test() -> type[RankSum]:
    """Hand over the class; the entry point's name, ``rank-sum``, is the test's."""
    return RankSum
