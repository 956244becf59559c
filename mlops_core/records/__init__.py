"""Frozen values that cross every boundary of the framework."""

from __future__ import annotations

from mlops_core.records.deployment import EndpointKey, Health, HealthStatus, Observed, Variant, VariantCount
from mlops_core.records.drift import TestOutcome
from mlops_core.records.event import (
    AlertRaised,
    DeploymentChanged,
    DriftChecked,
    GateDecision,
    GateRequest,
    RunFinished,
    RunStarted,
    StageFailed,
    StageFinished,
    StageStarted,
    VersionRegistered,
)
from mlops_core.records.journal import Entry, JournalHead, NewEntry
from mlops_core.records.monitoring import DEFAULT_ENVIRONMENT, UNVERSIONED, Alert, Logged, Segment, SeriesKey, ValueSum
from mlops_core.records.pipeline import PipelineStatus, RunReport, StackRef, StageResult, StageStatus, StageTask
from mlops_core.records.query import And, Comparison, Condition, Not, Or, OrderBy, Page, Query
from mlops_core.records.record import Record, canonical_json, digest_of
from mlops_core.records.threshold import METRICS, VALUE_FAMILIES, Threshold, check_value_name
from mlops_core.records.tracking import Experiment, Metric, RunComparison, RunStart, RunStatus, TrackBatch, TrackedRun
from mlops_core.records.version import ArtifactRef, Blob, Column, File, Leftover, LineageLink, ModelVersion, Schema
from mlops_core.records.window import HealthReport, Window, assess_health, merge_segments

__all__ = [
    "DEFAULT_ENVIRONMENT",
    "METRICS",
    "UNVERSIONED",
    "VALUE_FAMILIES",
    "Alert",
    "AlertRaised",
    "And",
    "ArtifactRef",
    "Blob",
    "Column",
    "Comparison",
    "Condition",
    "DeploymentChanged",
    "DriftChecked",
    "EndpointKey",
    "Entry",
    "Experiment",
    "File",
    "GateDecision",
    "GateRequest",
    "Health",
    "HealthReport",
    "HealthStatus",
    "JournalHead",
    "Leftover",
    "LineageLink",
    "Logged",
    "Metric",
    "ModelVersion",
    "NewEntry",
    "Not",
    "Observed",
    "Or",
    "OrderBy",
    "Page",
    "PipelineStatus",
    "Query",
    "Record",
    "RunComparison",
    "RunFinished",
    "RunReport",
    "RunStart",
    "RunStarted",
    "RunStatus",
    "Schema",
    "Segment",
    "SeriesKey",
    "StackRef",
    "StageFailed",
    "StageFinished",
    "StageResult",
    "StageStarted",
    "StageStatus",
    "StageTask",
    "TestOutcome",
    "Threshold",
    "TrackBatch",
    "TrackedRun",
    "ValueSum",
    "Variant",
    "VariantCount",
    "VersionRegistered",
    "Window",
    "assess_health",
    "canonical_json",
    "check_value_name",
    "digest_of",
    "merge_segments",
]
