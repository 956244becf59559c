"""Concept drift, seen by labels: whether the model errs more or less often than it did, or labels follow otherwise from the features."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from mlops_core.drift.check import generator
from mlops_core.drift.conditional import compare_given
from mlops_core.drift.encoding import encode_both
from mlops_core.drift.proportion import compare_shares
from mlops_core.drift.results import ConceptDrift
from mlops_core.drift.schema import INFERRED, configured_schema
from mlops_core.drift.table import read_values
from mlops_core.drift.verdict import check_level
from mlops_core.exceptions import DriftDetectionError

if TYPE_CHECKING:
    from numpy.random import Generator

    from mlops_core.drift.column import Column
    from mlops_core.drift.schema import Schema
    from mlops_core.records import TestOutcome
    from mlops_core.stack import Stack

__all__ = ["check_concept", "compare_concepts", "compare_errors"]

_MOST_CLASSES: Final = 20
_TWO: Final = 2


@frozen(eq=False)
class _Answered:
    """Labels and predictions of a side; ``error`` is the share of wrong answers, or of numbers the mean absolute error."""

    labels: NDArray[Any]
    predictions: NDArray[Any]
    fractions: bool

    @property
    def wrong(self) -> int:
        return int((self.labels != self.predictions).sum())

    @property
    def rows(self) -> int:
        return len(self.labels)

    def error(self, *, fractions: bool) -> float:
        return float(np.abs(self.labels - self.predictions).mean()) if fractions else self.wrong / self.rows


def check_concept(
    stack: Stack, reference: tuple[Any, Any], current: tuple[Any, Any], data: tuple[Any, Any] | None, *, threshold: float | None, seed: Any
) -> ConceptDrift:
    """Compare (labels, predictions) of both sides, given the features of both where there are any; None: at the configured level.

    Raises:
        DriftDetectionError: As ``compare_errors`` or ``compare_concepts``, or the threshold or the seed is none.
    """
    level = check_level(stack.settings.drift.alpha if threshold is None else threshold)
    if data is None:
        return compare_errors(reference, current, threshold=level)
    return compare_concepts(reference, current, data, threshold=level, rng=generator(seed), schema=configured_schema(stack))


def compare_errors(reference: tuple[Any, Any], current: tuple[Any, Any], *, threshold: float) -> ConceptDrift:
    """Compare the error rates of (labels, predictions) before and after, two-sided (see ``mlops_core.drift.proportion``).

    Raises:
        DriftDetectionError: Labels and predictions do not fit each other, a value is missing, or they are no classes.
    """
    before, after = _answered("reference", *reference), _answered("current", *current)
    outcome = compare_shares(before.wrong, before.rows, after.wrong, after.rows)
    return _verdict(outcome, before, after, threshold, fractions=False)


def compare_concepts(
    reference: tuple[Any, Any],
    current: tuple[Any, Any],
    data: tuple[Any, Any],
    *,
    threshold: float,
    rng: Generator,
    schema: Schema = INFERRED,
) -> ConceptDrift:
    """Test whether labels depend on the period given features and predictions (see ``mlops_core.drift.conditional``).

    Raises:
        DriftDetectionError: As ``compare_errors``, but labels may be numbers; or the features cannot be read, or have other rows.
    """
    before, after = (_answered(side, *pair, numbers=True) for side, pair in (("reference", reference), ("current", current)))
    if (before.labels.dtype.kind == "U") != (after.labels.dtype.kind == "U"):
        raise DriftDetectionError("drift: labels: one side's are text and the other's numbers - give them in one form")
    features, rows = encode_both(*data, schema)
    for side, given, known in (("reference", rows, before.rows), ("current", len(features) - rows, after.rows)):
        if given != known:
            raise DriftDetectionError(f"drift: {side} data: it has {given} rows and {known} labels - give one label for each row")
    fractions = before.fractions or after.fractions
    labels = _columns(np.concatenate([before.labels, after.labels]), fractions=fractions)
    predictions = _columns(np.concatenate([before.predictions, after.predictions]), fractions=fractions)
    outcome = compare_given(np.column_stack([features, predictions]), labels, before.rows, rng)
    return _verdict(outcome, before, after, threshold, fractions=fractions)


def _verdict(outcome: TestOutcome, before: _Answered, after: _Answered, threshold: float, *, fractions: bool) -> ConceptDrift:
    return ConceptDrift(
        drift_detected=outcome.p_value <= threshold,
        p_value=outcome.p_value,
        threshold=threshold,
        statistic=outcome.statistic,
        effect_size=outcome.effect_size,
        reference_error_rate=before.error(fractions=fractions),
        current_error_rate=after.error(fractions=fractions),
        method=outcome.method,
        n=before.rows,
        m=after.rows,
    )


def _columns(values: NDArray[Any], *, fractions: bool) -> NDArray[np.float64]:
    """Numbers, or one column for each of the most frequent classes; with mean 0 and variance 1, constant ones left out."""
    if fractions:
        found = values[:, None].astype(np.float64)
    else:
        classes, counts = np.unique(values, return_counts=True)
        frequent = classes[np.argsort(-counts, kind="stable")[:_MOST_CLASSES]]
        found = (values[:, None] == (frequent[:1] if len(frequent) == _TWO else frequent)).astype(np.float64)
    found = found - found.mean(axis=0)
    spread = found.std(axis=0)
    scaled: NDArray[np.float64] = found[:, spread > 0] / spread[spread > 0]
    return scaled


def _answered(side: str, labels: Any, predictions: Any, *, numbers: bool = False) -> _Answered:
    truth, answers = (_classes(side, data, what, numbers=numbers) for data, what in ((labels, "labels"), (predictions, "predictions")))
    if len(truth.values) != len(answers.values):
        rows = f"{len(truth.values)} labels and {len(answers.values)} predictions"
        raise DriftDetectionError(f"drift: {side} data: there are {rows} - give one prediction for each label")
    if truth.is_text != answers.is_text:
        told = "labels are text and predictions numbers" if truth.is_text else "labels are numbers and predictions text"
        raise DriftDetectionError(f"drift: {side} data: {told} - give classes in one form")
    fractions = not truth.is_text and bool((truth.values % 1 != 0).any() or (answers.values % 1 != 0).any())
    return _Answered(truth.values, answers.values, fractions)


@frozen(eq=False)
class _Classes:
    values: np.ndarray[Any, Any]
    is_text: bool


def _classes(side: str, data: Any, what: str, *, numbers: bool) -> _Classes:
    column: Column = read_values(side, data, what)
    if column.missing:
        raise DriftDetectionError(f"drift: {side} {what}: {column.missing} values are missing - drop those rows on both sides of the pair")
    if column.kind == "category":
        return _Classes(np.array(column.categories)[column.data], is_text=True)
    if column.kind not in {"number", "boolean"}:
        raise DriftDetectionError(f"drift: {side} {what}: values of kind {column.kind} are no classes - give labels of classes")
    if not numbers and (column.data % 1 != 0).any():
        raise DriftDetectionError(
            f"drift: {side} {what}: they hold fractions, so they are no classes - compare a regression's metrics by detect_model_drift"
        )
    return _Classes(column.data.astype(np.float64), is_text=False)
