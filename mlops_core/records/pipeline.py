"""Stages and runs of a pipeline, and what crosses to the process that runs a stage."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any

from attrs import field, frozen

from mlops_core.records.record import Record
from mlops_core.records.tracking import Metric
from mlops_core.records.version import ArtifactRef

__all__ = ["PipelineStatus", "RunReport", "StackRef", "StageProgress", "StageResult", "StageStatus", "StageTask"]


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
class StageResult(Record):
    """How an attempt ended. ``seconds`` is monotonic; ``error`` is one line; ``metrics`` are those the stage logged, each its last value.

    ``history`` (every logged metric) and ``logged`` (files for the tracker) travel from the worker to the runner, which writes them to the
    run's tracker; ``looked_back`` says whether the stage asked for what others left beyond its inputs. The journal keeps none of them.
    """

    stage: str
    status: StageStatus
    outputs: Mapping[str, ArtifactRef] = field(factory=dict)
    seconds: float = 0.0
    attempt: int = 1
    error: str | None = None
    metrics: Mapping[str, float] = field(factory=dict)
    params: Mapping[str, str] = field(factory=dict)
    summary: str = ""
    history: tuple[Metric, ...] = ()
    logged: Mapping[str, ArtifactRef] = field(factory=dict)
    looked_back: bool = False


@frozen
class StageTask(Record):
    """One attempt at one stage. ``inputs`` maps parameter names to artifacts; ``timeout`` in seconds, None for no deadline.

    ``earlier`` holds the results of the stages that ended before it, in their order. ``options`` go to keyword-only parameters, ``outputs``
    rename what the stage gives, and ``function`` (``module:name``) is a stage that no configuration names.
    """

    config: StackRef
    run_id: str
    stage: str
    attempt: int
    inputs: Mapping[str, ArtifactRef] = field(factory=dict)
    timeout: float | None = None
    model: str = ""
    earlier: tuple[StageResult, ...] = ()
    options: Mapping[str, Any] = field(factory=dict)
    outputs: tuple[str, ...] = ()
    function: str = ""


@frozen
class StageProgress(Record):
    """How far a running stage says it is: ``done`` of ``total`` units (None: unknown)."""

    run_id: str
    stage: str
    done: float
    total: float | None = None
    note: str = ""


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
