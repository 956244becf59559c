"""Drift detection: data, model and concept drift, by tests that are plugins and decisions that are corrected for their number."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mlops_core.drift.detector import DriftDetector

if TYPE_CHECKING:
    from mlops_core.drift.reference import Reference

__all__ = ["DriftDetector", "Reference"]


def __getattr__(name: str) -> Any:
    """``Reference`` holds arrays: numpy is loaded when it is first asked for."""
    if name == "Reference":
        from mlops_core.drift.reference import Reference

        return Reference
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
