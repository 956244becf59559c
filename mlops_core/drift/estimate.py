"""A binary classifier's metrics without labels, from its own probabilities.

Confidence-based performance estimation (Guillory et al. 2021, Predicting with confidence on unseen distributions, ICCV; Bialek et al. 2024,
Estimating model performance under covariate shift without labels, arXiv 2401.08348): where probabilities are calibrated and the label still
follows from the features as it did, they tell how often the model is right on data whose labels nobody knows yet.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np
from attrs import evolve, frozen
from numpy.typing import NDArray

from mlops_core.drift.calibration import Recalibration, is_calibrated
from mlops_core.drift.metrics import compare_intervals, compare_metrics
from mlops_core.drift.table import read_values
from mlops_core.exceptions import DriftDetectionError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.random import Generator

    from mlops_core.drift.results import ModelDrift

__all__ = ["ESTIMATED", "Scores", "estimate_metrics"]

_ROUNDS: Final = 400
_FEWEST: Final = 200
_MOST_REFERENCE: Final = 50_000
_OUTSIDE: Final = 0.05
_TAIL: Final = 2.5  # per cent on either side of the interval
_CLIP: Final = 1e-15
_HALF: Final = 0.5


@frozen(eq=False)
class Scores:
    """Probabilities of class 1, and what follows from them whatever the labels are."""

    probabilities: NDArray[np.float64]

    @cached_property
    def answers(self) -> NDArray[np.bool_]:
        """The classes that are predicted."""
        found: NDArray[np.bool_] = self.probabilities >= _HALF
        return found

    @cached_property
    def ranks(self) -> NDArray[np.float64]:
        """From 1 on, the mean rank of equal ones."""
        _, place, counts = np.unique(self.probabilities, return_inverse=True, return_counts=True)
        found: NDArray[np.float64] = (np.cumsum(counts) - (counts - 1) / 2)[place]
        return found


Metric: TypeAlias = "Callable[[NDArray[np.float64], Scores], float]"


def estimate_metrics(
    reference: tuple[Any, Any], probabilities: Any, *, metrics: Any, threshold: Any, relative: Any, rng: Generator
) -> ModelDrift:
    """Compare metrics of a labelled reference with those estimated for current data, by 95 % intervals.

    The interval holds the chance of the labels given the probabilities, and what the size of the reference leaves open of the calibration,
    by a bootstrap. Drift is a loss beyond ``threshold`` at every value of the interval.

    Args:
        reference: Labels 0 and 1, and the probabilities of 1 that the model gave; at least 200 rows.
        probabilities: Those of the current rows.
        metrics: Names among ``ESTIMATED``.
        threshold: See ``compare_metrics``.
        relative: The same.
        rng: The source of chance.

    Raises:
        DriftDetectionError: What is given are no labels or probabilities, or a metric is unknown.
    """
    names = _names(metrics)
    labels, before = _labels(reference[0]), _probabilities("reference", reference[1])
    after = _probabilities("current", probabilities)
    if len(labels) != len(before):
        raise DriftDetectionError(f"drift: reference data: {len(labels)} labels and {len(before)} probabilities - give one for each label")
    scores = Scores(before)
    known = {name: ESTIMATED[name](labels, scores) for name in names}
    withheld = _why_not(labels, before, after, rng)
    if withheld:
        unknown = compare_metrics(known, known, threshold=threshold, relative=relative, directions=None)
        return evolve(unknown, degradation={}, current_metrics={}, estimated=True, withheld=withheld)
    return _judge(known, _draws(names, labels, before, after, rng), threshold=threshold, relative=relative)


def _judge(known: Mapping[str, float], drawn: Mapping[str, NDArray[np.float64]], *, threshold: Any, relative: Any) -> ModelDrift:
    middle = {name: float(values.mean()) for name, values in drawn.items()}
    ends = {name: (float(np.percentile(values, _TAIL)), float(np.percentile(values, 100 - _TAIL))) for name, values in drawn.items()}
    return evolve(compare_intervals(known, middle, ends, threshold=threshold, relative=relative), estimated=True)


def _draws(
    names: Sequence[str], labels: NDArray[np.float64], before: NDArray[np.float64], after: NDArray[np.float64], rng: Generator
) -> dict[str, NDArray[np.float64]]:
    """The metrics of labels drawn from the probabilities, each time after a recalibration on rows drawn anew."""
    if len(labels) > _MOST_REFERENCE:
        some = rng.choice(len(labels), _MOST_REFERENCE, replace=False)
        labels, before = labels[some], before[some]
    scores, whole = Scores(after), Recalibration(before, labels)
    drawn = {name: np.empty(_ROUNDS) for name in names}
    for place in range(_ROUNDS):
        weights = np.bincount(rng.integers(0, len(labels), len(labels)), minlength=len(labels)).astype(np.float64)
        likely = Recalibration(before, labels, weights, near=whole)(after)
        outcomes = (rng.random(len(after)) < likely).astype(np.float64)
        for name in names:
            drawn[name][place] = ESTIMATED[name](outcomes, scores)
    return drawn


def _why_not(labels: NDArray[np.float64], before: NDArray[np.float64], after: NDArray[np.float64], rng: Generator) -> str:
    """What is wrong with the assumptions that can be looked at; empty for nothing."""
    if len(labels) < _FEWEST or not 0 < labels.mean() < 1:
        return f"the reference needs {_FEWEST} rows with labels of both classes"
    outside = float(((after < before.min()) | (after > before.max())).mean())
    if outside > _OUTSIDE:
        return f"{outside:.0%} of the current probabilities lie beyond those of the reference"
    if not is_calibrated(before, labels, rng):
        return "the probabilities are not calibrated, and a logistic recalibration does not mend it"
    return ""


def _names(metrics: Any) -> tuple[str, ...]:
    names = (metrics,) if isinstance(metrics, str) else tuple(metrics) if isinstance(metrics, list | tuple) else ()
    for name in names or (metrics,):
        if not isinstance(name, str) or name not in ESTIMATED:
            raise DriftDetectionError(f"drift: metrics: {name!r:.40} cannot be estimated - name some of {', '.join(ESTIMATED)}")
    return names


def _labels(data: Any) -> NDArray[np.float64]:
    column = read_values("reference", data, "labels")
    if column.missing or column.kind not in {"number", "boolean"} or not np.isin(column.data, (0, 1)).all():
        raise DriftDetectionError("drift: reference labels: expected 0 and 1 (or False and True) only - give one per row")
    return column.data.astype(np.float64)


def _probabilities(side: str, data: Any) -> NDArray[np.float64]:
    column = read_values(side, data, "probabilities")
    if column.missing or column.kind != "number" or ((column.data < 0) | (column.data > 1)).any():
        raise DriftDetectionError(f"drift: {side} probabilities: expected numbers in [0, 1] - give those of class 1, one per row")
    values: NDArray[np.float64] = column.data
    return values


def _accuracy(labels: NDArray[np.float64], given: Scores) -> float:
    return float((labels == given.answers).mean())


def _precision(labels: NDArray[np.float64], given: Scores) -> float:
    return float((labels * given.answers).sum() / max(given.answers.sum(), 1))


def _recall(labels: NDArray[np.float64], given: Scores) -> float:
    return float((labels * given.answers).sum() / max(labels.sum(), 1))


def _f1(labels: NDArray[np.float64], given: Scores) -> float:
    return float(2 * (labels * given.answers).sum() / max(labels.sum() + given.answers.sum(), 1))


def _roc_auc(labels: NDArray[np.float64], given: Scores) -> float:
    """By ranks (Hanley & McNeil 1982); of one class only, as of no knowledge."""
    positive = float(labels.sum())
    negative = len(labels) - positive
    if not positive or not negative:
        return 0.5
    return (float(given.ranks @ labels) - positive * (positive + 1) / 2) / (positive * negative)


def _brier(labels: NDArray[np.float64], given: Scores) -> float:
    return float(((labels - given.probabilities) ** 2).mean())


def _log_loss(labels: NDArray[np.float64], given: Scores) -> float:
    clipped = np.clip(given.probabilities, _CLIP, 1 - _CLIP)
    return float(-(labels * np.log(clipped) + (1 - labels) * np.log(1 - clipped)).mean())


ESTIMATED: Final[Mapping[str, Metric]] = {
    "accuracy": _accuracy,
    "precision": _precision,
    "recall": _recall,
    "f1": _f1,
    "roc_auc": _roc_auc,
    "brier": _brier,
    "log_loss": _log_loss,
}
"""What can be estimated."""
