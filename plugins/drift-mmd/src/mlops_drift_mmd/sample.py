"""The two samples as one pooled sample: fewer rows, and columns of comparable scale.

Nothing here looks at which sample a row came from, so a permutation test of what is answered stays exact.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

__all__ = ["scaled", "thinned"]

_NORMAL_RANGE: Final = 1.3489795  # interquartile range of a standard normal variable
_FARTHEST: Final = 1e6
_HEADROOM: Final = 0.25  # differences of the largest floats stay finite


def thinned(rows: NDArray[Any], most: int, rng: Generator) -> NDArray[np.float64]:
    """At most so many of the rows (n, d), drawn without replacement and kept in order."""
    if len(rows) <= most:
        return np.array(rows, dtype=np.float64)
    return np.asarray(rows[np.sort(rng.choice(len(rows), most, replace=False))], dtype=np.float64)


def scaled(pooled: NDArray[np.float64], *, standardise: bool) -> tuple[NDArray[np.float64], float]:
    """Points (N, d) around their median, and the length of their unit in the units of the data.

    ``standardise``: each column in its own unit, its interquartile range / 1.349 (the standard deviation of normal values, and unlike it
    not moved by a few outliers), where that is 0 its standard deviation; the length answered is 1. Otherwise all columns in the largest of
    these units. A value a million units from the median counts as that far, so that squares stay finite and precise.
    """
    quarter = pooled * _HEADROOM
    low, middle, high = np.quantile(quarter, [0.25, 0.5, 0.75], axis=0)
    apart = quarter - middle
    largest = np.abs(apart).max(axis=0)
    spread = (high - low) / _NORMAL_RANGE
    flat = spread == 0
    if flat.any():
        share = apart[:, flat] / np.where(largest[flat] > 0, largest[flat], 1.0)
        spread[flat] = share.std(axis=0) * largest[flat]
    if not standardise:
        spread[:] = spread.max()
    spread[spread == 0] = _HEADROOM
    with np.errstate(over="ignore"):
        points = np.clip(apart / spread, -_FARTHEST, _FARTHEST)
        unit = 1.0 if standardise else float(spread[0] / _HEADROOM)
    return points, unit
