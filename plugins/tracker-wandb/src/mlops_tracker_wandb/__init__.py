"""Experiment tracking in Weights & Biases: a plugin of ``motadata-mlops-core``.

W&B itself is imported by a process of its own, never by the program that tracks.
"""

from __future__ import annotations

from mlops_core.hookspecs import hookimpl
from mlops_tracker_wandb.tracker import WandbTracker

__all__ = ["WandbTracker", "mlops_tracker"]


@hookimpl
def mlops_tracker() -> type[WandbTracker]:
    """Hand over the W&B tracker."""
    return WandbTracker
