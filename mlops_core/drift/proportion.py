"""Whether two shares differ: of missing values, or of errors."""

from __future__ import annotations

import math
import sys
from typing import Final

from mlops_core.records import TestOutcome

__all__ = ["compare_shares"]

_LARGEST_SUPPORT: Final = 100_000
_ROUNDING: Final = 1 + 1e-7


def compare_shares(before: int, n: int, after: int, m: int) -> TestOutcome:
    """Test ``before`` of n against ``after`` of m, two-sided.

    Fisher's exact test (Fisher 1922), which never rejects more often than it says; where more than 100,000 tables have the same margins,
    the chi-square test in its N - 1 form (Campbell 2007, Statistics in Medicine 26), which is then the same for practical purposes. The
    statistic is the difference of the shares, current minus reference; the effect size its absolute value.
    """
    difference = after / m - before / n
    support = min(before + after, n, m, n + m - before - after)
    if support <= _LARGEST_SUPPORT:
        p_value, method = _fisher(before, n, after, m), "Fisher's exact test"
    else:
        p_value, method = _chi_square(before, n, after, m), "chi-square test of two shares"
    return TestOutcome(difference, min(1.0, max(sys.float_info.min, p_value)), abs(difference), method, n, m)


def _fisher(before: int, n: int, after: int, m: int) -> float:
    """The probability of all tables with these margins that are no more likely than this one."""
    import numpy as np

    hits = before + after
    counts = np.arange(max(0, hits - m), min(n, hits) + 1, dtype=np.float64)
    steps = np.log((n - counts[:-1]) * (hits - counts[:-1]) / ((counts[:-1] + 1) * (m - hits + counts[:-1] + 1)))
    logs = np.concatenate([np.zeros(1), np.cumsum(steps)])
    weights = np.exp(logs - logs.max())
    seen = weights[before - int(counts[0])]
    return float(weights[weights <= seen * _ROUNDING].sum() / weights.sum())


def _chi_square(before: int, n: int, after: int, m: int) -> float:
    total, hits = n + m, before + after
    spread = (hits / total) * (1 - hits / total) * (1 / n + 1 / m) * total / (total - 1)
    return math.erfc(abs(after / m - before / n) / math.sqrt(2 * spread))
