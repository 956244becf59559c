"""The null distribution of the two-sample Kolmogorov-Smirnov statistic.

The statistic D of samples of n and m values is a multiple of 1/lcm(n, m); ``steps`` is the integer D * n * m, which has no rounding error.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["SMALLEST", "exact_p_value", "limiting_p_value"]

SMALLEST: Final = float(np.finfo(np.float64).tiny)
"""The floor of a p-value: it is never 0."""

_RESCALE: Final = 1e200


@lru_cache(maxsize=4096)  # D of two samples takes few values, and the many columns of one table share their sizes
def exact_p_value(n: int, m: int, steps: int) -> float:
    """P(D * n * m >= steps) of two continuous samples of one distribution; with ties an upper bound.

    Equal sizes: the closed form of Gnedenko and Korolyuk (1951), O(n / steps). Otherwise lattice paths are counted that leave the band
    |i/n - j/m| < D (Hodges 1957, The significance probability of the Smirnov two-sample test, Arkiv foer Matematik 3), O(n m) in min(n, m)
    vector operations. Only positive numbers are added, so small p-values keep their relative precision.
    """
    if steps <= 0:
        return 1.0
    found = _reflected(n, steps // n) if n == m else _leaving(min(n, m), max(n, m), steps)
    return min(1.0, max(SMALLEST, found))


def limiting_p_value(n: int, m: int, steps: int) -> float:
    """The same by Kolmogorov's limiting distribution, for large samples.

    Takes the finite-size factor of Stephens (1970, Journal of the Royal Statistical Society B 32), sqrt(e) + 0.12 + 0.11 / sqrt(e) with
    e = n m / (n + m), at half a step of the statistic's lattice below D. Within 6 % of the exact value for p in [0.01, 0.2] from 200 values
    on, mostly above it.
    """
    from scipy.special import kolmogorov

    root = math.sqrt(n * m / (n + m))
    distance = (steps - math.gcd(n, m) / 2) / (n * m)
    if distance <= 0:
        return 1.0
    return min(1.0, max(SMALLEST, float(kolmogorov(distance * (root + 0.12 + 0.11 / root)))))


def _reflected(n: int, height: int) -> float:
    """Paths of 2 n steps that reach ``height`` on either side: 2 (C(2n, n-h) - C(2n, n-2h) + ...) / C(2n, n)."""
    from scipy.special import gammaln

    reach = np.arange(height, n + 1, height)
    terms = np.exp(2 * gammaln(n + 1) - gammaln(n - reach + 1) - gammaln(n + reach + 1))
    terms[1::2] *= -1
    return 2 * float(terms.sum())


def _leaving(n: int, m: int, steps: int) -> float:
    """The share of lattice paths from (0, 0) to (n, m) that leave the band, row by row, each at its first point outside."""
    factorials = _log_factorials(n + m)
    total = factorials[n + m] - factorials[n] - factorials[m]
    rows = np.arange(n + 1)
    low = np.maximum((rows * m - steps) // n + 1, 0)
    high = np.minimum(-(-(rows * m + steps) // n) - 1, m)

    def log_share(row: int, column: NDArray[np.int64]) -> NDArray[np.float64]:
        """The share of all paths that one path into (row, column) stands for."""
        down, right = n - row, m - column
        share: NDArray[np.float64] = factorials[down + right] - factorials[down] - factorials[right] - total
        return share

    left, scale = 0.0, 0.0
    paths = np.zeros(0)
    for row in range(n + 1):
        first, last = int(low[row]), int(high[row])
        begun = int(low[row - 1]) if row else 0
        gone, kept = paths[: first - begun], paths[first - begun :]
        if gone.size:
            left += float((gone * np.exp(log_share(row, np.arange(begun, begun + gone.size)) + scale)).sum())
        entering = np.zeros(max(last - first + 1, 0))
        entering[: kept.size] = kept
        if row == 0:
            entering[0] = 1.0
        paths = np.cumsum(entering)
        if not paths.size:
            break
        if last < m:
            left += float(paths[-1] * np.exp(log_share(row, np.array(last + 1)) + scale))
        if paths[-1] > _RESCALE:
            scale += math.log(paths[-1])
            paths /= paths[-1]
    return left


def _log_factorials(largest: int) -> NDArray[np.float64]:
    return np.concatenate([np.zeros(1), np.cumsum(np.log(np.arange(1, largest + 1)))])
