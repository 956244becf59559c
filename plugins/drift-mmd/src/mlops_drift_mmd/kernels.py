"""Gaussian and Laplace kernels, and bandwidths from the pooled sample."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
from attrs import frozen

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.random import Generator
    from numpy.typing import NDArray

    Metric = Literal["euclidean", "cityblock"]

__all__ = ["Kernel", "collection", "distances", "exponents", "width"]

_ENOUGH: Final = 1000
_SMALLEST: Final = 1e-6


@frozen
class Kernel:
    """``euclidean``: Gaussian, exp(-|x - y|^2 / (2 s^2)); ``cityblock``: Laplace, exp(-sqrt(2) |x - y|_1 / s); s is the bandwidth."""

    metric: Literal["euclidean", "cityblock"]
    bandwidth: float

    @property
    def rate(self) -> float:
        """What ``exponents`` of the metric are multiplied by."""
        return self.bandwidth**-2 if self.metric == "euclidean" else self.bandwidth**-1


def exponents(metric: Metric, left: NDArray[np.float64], right: NDArray[np.float64]) -> NDArray[np.float64]:
    """The logarithm of a metric's kernel of bandwidth 1, (rows of left, rows of right)."""
    if metric == "cityblock":
        from scipy.spatial.distance import cdist

        laplace: NDArray[np.float64] = cdist(left, right, metric)
        laplace *= -np.sqrt(2)
        return laplace
    gaussian = left @ right.T
    gaussian -= np.einsum("id,id->i", left, left)[:, None] / 2
    gaussian -= np.einsum("id,id->i", right, right) / 2
    return np.minimum(gaussian, 0.0, out=gaussian)


def distances(points: NDArray[np.float64], metric: Metric, rng: Generator) -> NDArray[np.float64]:
    """The positive distances between pooled points, 1 where there are none; of 1,000 points drawn at random where there are more.

    The points are drawn whatever their sample, so a bandwidth made of these distances keeps a permutation test exact.
    """
    from scipy.spatial.distance import pdist

    some = points if len(points) <= _ENOUGH else points[rng.choice(len(points), _ENOUGH, replace=False)]
    found: NDArray[np.float64] = pdist(some, metric)
    found = found[found > _SMALLEST]
    return found if found.size else np.ones(1)


def width(points: NDArray[np.float64], unit: float, wanted: float | None, rng: Generator) -> float:
    """The bandwidth wanted, in units of the points; or by the median heuristic their median distance (Gretton et al. 2012, section 8)."""
    return float(np.median(distances(points, "euclidean", rng))) if wanted is None else max(wanted / unit, _SMALLEST)


def collection(points: NDArray[np.float64], bandwidths: int, spaced: Callable[..., NDArray[Any]], rng: Generator) -> Sequence[Kernel]:
    """Gaussian and Laplace kernels of so many bandwidths each, from half the 5 % to twice the 95 % quantile of the metric's distances.

    ``spaced``: ``np.linspace`` or ``np.geomspace``.
    """
    kernels = []
    metrics: tuple[Metric, ...] = ("euclidean", "cityblock")
    for metric in metrics:
        low, high = np.quantile(distances(points, metric, rng), [0.05, 0.95])
        kernels += [Kernel(metric, float(width)) for width in spaced(low / 2, high * 2, bandwidths)]
    return kernels
