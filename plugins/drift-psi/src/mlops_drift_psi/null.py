"""The null distribution of a divergence of counts.

``reference`` and ``current`` are counts per bin, of n and m values. All answers are in (0, 1].
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np
from attrs import define, field
from numpy.random import Generator
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Divergence", "Null", "chi_square_p_value"]

Divergence: TypeAlias = Callable[[NDArray[Any], NDArray[Any]], Any]
"""Answers how far two arrays of counts per bin, their last axis, lie apart."""

_CELLS: Final = 1 << 21
_ROUNDING: Final = 1 - 1e-9
_LEAST_GAP: Final = 0.5


def chi_square_p_value(statistic: float, bins: int) -> float:
    """P of at least ``statistic`` under a chi-square distribution with ``bins`` - 1 degrees of freedom."""
    from scipy.special import chdtrc

    return max(float(np.finfo(np.float64).tiny), float(chdtrc(bins - 1, statistic)))


@define
class Null:
    """Simulates the divergence of two samples of one distribution. Draws that columns can share are kept for as long as this lives."""

    rng: Generator
    rounds: int
    divergence: Divergence
    _shared: dict[tuple[bytes, int], NDArray[np.float64]] = field(factory=dict, init=False)

    def by_permutation(self, reference: NDArray[np.int64], current: NDArray[np.int64], seen: float) -> float:
        """Over divisions of the pooled values at fixed bins: counts are multivariate hypergeometric. Exact for categories."""
        pooled, n = reference + current, int(reference.sum())
        beyond = 0
        for rounds in self._batches(len(pooled)):
            drawn = self.rng.multivariate_hypergeometric(pooled, n, size=rounds, method="marginals")
            beyond += int((self.divergence(drawn, pooled - drawn) >= seen * _ROUNDING).sum())
        return (1 + beyond) / (1 + self.rounds)

    def by_rank(self, reference: NDArray[np.int64], m: int, seen: float) -> float:
        """Over current samples at bins that are quantiles of the reference itself.

        The ranks of continuous samples are exchangeable, so the shares of the population in the bins are Dirichlet distributed with the
        number of gaps between reference values in each bin, n + 1 in all, and the current counts are multinomial given those: the exact
        null distribution, whatever the population (Wilks 1962, Mathematical Statistics, 8.7).
        """
        key = (reference.tobytes(), m)
        if key not in self._shared:
            gaps = np.maximum(reference, _LEAST_GAP)
            gaps[-1] += 1
            drawn = [self.rng.multinomial(m, self.rng.dirichlet(gaps, size=rounds)) for rounds in self._batches(len(gaps))]
            self._shared[key] = np.sort(self.divergence(reference, np.concatenate(drawn)))
        beyond = self.rounds - int(np.searchsorted(self._shared[key], seen * _ROUNDING, side="left"))
        return (1 + beyond) / (1 + self.rounds)

    def _batches(self, bins: int) -> Iterator[int]:
        """Rounds in batches of bounded memory."""
        most = max(1, _CELLS // bins)
        for done in range(0, self.rounds, most):
            yield min(most, self.rounds - done)
