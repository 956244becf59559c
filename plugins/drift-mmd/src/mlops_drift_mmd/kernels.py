"""Gaussian and Laplace kernels, and bandwidths from the pooled sample."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
from attrs import frozen

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.random import Generator
    from numpy.typing import NDArray

    Metric = Literal["euclidean", "cityblock"]

__all__ = ["Kernel", "collection", "distances", "exponents", "factors", "width"]

_ENOUGH: Final = 1000
_FEW: Final = 400
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


def factors(metric: Metric, points: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What ``exponents`` takes rows of, for all pairs of these points: (x, -|x|^2 / 2, 1) and (y, 1, -|y|^2 / 2), whose product it is."""
    if metric == "cityblock":
        return points, points
    half, one = np.einsum("id,id->i", points, points) / -2, np.ones(len(points))
    return np.column_stack([points, half, one]), np.column_stack([points, one, half])


def exponents(metric: Metric, left: Any, right: Any, xp: Any) -> Any:
    """The logarithm of a metric's kernel of bandwidth 1, (rows of left, rows of right); above 0 by rounding only."""
    return left @ right.T if metric == "euclidean" else _cityblock(left, right, xp) * -math.sqrt(2)


def _cityblock(left: Any, right: Any, xp: Any) -> Any:
    if isinstance(left, np.ndarray):  # in one pass over the result, where the standard has none
        from scipy.spatial.distance import cdist

        return cdist(left, right, "cityblock")
    apart = xp.abs(left[:, 0, None] - right[None, :, 0])
    for column in range(1, left.shape[1]):
        apart += xp.abs(left[:, column, None] - right[None, :, column])
    return apart


def distances(points: NDArray[np.float64], metric: Metric, rng: Generator, most: int = _ENOUGH) -> NDArray[np.float64]:
    """The positive distances between pooled points, 1 where there are none; of 1,000 points drawn at random where there are more.

    The points are drawn whatever their sample, so a bandwidth made of these distances keeps a permutation test exact.
    """
    from scipy.spatial.distance import pdist

    some = points if len(points) <= most else points[rng.choice(len(points), most, replace=False)]
    found: NDArray[np.float64] = pdist(some, metric)
    found = found[found > _SMALLEST]
    return found if found.size else np.ones(1)


def width(points: NDArray[np.float64], unit: float, wanted: float | None, rng: Generator) -> float:
    """The bandwidth wanted, in units of the points; or by the median heuristic their median distance (Gretton et al. 2012, section 8).

    The median of 400 points is enough: it is off by 3 % (standard deviation, one column; 0.6 % of 32), which no kernel feels.
    """
    return float(np.median(distances(points, "euclidean", rng, _FEW))) if wanted is None else max(wanted / unit, _SMALLEST)


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
