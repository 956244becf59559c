"""One narrow abstract class per kind of plugin, and the ports handed to plugins."""

from __future__ import annotations

from mlops_core.roles.alert import AlertChannel
from mlops_core.roles.backend import Backend
from mlops_core.roles.deployer import Deployer
from mlops_core.roles.drift import DriftTest, StreamTest, drift_test
from mlops_core.roles.executor import Executor
from mlops_core.roles.format import Format
from mlops_core.roles.observer import Observer
from mlops_core.roles.ports import (
    ArtifactStore,
    Clock,
    DeployContext,
    Predictor,
    Progress,
    Recorder,
    ServingHost,
    StageContext,
)
from mlops_core.roles.registry import RegistryStore
from mlops_core.roles.sink import MonitorSink
from mlops_core.roles.stage import Help, Stage
from mlops_core.roles.tracker import Tracker

__all__ = [
    "AlertChannel",
    "ArtifactStore",
    "Backend",
    "Clock",
    "DeployContext",
    "Deployer",
    "DriftTest",
    "Executor",
    "Format",
    "Help",
    "MonitorSink",
    "Observer",
    "Predictor",
    "Progress",
    "Recorder",
    "RegistryStore",
    "ServingHost",
    "Stage",
    "StageContext",
    "StreamTest",
    "Tracker",
    "drift_test",
]
