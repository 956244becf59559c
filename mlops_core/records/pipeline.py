"""Stages and runs of a pipeline, and what crosses to the process that runs a stage."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any

from attrs import field, frozen

from mlops_core.records.record import Record
from mlops_core.records.version import ArtifactRef

__all__ = ["PipelineStatus", "RunReport", "StackRef", "StageResult", "StageStatus", "StageTask"]


class StageStatus(StrEnum):
    """How a stage stands. ``held``: it ended, and waits for a person (a paused rollout)."""

    PENDING = "pending"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    SKIPPED = "skipped"
    HELD = "held"


class PipelineStatus(StrEnum):
    """How a run stands; ``interrupted`` is a run whose process died and whose lease has passed."""

    NOT_STARTED = "not_started"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    HELD = "held"
    INTERRUPTED = "interrupted"


@frozen
class StackRef(Record):
    """All that another process needs to compose the same stack. ``config`` is unresolved: secrets are read in that process."""

    root: str
    tenant: str
    profile: str | None = None
    config: Mapping[str, Any] = field(factory=dict)
    pipeline: str = ""


@frozen
class StageTask(Record):
    """One attempt at one stage. ``inputs`` maps parameter names to artifacts; ``timeout`` in seconds, None for no deadline."""

    config: StackRef
    run_id: str
    stage: str
    attempt: int
    inputs: Mapping[str, ArtifactRef] = field(factory=dict)
    timeout: float | None = None
    model: str = ""


@frozen
class StageResult(Record):
    """How an attempt ended. ``seconds`` is monotonic; ``error`` is one line; ``metrics`` are those the stage logged."""

    stage: str
    status: StageStatus
    outputs: Mapping[str, ArtifactRef] = field(factory=dict)
    seconds: float = 0.0
    attempt: int = 1
    error: str | None = None
    metrics: Mapping[str, float] = field(factory=dict)
    params: Mapping[str, str] = field(factory=dict)
    summary: str = ""


@frozen
class RunReport(Record):
    """A pipeline run, ended or not; ``stages`` in the order of the plan."""

    pipeline: str
    tenant: str
    run_id: str
    status: PipelineStatus
    stages: tuple[StageResult, ...]
    started: datetime | None = None
    ended: datetime | None = None
    error: str | None = None
