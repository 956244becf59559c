"""Squared maximum mean discrepancies of every labelling, from one pass over the pooled kernel matrix."""

from __future__ import annotations

from itertools import combinations_with_replacement, groupby
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from mlops_drift_mmd.arrays import NUMPY, Library
from mlops_drift_mmd.kernels import exponents, factors
from mlops_drift_mmd.permutation import TIE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from mlops_drift_mmd.kernels import Kernel, Metric

__all__ = ["Discrepancies", "discrepancies", "unbiased"]

_LEAST: Final = -40.0  # of the exponents: smaller kernel values add nothing, and those below 1e-38 would slow products tenfold


@frozen(eq=False)
class Discrepancies:
    """Of each kernel: the unbiased squared discrepancy by labelling (kernels, labellings), and the mean square of k(z, z'), z not z'."""

    squared: NDArray[np.float64]
    mean_square: NDArray[np.float64]

    @property
    def ties(self) -> NDArray[np.float64]:
        """How far apart equal discrepancies of each kernel (kernels,) may come out by rounding."""
        return TIE * np.sqrt(self.mean_square)


def discrepancies(
    points: NDArray[np.float64], kernels: Sequence[Kernel], labels: NDArray[np.int8], library: Library = NUMPY
) -> Discrepancies:
    """Squared discrepancies of pooled points (N, d) under each kernel and each row of labels (1 + B, N), see ``permutation.signs``.

    With s a labelling and K the kernel matrix without its diagonal, s'Ks and s'K1 are all that a labelling adds to 1'K1, so each tile of
    K is multiplied once by the labels of all permutations. Only tiles on and above the diagonal are computed. Distances are in double
    precision; kernel values and their products, in single, err by less than 1e-6. Time O(N^2 (d + kernels B)), memory O(N (d + B)).
    """
    xp, put, (rounds, size) = library.xp, library.put, labels.shape
    quadratic, rows, squares = (put(np.zeros((len(kernels), width)), "float64") for width in (rounds, size, 1))
    most = min(library.tile, size)
    blocks = [slice(start, min(start + most, size)) for start in range(0, size, most)]
    beside = np.ones((most, most), dtype=np.float32)
    np.fill_diagonal(beside, 0.0)
    beside, ones = put(beside, "float32"), put(np.ones(most), "float32")
    sides = {metric: [put(side, "float64") for side in factors(metric, points)] for metric in {kernel.metric for kernel in kernels}}
    signed = put(labels, "int8")
    for left, right in combinations_with_replacement(blocks, 2):
        above, below = put(signed[:, left], "float32"), put(signed[:, right], "float32")
        twice, height = 1 if left == right else 2, left.stop - left.start
        for place, tile in enumerate(_values(sides, left, right, kernels, library)):
            if twice == 1:
                tile *= beside[:height, :height]  # noqa: PLW2901  in place
            product = above @ tile
            product *= below
            quadratic[place, :] += twice * xp.sum(product, axis=1)
            rows[place, left] += xp.sum(tile, axis=1)
            squares[place, :] += twice * xp.tensordot(tile, tile, axes=2)
            if twice == 2:  # noqa: PLR2004  the tile's mirror image below the diagonal
                rows[place, right] += ones[:height] @ tile
    quadratic, rows, squares = map(library.get, (quadratic, rows, squares))
    linear = sum(rows[:, block] @ labels[:, block].T for block in blocks)
    n = int((labels[0] > 0).sum())
    return Discrepancies(unbiased(quadratic, linear, rows.sum(axis=1)[:, None], n, size - n), squares[:, 0] / (size * (size - 1)))


def unbiased(quadratic: Any, linear: Any, total: Any, n: int, m: int) -> Any:
    """The unbiased estimate of MMD^2 (Gretton et al. 2012, lemma 6) from s'Ks, s'K1 and 1'K1; it may be negative.

    Its mean is 0 without a change whatever n and m, which that of the biased one is not; with unequal sizes the two order labellings
    differently.
    """
    within = (total + quadratic) / 2
    across = (total - quadratic) / 4
    return (within + linear) / (2 * n * (n - 1)) + (within - linear) / (2 * m * (m - 1)) - 2 * across / (n * m)


def _values(sides: Mapping[Metric, Sequence[Any]], left: slice, right: slice, kernels: Sequence[Kernel], library: Library) -> Iterator[Any]:
    """The tile of each kernel in turn; kernels of one metric share its distances."""

    def metric(kernel: Kernel) -> Metric:
        return kernel.metric

    xp = library.xp
    for name, alike in groupby(kernels, key=metric):
        above, below = sides[name]
        logarithms = library.put(exponents(name, above[left, :], below[right, :], xp), "float32")
        for kernel in alike:
            yield xp.exp(xp.clip(logarithms * kernel.rate, _LEAST, 0.0))
