"""Stages for tabular data: CSV, Parquet, scikit-learn."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Final, cast

from mlops_core.hookspecs import hookimpl

if TYPE_CHECKING:
    from mlops_core.roles import Stage

__all__ = ["mlops_stage"]

_HOMES: Final = {
    "csv": "collect:CsvStage",
    "metrics": "evaluate:MetricsStage",
    "parquet": "collect:ParquetStage",
    "preprocess": "preprocess:PreprocessStage",
    "sklearn": "train:SklearnStage",
}


@hookimpl
def mlops_stage(name: str) -> type[Stage]:
    """Hand over the class of ``csv``, ``parquet``, ``preprocess``, ``sklearn`` or ``metrics``."""
    module, _, kind = _HOMES[name].partition(":")
    return cast("type[Stage]", getattr(importlib.import_module(f"{__name__}.{module}"), kind))
