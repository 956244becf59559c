"""MLflow's entities and the framework's records."""

from __future__ import annotations

import math
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from mlops_core.records import Experiment, Metric, RunStatus, TrackedRun

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mlflow.entities import Metric as NativeMetric

__all__ = [
    "BATCH_TAG",
    "EXPERIMENT_TAG",
    "PARENT_RUN_TAG",
    "PARENT_TAG",
    "RUN_TAG",
    "STATUSES",
    "TENANT_TAG",
    "experiment_name",
    "from_metric",
    "milliseconds",
    "native_tags",
    "to_experiment",
    "to_metric",
    "to_run",
]

TENANT_TAG: Final = "mlops.tenant"
EXPERIMENT_TAG: Final = "mlops.experiment"
RUN_TAG: Final = "mlops.run_id"
BATCH_TAG: Final = "mlops.batch."
PARENT_TAG: Final = "mlflow.parentRunId"
PARENT_RUN_TAG: Final = "mlops.parent_run_id"
_OURS: Final = ("mlops.", "mlflow.")
_SHOWN: Final = {"note": "mlflow.note.content", "git_commit": "mlflow.source.git.commit"}
STATUSES: Final = {
    RunStatus.RUNNING: "RUNNING",
    RunStatus.FINISHED: "FINISHED",
    RunStatus.FAILED: "FAILED",
    RunStatus.INTERRUPTED: "KILLED",
}
_BACK: Final = {native: ours for ours, native in STATUSES.items()}


def experiment_name(tenant: str, name: str) -> str:
    """The experiment's name in MLflow, where all tenants share one list."""
    return f"{tenant}/{name}"


def milliseconds(at: datetime) -> int:
    """MLflow's times are whole milliseconds since 1970."""
    return round(at.timestamp() * 1000)


def _time(stamp: int | None) -> datetime | None:
    return None if stamp is None else datetime.fromtimestamp(stamp / 1000, UTC)


def native_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """The tags of a run, with the note as the description that MLflow shows, and the commit as its source's."""
    return {**tags, **{native: tags[name] for name, native in _SHOWN.items() if name in tags}}


def to_metric(metric: Metric) -> NativeMetric:
    """A metric for ``log_batch``."""
    from mlflow.entities import Metric as NativeMetric

    return NativeMetric(metric.name, metric.value, milliseconds(metric.at), metric.step)


def from_metric(native: NativeMetric) -> Metric:
    """A point of a metric's history."""
    return Metric(native.key, _value(native.value), native.step, datetime.fromtimestamp(native.timestamp / 1000, UTC))


def _value(value: float) -> float:
    """MLflow's SQL store keeps an infinity as the largest float."""
    return math.copysign(math.inf, value) if abs(value) >= sys.float_info.max else value


def to_experiment(native: Any) -> Experiment:
    """An experiment without the tags that are MLflow's or ours."""
    tenant, name = native.tags[TENANT_TAG], native.tags[EXPERIMENT_TAG]
    tags = {key: value for key, value in native.tags.items() if not key.startswith(_OURS)}
    return Experiment(tenant, name, tags, str(native.experiment_id))


def to_run(native: Any) -> TrackedRun:
    """A run without the tags that are MLflow's or ours."""
    tags = native.data.tags
    status = _BACK.get(native.info.status, RunStatus.RUNNING)
    started = _time(native.info.start_time)
    return TrackedRun(
        run_id=tags[RUN_TAG],
        experiment=tags[EXPERIMENT_TAG],
        name=native.info.run_name,
        tenant=tags[TENANT_TAG],
        status=status,
        started=started or datetime.fromtimestamp(0, UTC),
        ended=None if status is RunStatus.RUNNING else _time(native.info.end_time),
        params=dict(native.data.params),
        metrics={name: _value(value) for name, value in native.data.metrics.items()},
        tags={key: value for key, value in tags.items() if not key.startswith(_OURS)},
        parent_run_id=tags.get(PARENT_RUN_TAG),
        native_id=native.info.run_id,
    )
