"""The test ``psi``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final

import numpy as np
from attrs import define, field, validators

from mlops_core.records import TestOutcome
from mlops_core.roles import DriftTest
from mlops_drift_psi.bins import Bins
from mlops_drift_psi.null import Null, chi_square_p_value, stability_index

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.random import Generator
    from numpy.typing import NDArray

__all__ = ["PopulationStability"]

_EXPECTED: Final = 20


@define
class PopulationStability(DriftTest):
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
    by ``smoothing`` so that an empty bin has a logarithm. Time O(n log n) to prepare, O(m log bins) to compare, O(B bins) to simulate.

    Example:
        >>> import numpy as np
        >>> test, rng = PopulationStability(), np.random.default_rng(7)
        >>> reference = test.prepare(rng.normal(size=2000))
        >>> outcome = test.compare(reference, rng.normal(0.5, size=1000), rng=rng)
        >>> round(outcome.effect_size, 3), outcome.p_value < 1e-9, outcome.method
        (0.28, True, 'PSI, chi-square')
    """

    contract: ClassVar[int] = 1
    kinds: ClassVar[frozenset[str]] = frozenset({"numeric", "categorical"})
    effect_threshold: ClassVar[float] = 0.1

    bins: int = field(default=10, validator=validators.ge(2), metadata={"help": "Most bins of a numeric column."})
    permutations: int = field(
        default=4999, validator=validators.ge(99), metadata={"help": "Simulated samples B where bins are too small for chi-square."}
    )
    smoothing: float = field(default=0.5, validator=validators.gt(0), metadata={"help": "Added to the count of every bin."})

    def prepare(self, reference: NDArray[Any]) -> Bins:
        """Bins, and the reference's counts in them: whole numbers are codes of categories."""
        if np.issubdtype(reference.dtype, np.integer):
            return Bins.by_category(reference)
        return Bins.by_quantile(reference, self.bins)

    def compare(self, reference: Bins, current: NDArray[Any], *, rng: Generator) -> TestOutcome:
        """Test one column."""
        return self._outcome(reference, current, Null(rng, self.permutations, self.smoothing))

    def compare_columns(self, reference: Sequence[Bins], current: NDArray[Any], *, rng: Generator) -> list[TestOutcome]:
        """Test each column of (m, d). Columns without ties have one null distribution, which is simulated once."""
        null = Null(rng, self.permutations, self.smoothing)
        return [self._outcome(bins, current[:, i], null) for i, bins in enumerate(reference)]

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
        n, m = int(before.sum()), int(after.sum())
        index = float(stability_index(before, after, self.smoothing))
        statistic = index / (1 / n + 1 / m)
        if len(before) == 1:
            return TestOutcome(statistic, 1.0, index, "PSI, a single bin", n, m)
        if (before + after).min() * min(n, m) >= _EXPECTED * (n + m):
            return TestOutcome(statistic, chi_square_p_value(statistic, len(before)), index, "PSI, chi-square", n, m)
        if bins.edges is not None and not bins.tied:
            return TestOutcome(statistic, null.by_rank(before, m, index), index, "PSI, simulated ranks", n, m)
        p_value = null.by_permutation(before, after, index)
        if bins.tied:
            p_value = max(p_value, null.by_rank(before, m, index))
        return TestOutcome(statistic, p_value, index, "PSI, permutation", n, m)
