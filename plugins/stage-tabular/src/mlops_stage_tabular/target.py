"""Whether a column can be what an estimator learns to predict."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mlops_core.exceptions import PipelineError
from mlops_stage_tabular.features import kind_of, labels_of

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["check_target"]

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
