"""Corrections of p-values for their number."""

from __future__ import annotations

import difflib
from itertools import accumulate
from typing import TYPE_CHECKING, Final

from mlops_core.exceptions import DriftDetectionError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["CORRECTIONS", "adjust"]


def adjust(p_values: Sequence[float], correction: str) -> list[float]:
    """Adjusted p-values in the given order: those at most alpha are rejected at the level alpha of the correction's error rate.

    - ``benjamini-hochberg``: false discovery rate, for tests that are independent or positively dependent (Benjamini & Hochberg 1995).
    - ``benjamini-yekutieli``: false discovery rate under any dependence (Benjamini & Yekutieli 2001).
    - ``bonferroni``: probability of any false rejection, under any dependence (Bonferroni 1936).
    - ``holm``: the same, never less powerful (Holm 1979).
    - ``none``: p-values as they are.

    If nothing changed, every false rejection is a false discovery, so each correction bounds the probability of a false alarm.

    Raises:
        DriftDetectionError: The correction is unknown.
    """
    name = str(correction)
    if name not in CORRECTIONS:
        near = difflib.get_close_matches(name, CORRECTIONS, 1, 0.0)[0]
        raise DriftDetectionError(f"drift: correction {correction!r} is not known - did you mean {near!r}? (of {', '.join(CORRECTIONS)})")
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    adjusted = CORRECTIONS[name]([p_values[place] for place in order])
    answer = [0.0] * len(order)
    for place, value in zip(order, adjusted, strict=True):
        answer[place] = min(1.0, value)
    return answer


def _benjamini_hochberg(ordered: Sequence[float], factor: float = 1.0) -> list[float]:
    """The least of p * count / rank over this rank and all above it."""
    count = len(ordered)
    scaled = [value * count * factor / rank for rank, value in enumerate(ordered, 1)]
    return list(accumulate(reversed(scaled), min))[::-1]


def _benjamini_yekutieli(ordered: Sequence[float]) -> list[float]:
    return _benjamini_hochberg(ordered, sum(1 / rank for rank in range(1, len(ordered) + 1)))


def _bonferroni(ordered: Sequence[float]) -> list[float]:
    return [value * len(ordered) for value in ordered]


def _holm(ordered: Sequence[float]) -> list[float]:
    """The largest of p * (how many are not smaller) over this rank and all below it."""
    return list(accumulate((value * (len(ordered) - place) for place, value in enumerate(ordered)), max))


CORRECTIONS: Final[dict[str, Callable[[Sequence[float]], list[float]]]] = {
    "benjamini-hochberg": _benjamini_hochberg,
    "benjamini-yekutieli": _benjamini_yekutieli,
    "bonferroni": _bonferroni,
    "holm": _holm,
    "none": list,
}
