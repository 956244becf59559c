"""Monitoring of served models: counted predictions, windows over them, health and alerts."""

from __future__ import annotations

from mlops_core.monitoring.facade import ModelMonitoring
from mlops_core.monitoring.metrics import Metrics

__all__ = ["Metrics", "ModelMonitoring"]
