"""Monitoring of served models: counted predictions, windows over them, health and alerts."""

from __future__ import annotations

from mlops_core.monitoring.facade import ModelMonitoring
from mlops_core.monitoring.history import History
from mlops_core.monitoring.incidents import Incident
from mlops_core.monitoring.metrics import Metrics
from mlops_core.monitoring.rules import alert_problems
from mlops_core.monitoring.silences import Silence

__all__ = ["History", "Incident", "Metrics", "ModelMonitoring", "Silence", "alert_problems"]
