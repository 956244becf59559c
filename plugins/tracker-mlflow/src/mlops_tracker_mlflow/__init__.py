"""Experiment tracking in MLflow: a plugin of ``motadata-mlops-core``.

Loading this module imports no MLflow (which takes seconds): the tracker does so at its first use.
"""

from __future__ import annotations

from mlops_core.hookspecs import hookimpl
from mlops_tracker_mlflow.tracker import MlflowTracker

__all__ = ["MlflowTracker", "mlops_tracker"]


@hookimpl
def mlops_tracker() -> type[MlflowTracker]:
    """Hand over the MLflow tracker."""
    return MlflowTracker
