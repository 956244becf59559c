"""The core of a pluggable MLOps framework: the core holds the policy, plugins hold the mechanism.

Public names are resolved at first use (PEP 562), so that importing the package loads no third-party module.
"""

from __future__ import annotations

import importlib
import logging
from typing import TYPE_CHECKING, Any, Final

from mlops_core.secrecy import MaskingHandler

if TYPE_CHECKING:
    from mlops_core.deployment import ModelDeployment
    from mlops_core.drift import DriftDetector
    from mlops_core.hookspecs import hookimpl
    from mlops_core.mlops_pipeline import MLOpsPipeline, PipelineStage
    from mlops_core.monitoring import ModelMonitoring
    from mlops_core.project import Project
    from mlops_core.tracking import ExperimentTracker
    from mlops_core.versioning import ModelVersioning

__all__ = [
    "DriftDetector",
    "ExperimentTracker",
    "MLOpsPipeline",
    "ModelDeployment",
    "ModelMonitoring",
    "ModelVersioning",
    "PipelineStage",
    "Project",
    "hookimpl",
]

_HOMES: Final = {
    "DriftDetector": "drift",
    "ExperimentTracker": "tracking",
    "MLOpsPipeline": "mlops_pipeline",
    "ModelDeployment": "deployment",
    "ModelMonitoring": "monitoring",
    "ModelVersioning": "versioning",
    "PipelineStage": "mlops_pipeline",
    "Project": "project",
    "hookimpl": "hookspecs",
}

logging.getLogger(__name__).addHandler(MaskingHandler())


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
