"""Experiment tracking in one SQLite file: a plugin of ``motadata-mlops-core``."""

from __future__ import annotations

from mlops_core.hookspecs import hookimpl
from mlops_tracker_local.tracker import LocalTracker

__all__ = ["LocalTracker", "mlops_tracker"]


@hookimpl
def mlops_tracker() -> type[LocalTracker]:
    """Hand over the embedded tracker."""
    return LocalTracker
