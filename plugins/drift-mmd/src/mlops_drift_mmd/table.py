"""What the tests of this package share: rows, labels and the outcome."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from attrs import field, validators

from mlops_core.records import TestOutcome
from mlops_core.roles import DriftTest
from mlops_drift_mmd.arrays import NAMES
from mlops_drift_mmd.permutation import signs
from mlops_drift_mmd.sample import thinned

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

__all__ = ["TableTest", "array_option", "bandwidth_option", "permutations_option", "rows_option", "standardise_option"]


def permutations_option(default: int) -> Any:
    """The option ``permutations``."""
    told = "Random divisions B of the pooled rows; p is at least 1 / (1 + B). Take 1 + B a multiple of 20 for an exact level of 0.05."
    return field(default=default, validator=validators.ge(19), metadata={"help": told})


def rows_option(default: int, cost: str) -> Any:
    """The option ``max_rows``."""
    told = f"Most rows of each side; where there are more, so many are drawn at random. {cost}"
    return field(default=default, validator=validators.ge(2), metadata={"help": told})


def standardise_option() -> Any:
    """The option ``standardise``."""
    return field(default=True, metadata={"help": "Give each column its own unit, from the quartiles of both samples together."})


def bandwidth_option() -> Any:
    """The option ``bandwidth``."""
    told = "The kernel's s, in standardised units unless standardise is off; by default the median distance of rows."
    return field(default=None, validator=validators.optional(validators.gt(0)), metadata={"help": told})


def array_option() -> Any:
    """The option ``array``."""
    told = "What computes kernels: numpy, or torch on a device, such as torch:cuda; equal seeds draw equal permutations on all."
    return field(default="numpy", validator=validators.matches_re(NAMES), metadata={"help": told})


class TableTest(DriftTest):
    """A permutation test of two tables (n, d) and (m, d); it must answer the same for pooled rows in any order, labels moved with them."""

    __slots__ = ()

    scope: ClassVar[Literal["table"]] = "table"

    permutations: int
    max_rows: int

    def prepare(self, reference: NDArray[Any]) -> NDArray[np.float64]:
        """The rows; of more than ``max_rows`` a random choice that is the same each time."""
        return thinned(reference, self.max_rows, np.random.default_rng(0))

    def compare(self, reference: NDArray[np.float64], current: NDArray[Any], *, rng: Generator) -> TestOutcome:
        """Test a table; the sizes of the outcome are those used."""
        after = thinned(current, self.max_rows, rng)
        n, m = len(reference), len(after)
        pooled = np.concatenate([reference, after])
        statistic, p_value, effect = self._decide(pooled, signs(n, m, self.permutations, rng), rng)
        return TestOutcome(statistic, p_value, effect, self._method(), n, m)

    @abstractmethod
    def _decide(self, pooled: NDArray[np.float64], labels: NDArray[np.int8], rng: Generator) -> tuple[float, float, float]:
        """Statistic, p-value and effect size of pooled rows (N, d), from labels (1 + B, N) of which the first is the one seen."""

    @abstractmethod
    def _method(self) -> str:
        """The method in words."""
