"""Tests that compare the shares of bins or categories."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from attrs import define, field, validators

from mlops_core.records import TestOutcome
from mlops_core.roles import DriftTest
from mlops_drift_psi.bins import Bins
from mlops_drift_psi.null import Null, chi_square_p_value

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.random import Generator
    from numpy.typing import NDArray

__all__ = ["BinnedTest"]


@define
class BinnedTest(DriftTest):
    """A test of a divergence of counts per bin, whose null distribution is chi-square in large samples and simulated in small ones.

    Numeric bins are quantiles of the reference with open outer bins; a value that exceeds a bin's share has its own. The p-value is that of
    a chi-square distribution with one degree of freedom less than there are bins with a value in either sample. Where a bin expects fewer
    than ``_expected`` values of the smaller sample it is simulated instead, at least 1 / (1 + B): by permutation for categories; by ranks
    for numbers, whose bins are quantiles of the reference itself; for numbers with ties it is the larger of both.
    """

    kinds: ClassVar[frozenset[str]] = frozenset({"numeric", "categorical"})

    bins: int = field(default=10, validator=validators.ge(2), metadata={"help": "Most bins of a numeric column."})
    permutations: int = field(
        default=4999, validator=validators.ge(99), metadata={"help": "Simulated samples B where bins are too small for chi-square."}
    )
    _name: ClassVar[str]
    _expected: ClassVar[int]

    @abstractmethod
    def divergence(self, reference: NDArray[Any], current: NDArray[Any]) -> Any:
        """The divergence of counts, over the last axis."""

    @abstractmethod
    def _measures(self, divergence: float, reference: NDArray[np.int64], current: NDArray[np.int64]) -> tuple[float, float, float]:
        """Statistic, effect size, and what of them is chi-square distributed in large samples."""

    def prepare(self, reference: NDArray[Any]) -> Bins:
        """Bins, and the reference's counts in them: whole numbers are codes of categories."""
        if np.issubdtype(reference.dtype, np.integer):
            return Bins.by_category(reference)
        return Bins.by_quantile(reference, self.bins)

    def compare(self, reference: Bins, current: NDArray[Any], *, rng: Generator) -> TestOutcome:
        """Test one column."""
        return self._outcome(reference, current, Null(rng, self.permutations, self.divergence))

    def compare_columns(self, reference: Sequence[Bins], current: NDArray[Any], *, rng: Generator) -> list[TestOutcome]:
        """Test each column of (m, d). Columns without ties have one null distribution, which is simulated once."""
        null = Null(rng, self.permutations, self.divergence)
        columns = np.ascontiguousarray(current.T)  # a row-major table is read once
        return [self._outcome(bins, values, null) for bins, values in zip(reference, columns, strict=True)]

    def dump(self, prepared: Bins) -> Mapping[str, NDArray[Any]]:
        """Counts, and edges where there are any."""
        return prepared.to_arrays()

    def load(self, arrays: Mapping[str, NDArray[Any]]) -> Bins:
        """What ``dump`` answered, back again."""
        return Bins.from_arrays(arrays)

    def _outcome(self, bins: Bins, values: NDArray[Any], null: Null) -> TestOutcome:
        after = bins.count(values)
        before = np.pad(bins.counts, (0, len(after) - len(bins.counts)))
        distinct = before + after > 0
        before, after = before[distinct], after[distinct]
        divergence = float(self.divergence(before, after))
        statistic, effect, chi_square = self._measures(divergence, before, after)
        p_value, how = self._p_value(bins, before, after, divergence, chi_square, null)
        return TestOutcome(statistic, p_value, effect, f"{self._name}, {how}", int(before.sum()), int(after.sum()))

    def _p_value(
        self, bins: Bins, before: NDArray[np.int64], after: NDArray[np.int64], divergence: float, chi_square: float, null: Null
    ) -> tuple[float, str]:
        """The p-value, and how it was found."""
        n, m = int(before.sum()), int(after.sum())
        if len(before) == 1:
            return 1.0, "a single bin"
        if (before + after).min() * min(n, m) >= self._expected * (n + m):
            return chi_square_p_value(chi_square, len(before)), "chi-square"
        if bins.edges is not None and not bins.tied:
            return null.by_rank(before, m, divergence), "simulated ranks"
        p_value = null.by_permutation(before, after, divergence)
        if bins.tied:
            p_value = max(p_value, null.by_rank(before, m, divergence))
        return p_value, "permutation"
