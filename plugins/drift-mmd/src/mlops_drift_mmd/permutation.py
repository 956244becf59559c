"""Permutations of the pooled sample, and p-values by them.

The first of ``1 + B`` labellings is the one seen. Exact where the statistic is a function of the pooled rows and their labels only, for
then all labellings are equally likely if both samples have one distribution (Hemerik & Goeman 2018, Exact testing with random
permutations, TEST 27).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

__all__ = ["TIE", "p_value", "signs"]

TIE: Final = 1e-7
"""Statistics this close, relative to the kernel, are equal: it is in single precision. Ties raise a p-value, never lower it."""


def signs(n: int, m: int, permutations: int, rng: Generator) -> NDArray[np.int8]:
    """Labellings (1 + permutations, n + m) of the pooled rows: 1 for the reference, -1 for the current sample."""
    seen = np.repeat(np.array([1, -1], dtype=np.int8), [n, m])
    labels = np.tile(seen, (1 + permutations, 1))
    rng.permuted(labels[1:], axis=1, out=labels[1:])
    return labels


def p_value(statistics: NDArray[Any], tie: float = TIE) -> float:
    """(1 + b) / (1 + B): the share of labellings whose statistic is at least that of the first, itself included; ``tie`` apart is equal."""
    return float(np.mean(statistics >= statistics[0] - tie))
