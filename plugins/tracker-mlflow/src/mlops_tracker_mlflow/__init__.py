"""Experiment tracking in MLflow: a plugin of ``motadata-mlops-core``.

Loading this module imports no MLflow (which takes seconds): the tracker does so when tracking begins.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec

from mlops_core.hookspecs import hookimpl
from mlops_tracker_mlflow.tracker import MlflowTracker

__all__ = ["MlflowTracker", "mlops_tracker"]

if sys.modules.get("mlflow") is None and find_spec("mlflow") is None:  # told where the configuration is checked
    raise ModuleNotFoundError("No module named 'mlflow'", name="mlflow")


@hookimpl
def mlops_tracker() -> type[MlflowTracker]:
    """Hand over the MLflow tracker."""
    return MlflowTracker
