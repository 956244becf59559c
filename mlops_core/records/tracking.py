"""Experiments, runs, and the batches that a tracker writes."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, TypeVar

from attrs import field, frozen

from mlops_core.records.record import Record

__all__ = ["Experiment", "Metric", "RunComparison", "RunKey", "RunStart", "RunStatus", "TrackBatch", "TrackedRun"]

T = TypeVar("T")


class RunStatus(StrEnum):
    """How a run stands; ``interrupted`` is a run whose process died."""

    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"
    INTERRUPTED = "interrupted"


@frozen
class Metric(Record):
    """One measurement. ``step`` is a signed 64-bit integer; ``value`` may be NaN or infinite."""

    name: str
    value: float
    step: int
    at: datetime


@frozen
class RunKey(Record):
    """Which run: ``run_id`` is the core's and unique within the experiment of the tenant, not beyond; ``experiment`` is a name."""

    tenant: str
    experiment: str
    run_id: str


@frozen
class RunStart(Record):
    """A run to open, or to resume if the backend knows its key already.

    ``join``: of a forked child, which adds to its parent's run: one that is known stays as it is, whatever its status.
    """

    key: RunKey
    name: str
    at: datetime
    tags: Mapping[str, str] = field(factory=dict)
    parent: RunKey | None = None
    join: bool = False


@frozen
class TrackBatch(Record):
    """Records of one run. A backend that has (writer, sequence) already answers without writing again."""

    writer: str
    sequence: int
    params: Mapping[str, str] = field(factory=dict)
    metrics: tuple[Metric, ...] = ()
    tags: Mapping[str, str] = field(factory=dict)


@frozen
class Experiment(Record):
    """An experiment; ``native_id`` is the backend's own id, empty until it is known."""

    tenant: str
    name: str
    tags: Mapping[str, str] = field(factory=dict)
    native_id: str = ""

    @property
    def experiment_id(self) -> str:
        """The id that is the same on every backend: the first 16 hex digits of the sha256 of tenant and name."""
        return hashlib.sha256(f"{self.tenant}/{self.name}".encode()).hexdigest()[:16]

    def fields(self) -> dict[str, Any]:
        """Flat fields for a query: attributes, and ``tags.*``."""
        return {"name": self.name, "experiment_id": self.experiment_id, **{f"tags.{name}": value for name, value in self.tags.items()}}


@frozen
class TrackedRun(Record):
    """A run as a backend answers it; ``metrics`` holds each metric's last value."""

    run_id: str
    experiment: str
    name: str
    tenant: str
    status: RunStatus
    started: datetime
    ended: datetime | None = None
    params: Mapping[str, str] = field(factory=dict)
    metrics: Mapping[str, float] = field(factory=dict)
    tags: Mapping[str, str] = field(factory=dict)
    parent_run_id: str | None = None
    native_id: str = ""

    def fields(self) -> dict[str, Any]:
        """Flat fields for a query: attributes, ``params.*``, ``metrics.*`` and ``tags.*``."""
        return {
            "run_id": self.run_id,
            "experiment": self.experiment,
            "name": self.name,
            "status": self.status.value,
            "started": self.started.isoformat(),
            **{f"params.{name}": value for name, value in self.params.items()},
            **{f"metrics.{name}": value for name, value in self.metrics.items()},
            **{f"tags.{name}": value for name, value in self.tags.items()},
        }


@frozen
class RunComparison(Record):
    """Runs side by side. ``params`` and ``metrics`` hold only what differs: a name to one value per run, None where a run has none."""

    runs: tuple[TrackedRun, ...]

    @property
    def params(self) -> dict[str, tuple[str | None, ...]]:
        """Params that differ."""
        return _differing([run.params for run in self.runs])

    @property
    def metrics(self) -> dict[str, tuple[float | None, ...]]:
        """Metrics that differ."""
        return _differing([run.metrics for run in self.runs])


def _differing(columns: Sequence[Mapping[str, T]]) -> dict[str, tuple[T | None, ...]]:
    names = sorted({name for column in columns for name in column})
    rows = {name: tuple(column.get(name) for column in columns) for name in names}
    return {name: row for name, row in rows.items() if any(value != row[0] for value in row)}
