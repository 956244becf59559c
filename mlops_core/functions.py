"""Factory functions with the specification's names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from mlops_core.deployment import ModelDeployment
    from mlops_core.drift import DriftDetector
    from mlops_core.mlops_pipeline import MLOpsPipeline
    from mlops_core.monitoring import ModelMonitoring
    from mlops_core.stack import Stack
    from mlops_core.tracking import ExperimentTracker
    from mlops_core.versioning import ModelVersioning

__all__ = [
    "create_drift_detector",
    "create_experiment_tracker",
    "create_mlops_pipeline",
    "create_model_deployment",
    "create_model_monitoring",
    "create_model_versioning",
]


def create_mlops_pipeline(name: str, tenant_id: str | None = None, *, stack: Stack | None = None) -> MLOpsPipeline:
    """A pipeline of that name on the project's stack; raises ``PipelineError``."""
    from mlops_core.mlops_pipeline import MLOpsPipeline

    return MLOpsPipeline(name, tenant_id=tenant_id, stack=stack)


def create_experiment_tracker(
    tracking_uri: str | os.PathLike[str] | None = None, tenant_id: str | None = None, *, stack: Stack | None = None
) -> ExperimentTracker:
    """A tracker; raises ``ExperimentError``."""
    from mlops_core.tracking import ExperimentTracker

    return ExperimentTracker(tracking_uri, tenant_id, stack=stack)


def create_model_versioning(db: Any = None, tenant_id: str | None = None, *, stack: Stack | None = None) -> ModelVersioning:
    """A model registry over ``db``: a SQLAlchemy URL or engine, a store, or None; raises ``VersioningError``."""
    from mlops_core.versioning import ModelVersioning

    return ModelVersioning(db, tenant_id, stack=stack)


def create_model_deployment(tenant_id: str | None = None, *, stack: Stack | None = None) -> ModelDeployment:
    """Deployments; raises ``DeploymentError``."""
    from mlops_core.deployment import ModelDeployment

    return ModelDeployment(tenant_id, stack=stack)


def create_model_monitoring(tenant_id: str | None = None, *, stack: Stack | None = None) -> ModelMonitoring:
    """Monitoring; raises ``MonitoringError``."""
    from mlops_core.monitoring import ModelMonitoring

    return ModelMonitoring(tenant_id, stack=stack)


def create_drift_detector(tenant_id: str | None = None, tests: Sequence[str] | None = None, *, stack: Stack | None = None) -> DriftDetector:
    """A drift detector with tests named as the configuration does; raises ``DriftDetectionError``."""
    from mlops_core.drift import DriftDetector

    return DriftDetector(tenant_id, tests=tests, stack=stack)
