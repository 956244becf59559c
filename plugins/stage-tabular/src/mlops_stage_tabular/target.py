"""The column that an estimator learns to predict: whether it can, and the weights of its classes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from mlops_core.exceptions import PipelineError
from mlops_stage_tabular.features import kind_of, labels_of
from mlops_stage_tabular.tables import nearest

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["check_target", "weighted"]

_STAGE: Final = "sklearn"


def check_target(table: pa.Table, target: str, estimator: str, *, classifies: bool) -> None:
    """Refuse a target, without missing values, that an estimator of this kind cannot learn.

    Raises:
        PipelineError: It is neither numbers nor text, text for a regressor, real numbers for a classifier, or not finite.
    """
    import numpy as np

    kind, labels = table.schema.field(target).type, labels_of(table[target])
    if not kind_of(kind):
        raise PipelineError(f"{_STAGE}: target: column {target!r} is {kind} - derive a number or a text from it before training")
    if not classifies and kind_of(kind) == "text":
        raise PipelineError(f"{_STAGE}: target: {target!r} is text, and {estimator} predicts numbers - take a classifier")
    if labels.dtype.kind != "f":
        return
    if not np.isfinite(labels).all():
        raise PipelineError(f"{_STAGE}: target: column {target!r} has infinite values - filter those rows out")
    if classifies and (labels % 1 != 0).any():
        told = f"{target!r} is of real numbers, and {estimator} predicts classes"
        raise PipelineError(f"{_STAGE}: target: {told} - take a regressor, or derive classes from it")


def weighted(params: Mapping[str, Any], target: pa.ChunkedArray) -> Mapping[str, Any]:
    """Parameters whose ``class_weight`` is by label: the names in a configuration are text, and labels often are not.

    Raises:
        PipelineError: A weight is for a label that the target does not have.
    """
    weights = params.get("class_weight")
    if not isinstance(weights, Mapping):
        return params
    labels = {_name(label): label for label in target.unique().to_pylist()}
    for key in weights:
        if _name(key) not in labels:
            raise PipelineError(f"{_STAGE}: params: class_weight: no class {key!r} in the target - {nearest(_name(key), [*labels])}")
    return {**params, "class_weight": {labels[_name(key)]: weight for key, weight in weights.items()}}


def _name(label: Any) -> str:
    """A label as a configuration writes it."""
    if isinstance(label, bool):
        return str(label).lower()
    return str(int(label)) if isinstance(label, float) and label.is_integer() else str(label)
