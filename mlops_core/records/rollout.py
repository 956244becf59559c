"""How the versions of a rollout compare."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from attrs import frozen

from mlops_core.records.deployment import Deployment
from mlops_core.records.record import Record

__all__ = ["RolloutReport", "VersionFigures"]


@frozen
class VersionFigures(Record):
    """What one version did in a rollout, as its ``role``; ``weight`` is its share of the requests now.

    Latencies in seconds, None where nothing was timed. ``dropped`` are copies of requests for which a shadow had no time.
    """

    version: str
    role: Literal["live", "canary", "shadow", "variant"]
    weight: float = 0.0
    requests: int = 0
    errors: int = 0
    dropped: int = 0
    avg_latency: float | None = None
    p50_latency: float | None = None
    p95_latency: float | None = None
    p99_latency: float | None = None

    @property
    def error_rate(self) -> float | None:
        """Share of failures, in [0, 1]; None without requests."""
        return self.errors / self.requests if self.requests else None


@frozen
class RolloutReport(Record):
    """A rollout at ``at``: its deployment, and what each version did from ``started`` until ``ended``, which is None while it goes on.

    The deployment's ``rollout`` has the steps of a canary, and the verdict and the evidence at ``at``; ``step_requests`` are its requests
    in the step in force.
    """

    deployment: Deployment
    kind: Literal["shadow", "canary", "test"]
    at: datetime
    started: datetime
    ended: datetime | None
    figures: tuple[VersionFigures, ...] = ()
    step_requests: int = 0
