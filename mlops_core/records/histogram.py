"""Mergeable histogram of latencies with a bounded relative error.

Buckets grow geometrically as in DDSketch (Masson, Rim and Lee: "DDSketch: A fast and fully-mergeable quantile sketch with relative-error
guarantees", PVLDB 12(12), 2019), by the factor g = 2 ** (1/32): bucket ``i`` holds (g ** (i - 1), g ** i] seconds. A value read back from
its bucket is at most (g - 1) / (g + 1) = 1.09 % off, for every value from 1 ns to 136 years; counts are exact, and two histograms merge by
adding their counts.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = [
    "BUCKETS_PER_DOUBLING",
    "RELATIVE_ERROR",
    "ZERO",
    "bucket",
    "histogram_of",
    "merge_counts",
    "quantile",
    "upper_bound",
    "value_of",
]

BUCKETS_PER_DOUBLING: Final = 32
_GROWTH: Final = 2.0 ** (1 / BUCKETS_PER_DOUBLING)
RELATIVE_ERROR: Final = (_GROWTH - 1) / (_GROWTH + 1)
ZERO: Final = -30 * BUCKETS_PER_DOUBLING  # whatever is below 2 ** -30 s, about 1 ns
_TOP: Final = 32 * BUCKETS_PER_DOUBLING
_SMALLEST: Final = 2.0**-30
_MANY: Final = 256  # from here on numpy is faster, its import apart
_ROUNDING: Final = 1e-9  # 0.07 * 100 is a little more than 7


def bucket(seconds: float) -> int:
    """The bucket of a latency: a finite number of seconds >= 0."""
    if seconds <= _SMALLEST:
        return ZERO
    return min(math.ceil(math.log2(seconds) * BUCKETS_PER_DOUBLING), _TOP)


def histogram_of(seconds: Sequence[float]) -> dict[int, int]:
    """Counts by bucket, in the order of the buckets; many at once by numpy, whose logarithm may put a bound of two buckets into either."""
    if len(seconds) < _MANY:
        return dict(sorted(Counter(map(bucket, seconds)).items()))
    import numpy as np

    values = np.maximum(np.array(seconds, dtype=np.float64), _SMALLEST)
    found = np.clip(np.ceil(np.log2(values) * BUCKETS_PER_DOUBLING), ZERO, _TOP).astype(np.int64)
    least = int(found.min())
    counts = np.bincount(found - least)
    (places,) = counts.nonzero()
    return dict(zip((places + least).tolist(), counts[places].tolist(), strict=True))


def upper_bound(index: int) -> float:
    """The largest latency of a bucket, in seconds."""
    return float(2.0 ** (index / BUCKETS_PER_DOUBLING))


def value_of(index: int) -> float:
    """The latency that stands for a bucket, in seconds: as far, relatively, from its lower as from its upper end."""
    return 0.0 if index <= ZERO else upper_bound(index) * 2 / (1 + _GROWTH)


def merge_counts(histograms: Iterable[Mapping[int, int]]) -> dict[int, int]:
    """Add histograms, bucket by bucket, in the order of the buckets."""
    merged: dict[int, int] = {}
    for histogram in histograms:
        for index, count in histogram.items():
            merged[index] = merged.get(index, 0) + count
    return dict(sorted(merged.items()))


def quantile(histogram: Mapping[int, int], q: float) -> float | None:
    """The smallest latency that a share ``q`` of all does not exceed (nearest rank), within ``RELATIVE_ERROR``; None of an empty histogram.

    Raises:
        ValueError: ``q`` is not in [0, 1].
    """
    if not 0 <= q <= 1:
        raise ValueError(f"quantile: {q!r} is not in [0, 1]")
    total = sum(histogram.values())
    behind = max(1, math.ceil(q * total - _ROUNDING))
    for index in sorted(histogram):
        behind -= histogram[index]
        if behind <= 0:
            return value_of(index)
    return None
