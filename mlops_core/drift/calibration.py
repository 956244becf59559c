"""Probabilities of a binary classifier brought in line with labels by a logistic recalibration (Cox 1958, Platt 1999)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

__all__ = ["Recalibration", "is_calibrated"]

_CLIP: Final = 1e-6
_STEPS: Final = 25
_PRIOR: Final = 1e-3
_GROUPS: Final = 10
_ROUNDS: Final = 199
_ENOUGH: Final = 5000
_NEAR: Final = 1e-9
_LEVEL: Final = 0.01
_HARMLESS: Final = 0.01


class Recalibration:
    """q = 1 / (1 + exp(-(a + b logit(p)))), fitted by maximum likelihood with a faint prior towards b = 1 and a = 0.

    ``weights`` count the rows, for a bootstrap; from one ``near`` to it a fit needs half the steps.
    """

    __slots__ = ("slope",)

    slope: NDArray[np.float64]
    """a and b."""

    def __init__(
        self,
        probabilities: NDArray[np.float64],
        labels: NDArray[np.float64],
        weights: NDArray[np.float64] | None = None,
        *,
        near: Recalibration | None = None,
    ) -> None:
        logits = _logits(probabilities)
        counts = np.ones(len(labels)) if weights is None else weights
        aim = np.array([0.0, 1.0])

        def look(slope: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
            """The loss, and what the rows' probabilities become."""
            score = slope[0] + slope[1] * logits
            small = np.exp(-np.abs(score))
            misfit = np.maximum(score, 0) + np.log(1 + small) - labels * score
            return float(counts @ misfit + _PRIOR / 2 * ((slope - aim) ** 2).sum()), np.where(score < 0, small, 1) / (1 + small)

        slope = aim if near is None else near.slope
        least, found = look(slope)
        for _ in range(_STEPS):
            off, heft = counts * (labels - found), counts * found * (1 - found)
            lean = heft * logits
            across = lean.sum()
            gradient = np.array([off.sum(), off @ logits]) - _PRIOR * (slope - aim)
            step = np.linalg.solve([[heft.sum() + _PRIOR, across], [across, lean @ logits + _PRIOR]], gradient)
            while (seen := look(slope + step))[0] > least and np.abs(step).max() > _NEAR:
                step = step / 2  # Newton's method may overshoot
            slope, (least, found) = slope + step, seen
            if np.abs(step).max() <= _NEAR:
                break
        self.slope = slope

    def __call__(self, probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
        """The probabilities, recalibrated."""
        score = self.slope[0] + self.slope[1] * _logits(probabilities)
        found: NDArray[np.float64] = 1 / (1 + np.exp(-np.clip(score, -700, 700)))
        return found


def _logits(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    clipped = np.clip(probabilities, _CLIP, 1 - _CLIP)
    return np.asarray(np.log(clipped / (1 - clipped)))


def is_calibrated(probabilities: NDArray[np.float64], labels: NDArray[np.float64], rng: Generator) -> bool:
    """Whether a recalibration fits the labels, by groups of equal size (Hosmer & Lemeshow 1980).

    False where that is rejected at 0.01 and the groups are off by more than 0.01 on average, less than which does no harm. The null
    distribution is simulated with a recalibration of each draw (a parametric bootstrap). At most 5,000 rows are looked at.
    """
    some = rng.permutation(len(labels))[:_ENOUGH]
    given = probabilities[some][np.argsort(probabilities[some], kind="stable")]
    seen = labels[some][np.argsort(probabilities[some], kind="stable")]
    starts = np.unique(np.arange(_GROUPS) * len(given) // _GROUPS)

    def misfit(outcomes: NDArray[np.float64]) -> tuple[float, NDArray[np.float64], float]:
        told = Recalibration(given, outcomes)(given)
        off = np.add.reduceat(outcomes - told, starts)
        spread = np.maximum(np.add.reduceat(told * (1 - told), starts), 1e-12)
        return float((off**2 / spread).sum()), told, float(np.abs(off).sum() / len(told))

    worst, told, off_on_average = misfit(seen)
    if off_on_average <= _HARMLESS:
        return True
    beyond = 0
    for _ in range(_ROUNDS):
        beyond += misfit((rng.random(len(told)) < told).astype(np.float64))[0] >= worst
        if (1 + beyond) / (1 + _ROUNDS) > _LEVEL:
            return True
    return False
