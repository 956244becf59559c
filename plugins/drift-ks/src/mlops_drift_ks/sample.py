"""Sorted samples, and two of them pooled."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, Final, Self, TypeAlias

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from mlops_core.roles import DriftTest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.random import Generator

    from mlops_core.records import TestOutcome

__all__ = ["Pool", "Sample", "SortedTest"]

_CELLS: Final = 1 << 14

Sample: TypeAlias = NDArray[np.float64]
"""Values of one column in ascending order."""


class SortedTest(DriftTest):
    """A test that looks at nothing but the two empirical distribution functions: what it keeps of a reference is the sorted sample."""

    __slots__ = ()

    def prepare(self, reference: NDArray[Any]) -> Sample:
        """The sorted sample."""
        return np.sort(np.asarray(reference, dtype=np.float64))

    def compare(self, reference: Sample, current: NDArray[Any], *, rng: Generator) -> TestOutcome:
        """Test one column."""
        return self._outcomes([(reference, self.prepare(current))], rng)[0]

    def compare_columns(self, reference: Sequence[Sample], current: NDArray[Any], *, rng: Generator) -> list[TestOutcome]:
        """Test all columns of (m, d), sorted in one call."""
        columns = _copied_columns(current)
        columns.sort(axis=1)
        return self._outcomes(list(zip(reference, columns, strict=True)), rng)

    def load(self, arrays: Mapping[str, NDArray[Any]]) -> Sample:
        """The sorted sample, back again."""
        return np.asarray(arrays["reference"], dtype=np.float64)

    @abstractmethod
    def _outcomes(self, pairs: Sequence[tuple[Sample, Sample]], rng: Generator) -> list[TestOutcome]:
        """The outcomes of sorted reference and current samples."""


@frozen(eq=False)
class Pool:
    """Both samples pooled: at each distinct value, in ascending order, how many values of the pool and of the reference are at most it."""

    values: NDArray[np.float64]
    counts: NDArray[np.int64]
    reference: NDArray[np.int64]
    n: int
    m: int

    @classmethod
    def of(cls, reference: Sample, current: Sample) -> Self:
        """Merge two sorted samples: O(n + m), as a stable sort finds the two runs."""
        n, m = len(reference), len(current)
        both = np.concatenate([reference, current])
        order = np.argsort(both, kind="stable")
        values = both[order]
        ends = np.append(np.flatnonzero(values[1:] != values[:-1]), n + m - 1)
        return cls(values[ends], ends + 1, np.cumsum(order < n)[ends], n, m)

    @property
    def differences(self) -> NDArray[np.int64]:
        """(F - G) n m at each value: the difference of the distribution functions of reference and current, without rounding."""
        found: NDArray[np.int64] = (self.n + self.m) * self.reference - self.n * self.counts
        return found

    @property
    def scale(self) -> float:
        """The largest absolute value, 1 where all are zero: in units of it no difference or square of two values overflows."""
        return max(abs(float(self.values[0])), abs(float(self.values[-1]))) or 1.0

    @property
    def gaps(self) -> NDArray[np.float64]:
        """The lengths between neighbouring values, in units of ``scale``."""
        return np.diff(self.values / self.scale)


def _copied_columns(table: NDArray[Any]) -> NDArray[np.float64]:
    """A copy of (m, d) as d rows, made by pieces that stay in the cache: at once it would cross the whole table for each row."""
    rows, width = table.shape
    columns = np.empty((width, rows))
    piece = max(1, _CELLS // max(1, width))
    for start in range(0, rows, piece):
        columns[:, start : start + piece] = table[start : start + piece].T
    return columns
