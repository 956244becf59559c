"""The tracker role on MLflow."""

from __future__ import annotations

import math
import os
import shutil
import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, ClassVar, Final

from attrs import define, field

from mlops_core.exceptions import ExperimentError
from mlops_core.records import And, Comparison, Experiment, Query, RunKey, RunStatus, TrackedRun, masked_url
from mlops_core.roles import Tracker
from mlops_tracker_mlflow.connection import ask, connect, errors, is_url, load, store_uri
from mlops_tracker_mlflow.translation import (
    BATCH_TAG,
    EXPERIMENT_TAG,
    PARENT_RUN_TAG,
    PARENT_TAG,
    RUN_TAG,
    STATUSES,
    TENANT_TAG,
    experiment_name,
    from_metric,
    milliseconds,
    native_tags,
    to_experiment,
    to_metric,
    to_run,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from mlflow import MlflowClient  # noqa: TC004  of a field that is no option, whose type nobody looks up

    from mlops_core.records import Condition, Metric, RunStart, TrackBatch

    _Pairs = Sequence[tuple[str, str]]

__all__ = ["MlflowTracker"]

_PAGE: Final = 1000
_MOST_METRICS: Final = 900
_MOST_PAIRS: Final = 100
_FRESH: Final = 1.0  # seconds


@define(eq=False)
class MlflowTracker(Tracker):
    """Runs that look native in MLflow's own user interface.

    An experiment of tenant ``t`` is named ``t/name`` there. The core's run id is the tag ``mlops.run_id``, unique in the experiment, and
    the tag ``mlops.batch.WRITER`` is the number of the writer's last batch. One that was cut off before it had its mark is written again,
    and counts once, because MLflow keeps one row per (metric, step, time, value) and params and tags by name.
    """

    contract: ClassVar[int] = 1
    capabilities: ClassVar[frozenset[str]] = frozenset({"search"})

    tracking_uri: str = field(
        default="mlruns",
        metadata={"help": "a folder (its SQLite store mlflow.db is used), or a URI: http://, sqlite:///, postgresql://", "path": True},
    )
    artifacts: str | None = field(
        default=None,
        metadata={
            "help": "where artifacts go, a folder or a URI; default: 'artifacts' beside a local store, else MLflow's choice",
            "path": True,
        },
    )
    _client: MlflowClient | None = field(default=None, init=False, repr=False)
    _pid: int = field(default=0, init=False, repr=False)
    _ids: dict[RunKey, str] = field(factory=dict, init=False, repr=False)
    _marks: dict[tuple[str, str], int] = field(factory=dict, init=False, repr=False)
    _experiments: dict[tuple[str, str], str] = field(factory=dict, init=False, repr=False)
    _answered: float = field(default=-math.inf, init=False, repr=False)
    _lock: threading.RLock = field(factory=threading.RLock, init=False, repr=False)

    def prepare(self) -> None:
        """Import MLflow, which takes seconds."""
        load()

    def check(self) -> None:
        """Reach the store."""
        with self._talking():
            self._connected().search_experiments(max_results=1)

    def location(self) -> str:
        """The URI for ``mlflow ui --backend-store-uri``."""
        return store_uri(self.tracking_uri)

    def close(self) -> None:
        """Forget the client; MLflow keeps its own pool of connections."""
        self._client = None

    def ensure_experiment(self, tenant: str, name: str, tags: Mapping[str, str]) -> str:
        """Create ``tenant/name`` or merge its tags."""
        with self._talking(), self._lock:
            client = self._connected()
            native = self._experiments.get((tenant, name)) or self._create(client, tenant, name)
            self._experiments[tenant, name] = native
            for key, value in tags.items():
                client.set_experiment_tag(native, key, value)
            return native

    def _create(self, client: MlflowClient, tenant: str, name: str) -> str:
        full = experiment_name(tenant, name)
        found = client.get_experiment_by_name(full)
        if found is not None:
            if found.lifecycle_stage == "deleted":
                client.restore_experiment(found.experiment_id)
            return str(found.experiment_id)
        home = self._artifact_home()
        return str(
            client.create_experiment(
                full, artifact_location=home and f"{home}/{tenant}/{name}", tags={TENANT_TAG: tenant, EXPERIMENT_TAG: name}
            )
        )

    def _artifact_home(self) -> str | None:
        if self.artifacts is not None:
            return self.artifacts if is_url(self.artifacts) else str(Path(self.artifacts).absolute())
        return None if is_url(self.tracking_uri) else str(Path(self.tracking_uri).absolute() / "artifacts")

    def start_run(self, run: RunStart) -> None:
        """Create the run, or open it again."""
        with self._talking(), self._lock:
            client = self._connected()
            key = run.key
            tags = {**native_tags(run.tags), TENANT_TAG: key.tenant, RUN_TAG: key.run_id, EXPERIMENT_TAG: key.experiment}
            if run.parent is not None:
                tags[PARENT_RUN_TAG] = run.parent.run_id
                tags[PARENT_TAG] = self._native(run.parent) or run.parent.run_id
            native = self._native(key)
            if native is not None and run.join:
                return
            if native is not None:
                client.update_run(native, status="RUNNING")
                self._log(native, tags=list(tags.items()))
                return
            experiment = self.ensure_experiment(key.tenant, key.experiment, {})
            made = client.create_run(experiment, start_time=milliseconds(run.at), tags=tags, run_name=run.name)
            self._ids[key] = made.info.run_id

    def write(self, run: RunKey, batch: TrackBatch) -> None:
        """Log in as few requests as MLflow's limits allow (1,000 in all, 100 params, 100 tags); the last marks the batch as written."""
        with self._talking():
            native = self._known(run)
            if batch.sequence <= self._written(native, batch.writer):
                return
            mark = (f"{BATCH_TAG}{batch.writer}", str(batch.sequence))
            *metrics, last_metrics = _parts(batch.metrics, _MOST_METRICS) or [()]
            *tags, last_tags = _parts([*native_tags(batch.tags).items(), mark], _MOST_PAIRS)
            for pairs in _parts(list(batch.params.items()), _MOST_PAIRS):
                self._log(native, params=pairs)
            for rows in metrics:
                self._log(native, metrics=rows)
            for pairs in tags:
                self._log(native, tags=pairs)
            self._log(native, metrics=last_metrics, tags=last_tags)
            self._marks[native, batch.writer] = batch.sequence

    def _written(self, native: str, writer: str) -> int:
        """The number of a writer's last batch that the run has, looked for once."""
        if (native, writer) not in self._marks:
            tags = self._connected().get_run(native).data.tags
            self._marks[native, writer] = int(tags.get(f"{BATCH_TAG}{writer}", 0))
        return self._marks[native, writer]

    def _log(self, native: str, *, params: _Pairs = (), metrics: Sequence[Metric] = (), tags: _Pairs = ()) -> None:
        from mlflow.entities import Param, RunTag

        self._connected().log_batch(
            native,
            params=[Param(key, value) for key, value in params],
            metrics=[to_metric(metric) for metric in metrics],
            tags=[RunTag(key, value) for key, value in tags],
        )

    def put_artifact(self, run: RunKey, name: str, path: Path) -> None:
        """Upload; MLflow names a file as it is called on disk, so one that is called otherwise goes through a copy."""
        target = PurePosixPath(name)
        folder = None if target.parent == PurePosixPath() else str(target.parent)
        with self._talking():
            native = self._known(run)
            if path.is_dir():
                self._connected().log_artifacts(native, str(path), name)
            elif path.name == target.name:
                self._connected().log_artifact(native, str(path), folder)
            else:
                with tempfile.TemporaryDirectory(prefix="mlops-mlflow-") as private:
                    renamed = Path(private) / target.name
                    shutil.copy2(path, renamed)
                    self._connected().log_artifact(native, str(renamed), folder)

    def end_run(self, run: RunKey, status: RunStatus, at: datetime) -> None:
        """Terminate with MLflow's word for the status; an interrupted run is KILLED there."""
        with self._talking():
            self._connected().set_terminated(self._known(run), STATUSES[status], milliseconds(at))

    def find_experiments(self, tenant: str, query: Query) -> Iterator[Experiment]:
        """The tenant's experiments, filtered by the reference evaluation."""
        yield from query.apply(self._experiments_of(tenant), Experiment.fields).items

    def find_runs(self, tenant: str, query: Query) -> Iterator[TrackedRun]:
        """The tenant's runs: the experiment and the run id are asked of MLflow, the rest is the reference evaluation."""
        wanted = _equalities(query.where)
        experiments = [one for one in self._experiments_of(tenant) if wanted.get("experiment", one.name) == one.name]
        ask = f"tags.`{RUN_TAG}` = '{wanted['run_id']}'" if "'" not in wanted.get("run_id", "'") else f"tags.`{TENANT_TAG}` = '{tenant}'"
        with self._talking():
            runs = [to_run(run) for run in self._pages(experiments, ask)] if experiments else []
        yield from query.apply(runs, TrackedRun.fields).items

    def read_metric(self, run: RunKey, name: str) -> Iterator[Metric]:
        """MLflow's history of a metric, in our order."""
        with self._talking():
            found = [from_metric(point) for point in self._connected().get_metric_history(self._known(run), name)]
        yield from sorted(found, key=lambda point: (point.step, point.at))

    def _pages(self, experiments: Sequence[Experiment], ask: str) -> Iterator[Any]:
        token = None
        while True:
            page = self._connected().search_runs(
                [one.native_id for one in experiments], ask, max_results=_PAGE, order_by=["attributes.start_time ASC"], page_token=token
            )
            yield from page
            token = page.token
            if not token:
                return

    def _experiments_of(self, tenant: str) -> list[Experiment]:
        found, token = [], None
        with self._talking():
            while True:
                page = self._connected().search_experiments(
                    filter_string=f"tags.`{TENANT_TAG}` = '{tenant}'", order_by=["creation_time ASC"], page_token=token
                )
                found += [to_experiment(one) for one in page]
                token = page.token
                if not token:
                    return found

    def _native(self, run: RunKey) -> str | None:
        """MLflow's id of a run, looked for once, and nowhere but in the run's own experiment."""
        if run not in self._ids:
            experiment = self._connected().get_experiment_by_name(experiment_name(run.tenant, run.experiment))
            if experiment is None:
                return None
            found = self._connected().search_runs([experiment.experiment_id], f"tags.`{RUN_TAG}` = '{run.run_id}'", max_results=1)
            if not found:
                return None
            self._ids[run] = found[0].info.run_id
        return self._ids[run]

    def _known(self, run: RunKey) -> str:
        native = self._native(run)
        if native is None:
            where = masked_url(self.tracking_uri)
            raise ExperimentError(f"tracker mlflow: no run {run.run_id!r} of {run.experiment!r} in {where} - start it first")
        return native

    @contextmanager
    def _talking(self) -> Iterator[None]:
        """Requests to a server that answered a moment ago, or is asked first; nothing of an outage is left to MLflow's own patience."""
        with errors(self.tracking_uri):
            load()
            if time.monotonic() - self._answered > _FRESH:
                ask(self.tracking_uri)
            try:
                yield
            except Exception:
                self._answered = -math.inf
                raise
            self._answered = time.monotonic()

    def _connected(self) -> MlflowClient:
        with self._lock:
            if self._client is None or self._pid != os.getpid():
                self._client = connect(self.tracking_uri)
                self._pid = os.getpid()
            return self._client


def _parts(items: Sequence[Any], size: int) -> list[Sequence[Any]]:
    return [items[start : start + size] for start in range(0, len(items), size)]


def _equalities(where: Condition | None) -> dict[str, str]:
    """Fields that must equal a text whatever else holds."""
    terms = where.terms if isinstance(where, And) else (where,)
    found: dict[str, str] = {}
    for term in terms:
        if isinstance(term, And):
            found |= _equalities(term)
        elif isinstance(term, Comparison) and term.operator == "=" and isinstance(term.value, str):
            found[term.field] = term.value
    return found
