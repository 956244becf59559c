"""Metrics by name: what of a model each one needs, and how it is computed.

Values are those of ``sklearn.metrics`` under their usual sign: an error or a loss is positive, and smaller is better. Of two classes the
second in sorted order is the positive one; with more, ``precision``, ``recall`` and ``f1`` are macro averages, ``roc_auc`` is one against
the rest weighted by class.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from mlops_core.exceptions import PipelineError
from mlops_stage_tabular.tables import nearest, one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

__all__ = ["CLASSIFICATION", "REGRESSION", "check_names", "chosen", "score"]

_TWO: Final = 2
_LISTED: Final = 12
_BY_LABEL: Final = ("accuracy", "balanced_accuracy", "precision", "recall", "f1")
_BY_RANK: Final = ("roc_auc", "average_precision")
_BY_PROBABILITY: Final = ("log_loss", "brier")
CLASSIFICATION: Final = (*_BY_RANK, *_BY_PROBABILITY, *_BY_LABEL)
REGRESSION: Final = ("mae", "rmse", "r2", "median_absolute_error", "mape")


def chosen(names: Sequence[str], model: Any, classes: int, stage: str) -> tuple[str, ...]:
    """The metrics to compute: those named, else all that the model and its number of classes (0: a regression) allow.

    Raises:
        PipelineError: The model cannot answer what the metric needs.
    """
    fitting = tuple(name for name in (CLASSIFICATION if classes else REGRESSION) if not _hindrance(name, model, classes))
    for name in names:
        if name not in fitting:
            raise PipelineError(f"{stage}: metrics: no {name}: {_hindrance(name, model, classes)} - choose among {', '.join(fitting)}")
    return tuple(names) or fitting


def check_names(_stage: object, _field: object, names: Iterable[str]) -> None:
    """Validator of an option that names metrics; which of them fit the model is known only when it runs."""
    for name in names:
        if name not in CLASSIFICATION + REGRESSION:
            raise ValueError(f"no metric {name!r} - {nearest(name, CLASSIFICATION + REGRESSION)}")


def score(model: Any, rows: NDArray[Any], truth: NDArray[Any], names: Sequence[str], stage: str) -> dict[str, float]:
    """Each metric on rows (n, d) and their true labels or values (n,).

    Raises:
        PipelineError: The model cannot predict these rows, or a metric is not defined on them, such as ``roc_auc`` where all rows are of
            one class, or where they hold a class that the model has never seen.
    """
    classes = getattr(model, "classes_", None)
    try:
        if classes is None:
            guess = model.predict(rows)
            found = {name: _regression(name, truth, guess) for name in names}
        else:
            found = _of_classes(model, rows, truth, names, classes, stage)
    except PipelineError:
        raise
    except Exception as error:  # what an estimator raises on rows that it cannot take is its own affair
        raise PipelineError(f"{stage}: the model cannot be measured on the held-out rows: {one_line(error)}") from error
    for name, value in found.items():
        if not math.isfinite(value):
            raise PipelineError(f"{stage}: metrics: {name} is {value} on the held-out rows - hold out more rows, or name other metrics")
    return found


def _of_classes(
    model: Any, rows: NDArray[Any], truth: NDArray[Any], names: Sequence[str], classes: NDArray[Any], stage: str
) -> dict[str, float]:
    import numpy as np

    seen = np.unique(truth)
    unknown = np.setdiff1d(seen, classes)
    if len(unknown):
        told = ", ".join(map(str, unknown[:_LISTED]))
        raise PipelineError(f"{stage}: the held-out rows hold classes that the training rows do not: {told} - train on rows of every class")
    if len(seen) < len(classes) and {*names} & {*_BY_RANK}:
        told = ", ".join(map(str, np.setdiff1d(classes, seen)[:_LISTED]))
        raise PipelineError(
            f"{stage}: the held-out rows hold {len(seen)} of {len(classes)} classes, without {told} - hold out more rows, or later ones, "
            f"or name 'metrics' without {' and '.join(_BY_RANK)}"
        )
    probability = model.predict_proba(rows) if hasattr(model, "predict_proba") else None
    rank = probability if probability is not None else model.decision_function(rows) if {*names} & {*_BY_RANK} else None
    guess = model.predict(rows) if {*names} & {*_BY_LABEL} else None
    return {name: _classification(name, truth, guess, probability, rank, classes) for name in names}


def _hindrance(name: str, model: Any, classes: int) -> str:
    """Why a metric cannot be had, or nothing."""
    if (name in CLASSIFICATION) != bool(classes):
        return "the model is a regression" if not classes else "the model is a classification"
    if name in _BY_PROBABILITY and not hasattr(model, "predict_proba"):
        return "the model gives no probabilities"
    if name == "roc_auc" and not hasattr(model, "predict_proba") and (classes > _TWO or not hasattr(model, "decision_function")):
        return "the model gives no scores"
    if name == "average_precision" and not (hasattr(model, "predict_proba") or hasattr(model, "decision_function")):
        return "the model gives no scores"
    if name in {"average_precision", "brier"} and classes > _TWO:
        return f"the target has {classes} classes"
    return ""


def _classification(name: str, truth: Any, guess: Any, probability: Any, rank: Any, classes: Any) -> float:
    from sklearn import metrics

    two = len(classes) == _TWO
    positive = truth == classes[-1]
    options: dict[str, Any] = {}
    if name == "roc_auc" and not two:
        value = metrics.roc_auc_score(truth, rank, multi_class="ovr", average="weighted", labels=classes)
    elif name in _BY_RANK:
        value = getattr(metrics, f"{name}_score")(positive, rank[:, 1] if rank.ndim == _TWO else rank)
    elif name == "log_loss":
        value = metrics.log_loss(truth, probability, labels=classes)
    elif name == "brier":
        value = metrics.brier_score_loss(positive, probability[:, 1])
    else:
        if name in {"precision", "recall", "f1"}:
            options = {"zero_division": 0.0, **({"average": "binary", "pos_label": classes[-1]} if two else {"average": "macro"})}
        value = getattr(metrics, f"{name}_score")(truth, guess, **options)
    return float(value)


def _regression(name: str, truth: Any, guess: Any) -> float:
    from sklearn import metrics

    functions = {
        "mae": metrics.mean_absolute_error,
        "rmse": metrics.root_mean_squared_error,
        "r2": metrics.r2_score,
        "median_absolute_error": metrics.median_absolute_error,
        "mape": metrics.mean_absolute_percentage_error,
    }
    return float(functions[name](truth, guess))
