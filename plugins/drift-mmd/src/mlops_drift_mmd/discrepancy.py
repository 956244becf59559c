"""Squared maximum mean discrepancies of every labelling, from one pass over the pooled kernel matrix."""

from __future__ import annotations

from itertools import combinations_with_replacement, groupby
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from mlops_drift_mmd.kernels import exponents
from mlops_drift_mmd.permutation import TIE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mlops_drift_mmd.kernels import Kernel, Metric

__all__ = ["Discrepancies", "discrepancies", "unbiased"]

_TILE: Final = 512  # rows and columns of the part of a kernel matrix that is in memory: 2 MB of exponents, 1 MB of kernel values
_LEAST: Final = np.float32(-40)  # of the exponents: smaller kernel values add nothing, and those below 1e-38 would slow products tenfold


@frozen(eq=False)
class Discrepancies:
    """Of each kernel: the unbiased squared discrepancy by labelling (kernels, labellings), and the mean square of k(z, z'), z not z'."""

    squared: NDArray[np.float64]
    mean_square: NDArray[np.float64]

    @property
    def ties(self) -> NDArray[np.float64]:
        """How far apart equal discrepancies of each kernel (kernels,) may come out by rounding."""
        return TIE * np.sqrt(self.mean_square)


def discrepancies(points: NDArray[np.float64], kernels: Sequence[Kernel], labels: NDArray[np.int8]) -> Discrepancies:
    """Squared discrepancies of pooled points (N, d) under each kernel and each row of labels (1 + B, N), see ``permutation.signs``.

    With s a labelling and K the kernel matrix without its diagonal, s'Ks and s'K1 are all that a labelling adds to 1'K1, so each tile of
    K is multiplied once by the labels of all permutations. Only tiles on and above the diagonal are computed. Distances are in double
    precision; kernel values and their products, in single, err by less than 1e-6. Time O(N^2 (d + kernels B)), memory O(N (d + B)).
    """
    count, (rounds, size) = len(kernels), labels.shape
    quadratic, rows, squares = np.zeros((count, rounds)), np.zeros((count, size)), np.zeros(count)
    blocks = [slice(start, min(start + _TILE, size)) for start in range(0, size, _TILE)]
    values = np.empty((_TILE, _TILE), dtype=np.float32)
    for left, right in combinations_with_replacement(blocks, 2):
        above, below = labels[:, left].astype(np.float32), labels[:, right].astype(np.float32)
        twice = 1 if left == right else 2
        for place, tile in enumerate(_values(points[left], points[right], kernels, values)):
            if twice == 1:
                np.fill_diagonal(tile, 0.0)
            quadratic[place] += twice * np.einsum("bj,bj->b", above @ tile, below)
            rows[place, left] += tile.sum(axis=1)
            squares[place] += twice * float(np.vdot(tile, tile))
            if twice == 2:  # noqa: PLR2004  the tile's mirror image below the diagonal
                rows[place, right] += np.ones(len(tile), dtype=np.float32) @ tile
    linear = sum(rows[:, block] @ labels[:, block].T for block in blocks)
    n = int((labels[0] > 0).sum())
    return Discrepancies(unbiased(quadratic, linear, rows.sum(axis=1)[:, None], n, size - n), squares / (size * (size - 1)))


def unbiased(quadratic: Any, linear: Any, total: Any, n: int, m: int) -> Any:
    """The unbiased estimate of MMD^2 (Gretton et al. 2012, lemma 6) from s'Ks, s'K1 and 1'K1; it may be negative.

    Its mean is 0 without a change whatever n and m, which that of the biased one is not; with unequal sizes the two order labellings
    differently.
    """
    within = (total + quadratic) / 2
    across = (total - quadratic) / 4
    return (within + linear) / (2 * n * (n - 1)) + (within - linear) / (2 * m * (m - 1)) - 2 * across / (n * m)


def _values(
    left: NDArray[np.float64], right: NDArray[np.float64], kernels: Sequence[Kernel], room: NDArray[np.float32]
) -> Iterator[NDArray[np.float32]]:
    """The tile of each kernel in turn, all in the same memory; kernels of one metric share its distances."""

    def metric(kernel: Kernel) -> Metric:
        return kernel.metric

    tile = room[: len(left), : len(right)]
    for name, alike in groupby(kernels, key=metric):
        logarithms = exponents(name, left, right)
        for kernel in alike:
            np.multiply(logarithms, kernel.rate, out=tile, casting="same_kind")
            yield np.exp(np.maximum(tile, _LEAST, out=tile), out=tile)
