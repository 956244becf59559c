"""Experiment tracking: experiments, runs, params, metrics, tags and artifacts, through a durable spool to any number of trackers."""

from __future__ import annotations

from mlops_core.tracking.run import Run
from mlops_core.tracking.tracker import ExperimentTracker

__all__ = ["ExperimentTracker", "Run"]
