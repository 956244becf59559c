"""Concept drift, seen by labels: whether the model errs more or less often than it did."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from attrs import frozen

from mlops_core.drift.proportion import compare_shares
from mlops_core.drift.results import ConceptDrift
from mlops_core.drift.table import read_values
from mlops_core.exceptions import DriftDetectionError

if TYPE_CHECKING:
    from mlops_core.drift.column import Column

__all__ = ["compare_errors"]


@frozen
class _Errors:
    wrong: int
    rows: int


def compare_errors(reference: tuple[Any, Any], current: tuple[Any, Any], *, threshold: float) -> ConceptDrift:
    """Compare the error rates of (labels, predictions) before and after, two-sided (see ``mlops_core.drift.proportion``).

    Raises:
        DriftDetectionError: Labels and predictions do not fit each other, a value is missing, or they are no classes.
    """
    before, after = _count("reference", *reference), _count("current", *current)
    outcome = compare_shares(before.wrong, before.rows, after.wrong, after.rows)
    return ConceptDrift(
        drift_detected=outcome.p_value <= threshold,
        p_value=outcome.p_value,
        threshold=threshold,
        statistic=outcome.statistic,
        effect_size=outcome.effect_size,
        reference_error_rate=before.wrong / before.rows,
        current_error_rate=after.wrong / after.rows,
        method=outcome.method,
        n=before.rows,
        m=after.rows,
    )


def _count(side: str, labels: Any, predictions: Any) -> _Errors:
    truth, answers = (_classes(side, data, what) for data, what in ((labels, "labels"), (predictions, "predictions")))
    if len(truth.values) != len(answers.values):
        rows = f"{len(truth.values)} labels and {len(answers.values)} predictions"
        raise DriftDetectionError(f"drift: {side} data: there are {rows} - give one prediction for each label")
    if truth.is_text != answers.is_text:
        told = "labels are text and predictions numbers" if truth.is_text else "labels are numbers and predictions text"
        raise DriftDetectionError(f"drift: {side} data: {told} - give classes in one form")
    return _Errors(int((truth.values != answers.values).sum()), len(truth.values))


@frozen(eq=False)
class _Classes:
    values: np.ndarray[Any, Any]
    is_text: bool


def _classes(side: str, data: Any, what: str) -> _Classes:
    column: Column = read_values(side, data, what)
    if column.missing:
        raise DriftDetectionError(f"drift: {side} {what}: {column.missing} values are missing - drop those rows on both sides of the pair")
    if column.kind == "category":
        return _Classes(np.array(column.categories)[column.data], is_text=True)
    if column.kind not in {"number", "boolean"}:
        raise DriftDetectionError(f"drift: {side} {what}: values of kind {column.kind} are no classes - give labels of classes")
    if (column.data % 1 != 0).any():
        raise DriftDetectionError(
            f"drift: {side} {what}: they hold fractions, so they are no classes - compare a regression's metrics by detect_model_drift"
        )
    return _Classes(column.data.astype(np.float64), is_text=False)
