"""Drift detection: data, model and concept drift, by tests that are plugins and decisions that are corrected for their number."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from mlops_core.drift.detector import DriftDetector

if TYPE_CHECKING:
    from mlops_core.drift.reference import Reference
    from mlops_core.drift.results import ColumnOutcome, ConceptDrift, DataDrift, Distribution, DriftResults, ModelDrift
    from mlops_core.drift.schedule import DriftSchedule
    from mlops_core.drift.watch import Watch

__all__ = [
    "ColumnOutcome",
    "ConceptDrift",
    "DataDrift",
    "Distribution",
    "DriftDetector",
    "DriftResults",
    "DriftSchedule",
    "ModelDrift",
    "Reference",
    "Watch",
]

_ALONE: Final = {"DriftSchedule": "schedule", "Reference": "reference", "Watch": "watch"}
_LATER: Final = {**dict.fromkeys(set(__all__) - {"DriftDetector"}, "results"), **_ALONE}


def __getattr__(name: str) -> Any:
    """What a check needs is loaded when it is first asked for: ``Reference`` and ``Watch`` with numpy."""
    if name in _LATER:
        return getattr(import_module(f"mlops_core.drift.{_LATER[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
