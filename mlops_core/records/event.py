"""Lifecycle events: one frozen value per hook, so that a new field breaks no observer."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from attrs import Attribute, field, frozen

from mlops_core.records.deployment import EndpointKey, Variant
from mlops_core.records.monitoring import Alert
from mlops_core.records.pipeline import PipelineStatus, StageResult
from mlops_core.records.record import Record
from mlops_core.records.version import ModelVersion

__all__ = [
    "AlertRaised",
    "DeploymentChanged",
    "DriftChecked",
    "GateDecision",
    "GateRequest",
    "RunFinished",
    "RunStarted",
    "StageFailed",
    "StageFinished",
    "StageStarted",
    "VersionRegistered",
]


@frozen
class RunStarted(Record):
    """A pipeline run began, or was resumed."""

    tenant: str
    pipeline: str
    run_id: str
    at: datetime
    stages: tuple[str, ...]
    resumed: bool = False


@frozen
class StageStarted(Record):
    """An attempt at a stage began."""

    tenant: str
    pipeline: str
    run_id: str
    at: datetime
    stage: str
    attempt: int


@frozen
class StageFinished(Record):
    """A stage succeeded, was skipped or is held."""

    tenant: str
    pipeline: str
    run_id: str
    at: datetime
    result: StageResult


@frozen
class StageFailed(Record):
    """An attempt failed; ``final`` is true when no retry follows."""

    tenant: str
    pipeline: str
    run_id: str
    at: datetime
    result: StageResult
    final: bool


@frozen
class RunFinished(Record):
    """A pipeline run ended."""

    tenant: str
    pipeline: str
    run_id: str
    at: datetime
    status: PipelineStatus
    error: str | None = None


@frozen
class VersionRegistered(Record):
    """A version is in the registry."""

    tenant: str
    at: datetime
    version: ModelVersion


@frozen
class DeploymentChanged(Record):
    """Traffic or state of a deployment changed; ``state`` is the state machine's word."""

    tenant: str
    at: datetime
    deployment_id: str
    endpoint: EndpointKey
    state: str
    routes: tuple[Variant, ...] = ()
    reason: str = ""


@frozen
class DriftChecked(Record):
    """A drift check ended; ``kind`` is what was compared."""

    tenant: str
    at: datetime
    kind: Literal["data", "model", "concept"]
    drift_detected: bool
    p_value: float | None = None
    model: str = ""
    detail: Mapping[str, Any] = field(factory=dict)


@frozen
class AlertRaised(Record):
    """An incident opened or ended."""

    tenant: str
    at: datetime
    alert: Alert


@frozen
class GateRequest(Record):
    """What a deployment gate is asked before traffic moves to a version; to a shadow only copies do, with a ``weight`` of 0."""

    tenant: str
    at: datetime
    deployment_id: str
    endpoint: EndpointKey
    version: str
    action: Literal["deploy", "shadow", "canary_step", "promote"]
    weight: float
    metrics: Mapping[str, float] = field(factory=dict)


def _truth(_: object, field: Attribute[bool], value: object) -> None:
    if not isinstance(value, bool):
        raise TypeError(f"{field.name}: expected True or False, got {type(value).__name__} - write bool(...)")


@frozen
class GateDecision(Record):
    """A gate's answer; a veto carries its reason. What is no truth value decides nothing: ``TypeError``."""

    allow: bool = field(validator=_truth)
    reason: str = ""
