"""The facade of experiment tracking."""

from __future__ import annotations

import logging
import os
import threading
import uuid
import weakref
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar

from mlops_core.clock import SystemClock
from mlops_core.exceptions import ExperimentError, MLOpsError
from mlops_core.names import check_name
from mlops_core.query import parse
from mlops_core.records import Experiment, RunComparison, RunKey, RunStart
from mlops_core.tracking.delivery import Delivery, undelivered
from mlops_core.tracking.run import Run
from mlops_core.tracking.values import check_artifacts, check_key, check_metrics, check_params, check_step, check_tags

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import TracebackType

    from mlops_core.records import Metric, Query, RunStatus, TrackedRun
    from mlops_core.roles import Backend, Tracker
    from mlops_core.spool import Spool
    from mlops_core.stack import Stack

__all__ = ["ExperimentTracker"]

_log = logging.getLogger(__name__)
_DEFAULT_EXPERIMENT = "default"
_EXPERIMENT_FIELDS = ("name", "experiment_id")
_RUN_FIELDS = ("run_id", "experiment", "name", "status", "started")
_WAIT = 30.0
T = TypeVar("T")


class ExperimentTracker:
    """Records experiments and runs with every tracker that the configuration names.

    A call returns when its record is in the spool (process-safe: it survives ``kill -9``); threads in the background deliver it. A tracker
    that is down or refuses something is a warning that names it, and stops neither the others nor the caller. ``log_*`` on the facade
    itself go to its implicit run, begun at the first of them and ended by ``end_run`` or ``close``; threads that log at the same time use
    handles from ``start_run``.

    Args:
        tracking_uri: Where MLflow keeps its data, a folder or a URI; it replaces the configured trackers. None: the configured ones.
        tenant_id: The tenant; None for the project's.
        stack: The stack to stand on; None: that of the project (see ``mlops_core.stack.locate``).
        mode: ``spool`` (default), or ``sync``: each call waits until every tracker has its record, and raises if one has not.

    Raises:
        ExperimentError: From every method, one line.
    """

    def __init__(
        self,
        tracking_uri: str | os.PathLike[str] | None = None,
        tenant_id: str | None = None,
        *,
        stack: Stack | None = None,
        mode: Literal["spool", "sync"] = "spool",
    ) -> None:
        if mode not in {"spool", "sync"}:
            raise ExperimentError(f"tracker: mode {mode!r} is not known - use 'spool' or 'sync'")
        self._stack = _stack(stack, tracking_uri, tenant_id)
        self._owned = tracking_uri is not None
        self._mode = mode
        self._experiment = _DEFAULT_EXPERIMENT
        self._run: Run | None = None
        self._open_runs: set[Run] = set()
        self._delivery: Delivery | None = None
        self._locks: dict[int, threading.Lock] = {}
        self._finalizer: weakref.finalize[..., ExperimentTracker] = weakref.finalize(self, _nothing)

    # -- experiments and runs

    def create_experiment(self, experiment_name: str, tags: Mapping[str, Any] | None = None) -> str:
        """Create an experiment if it is missing, merge the tags, and make it the current one.

        Returns:
            The experiment's id, the same for the same tenant and name on every backend.
        """
        name = check_name(experiment_name, "experiment", ExperimentError)
        checked = check_tags(tags or {})
        spool = self._spool("experiment", {"kind": "experiment", "tenant": self.tenant_id, "name": name, "tags": checked})
        self._ready().add(spool, sealed=True)
        self._experiment = name
        self._after_write(None)
        return Experiment(self.tenant_id, name).experiment_id

    def start_run(
        self,
        run_name: str | None = None,
        *,
        experiment: str | None = None,
        run_id: str | None = None,
        parent: Run | str | None = None,
        tags: Mapping[str, Any] | None = None,
    ) -> Run:
        """Open a run, or resume the experiment's one with ``run_id``. Use the handle, as a context manager or with its ``end``.

        ``parent`` is a handle, or the id of a run of the same experiment.
        """
        known = check_name(run_id, "run", ExperimentError) if run_id is not None else uuid.uuid4().hex
        key = RunKey(self.tenant_id, check_name(experiment or self._experiment, "experiment", ExperimentError), known)
        start = RunStart(
            key,
            name=check_key(run_name, "run") if run_name is not None else f"run-{known[:8]}",
            at=self._stack.clock.now(),
            tags=check_tags(tags or {}),
            parent=_parent(parent, key),
        )
        run = Run(start, self._stack, self._open, self._after_write, self._seal)
        run.set_tags({})  # the run exists from here on, even if nothing more is logged
        return run

    @property
    def active_run(self) -> Run:
        """The implicit run of this facade, opened if there is none."""
        if self._run is None or self._run.status != "running":
            self._run = self.start_run()
        return self._run

    def log_params(self, params: Mapping[str, Any]) -> None:
        """Record params in the implicit run (see ``Run.log_params``)."""
        check_params(params)  # what is refused begins no run; so below
        self.active_run.log_params(params)

    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Record metrics in the implicit run (see ``Run.log_metrics``)."""
        check_metrics(metrics)
        check_step(step)
        self.active_run.log_metrics(metrics, step)

    def log_artifacts(self, artifacts: Mapping[str, str | os.PathLike[str]]) -> None:
        """Keep files and directories in the implicit run (see ``Run.log_artifacts``)."""
        check_artifacts(artifacts)
        self.active_run.log_artifacts(artifacts)

    def set_tags(self, tags: Mapping[str, Any]) -> None:
        """Set tags of the implicit run."""
        check_tags(tags)
        self.active_run.set_tags(tags)

    def end_run(self, status: RunStatus | str = "finished") -> None:
        """End the implicit run, if there is one."""
        if self._run is not None:
            self._run.end(status)
            self._run = None

    # -- search

    def search_experiments(self, filter_string: str = "", *, limit: int | None = None) -> tuple[Experiment, ...]:
        """Experiments that match; a bare name in the filter is a tag (see ``mlops_core.query``)."""
        query = parse(filter_string, default="tags", attributes=_EXPERIMENT_FIELDS, limit=limit, error=ExperimentError)
        backend = self._searcher()
        return tuple(self._guard(lambda: list(backend.find_experiments(self.tenant_id, query))))

    def search_runs(self, filter_string: str = "", *, experiment: str | None = None, limit: int | None = None) -> tuple[TrackedRun, ...]:
        """Runs that match, of one experiment or of all; a bare name in the filter is a tag, or ``status``, ``name`` and the like."""
        query = parse(filter_string, default="tags", attributes=_RUN_FIELDS, limit=limit, error=ExperimentError)
        if experiment is not None:
            query = _within(query, check_name(experiment, "experiment", ExperimentError))
        backend = self._searcher()
        return tuple(self._guard(lambda: list(backend.find_runs(self.tenant_id, query))))

    def get_run(self, run_id: str, *, experiment: str | None = None) -> TrackedRun:
        """One run by its id; where several experiments have a run of that id, ``experiment`` says which."""
        found = self.search_runs(f"run_id = '{check_name(run_id, 'run', ExperimentError)}'", experiment=experiment)
        if not found:
            raise ExperimentError(f"tracker: no run {run_id!r} of tenant {self.tenant_id!r} - `mlops runs` lists them")
        if len(found) > 1:
            names = ", ".join(sorted(run.experiment for run in found))
            raise ExperimentError(f"tracker: run {run_id!r} is in several experiments: {names} - give the experiment as well")
        return found[0]

    def best_run(self, metric: str, *, maximize: bool = True, experiment: str | None = None, filter_string: str = "") -> TrackedRun | None:
        """The run with the highest (or lowest) last value of a metric; None if no run has it."""
        order = f"{filter_string} order by metrics.`{check_key(metric, 'metric')}` {'desc' if maximize else 'asc'}"
        found = self.search_runs(order, experiment=experiment, limit=1)
        return found[0] if found and metric in found[0].metrics else None

    def compare_runs(self, run_ids: Sequence[str], *, experiment: str | None = None) -> RunComparison:
        """The params and metrics in which runs differ; ``experiment`` as for ``get_run``."""
        if isinstance(run_ids, str) or not isinstance(run_ids, Iterable):
            raise ExperimentError(f"tracker: expected the ids of runs, got {type(run_ids).__name__} - give a list of them")
        return RunComparison(tuple(self.get_run(run_id, experiment=experiment) for run_id in run_ids))

    def metric_history(self, run_id: str, metric: str, *, experiment: str | None = None) -> tuple[Metric, ...]:
        """Every point of a run's metric, by step; empty if it has none. ``experiment`` as for ``get_run``."""
        name, run = check_key(metric, "metric"), self.get_run(run_id, experiment=experiment)
        backend, key = self._searcher(), RunKey(self.tenant_id, run.experiment, run.run_id)
        return tuple(self._guard(lambda: list(backend.read_metric(key, name))))

    def plot_metrics(
        self, run_ids: Sequence[str], path: str | os.PathLike[str], *, metrics: Sequence[str] | None = None, experiment: str | None = None
    ) -> Path:
        """Draw the runs' metrics by step, a panel each, into a ``.png``, ``.svg`` or ``.html`` file; ``metrics`` None: all that they have.

        Needs matplotlib, the extra ``plot``. Answers the path.
        """
        from mlops_core.tracking.curves import curves_of, draw

        runs = self.compare_runs(run_ids, experiment=experiment).runs
        curves = curves_of(runs, metrics, lambda run, name: self.metric_history(run.run_id, name, experiment=run.experiment))
        draw(curves, Path(path))
        return Path(path)

    # -- life

    @property
    def tenant_id(self) -> str:
        """The tenant whose experiments these are."""
        return self._stack.tenant

    @property
    def tracking_uri(self) -> str:
        """Where the first tracker is found: a URI or a path."""
        return self._first().location()

    def flush(self, timeout: float = _WAIT) -> bool:
        """Wait until every tracker has every record; False, and a warning, if one has not after ``timeout`` seconds."""
        if isinstance(timeout, bool) or not isinstance(timeout, int | float):
            raise ExperimentError(f"tracker: timeout {timeout!r} is no number of seconds - give for example 30.0")
        missing = self._ready().flush(timeout)
        if missing:
            _log.warning("not everything is delivered yet: %s", undelivered(missing))
        return not missing

    def recover(self) -> int:
        """Replay what dead processes left in the spool and end their runs as interrupted; answers how many spools."""
        self._first()
        if self._delivery is None and not any(self._folder.glob("*")):
            return 0  # a loop asks for ever, and is not to import a tracker's client for nothing
        return self._ready().recover()

    def close(self) -> None:
        """End open runs, deliver, and stop. What a tracker could not be given stays in the spool for the next start. Idempotent."""
        self._finalizer()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if kind is not None:
            self.end_run("failed")
        self.close()

    # -- inside

    def _first(self) -> Tracker:
        trackers = self._guard(lambda: self._stack.parts.trackers)
        if not trackers:
            raise ExperimentError("tracker: none is configured - add for example 'tracker: mlflow' or 'tracker: local' to mlops.yaml")
        return next(iter(trackers.values()))

    def _searcher(self) -> Tracker:
        self._first()
        for backend in self._stack.parts.trackers.values():
            if "search" in backend.capabilities:
                self.flush()
                return backend
        names = ", ".join(self._stack.parts.trackers)
        raise ExperimentError(f"tracker: {names} cannot search - add one that can, such as mlflow, to 'tracker' in mlops.yaml")

    def _ready(self) -> Delivery:
        if self._delivery is None or not self._delivery.mine:
            self._guard(self._prepare)  # not under the lock: another thread's import may be waiting for it
        with self._locks.setdefault(os.getpid(), threading.Lock()):  # a fork may inherit one that is held for ever
            if self._delivery is None or not self._delivery.mine:
                self._delivery = self._begin(forked=self._delivery is not None)
            return self._delivery

    @property
    def _folder(self) -> Path:
        return self._stack.workdir / "spool" / "tracking" / self.tenant_id

    def _prepare(self) -> None:
        for tracker in self._stack.parts.trackers.values():
            tracker.prepare()

    def _begin(self, *, forked: bool) -> Delivery:
        self._first()
        if not self._owned:
            from mlops_core.stack.choice import keep

            self._guard(lambda: keep(self._stack.root, self._stack.settings))
        # The delivery's waits are real time, whatever clock the records carry.
        delivery = Delivery(self._folder, dict(self._stack.parts.trackers), SystemClock())
        if forked:
            self._open_runs = set()
        self._finalizer = weakref.finalize(self, _close, delivery, self._open_runs, owned=self._owned)
        delivery.start()
        delivery.take_over()
        return delivery

    def _spool(self, name: str, first: Mapping[str, Any]) -> Spool:
        from mlops_core.spool import Spool

        spool = self._guard(lambda: Spool.open(self._ready().folder, f"{name}.{uuid.uuid4().hex[:12]}"))
        try:
            self._guard(lambda: spool.append(first))
        except ExperimentError:
            spool.remove()
            raise
        return spool

    def _open(self, run: Run) -> Spool:
        """A spool for what this process logs to a run."""
        spool = self._spool(run.run_id, {"kind": "start", "start": run.start.to_dict()})
        self._ready().add(spool, run.start)
        self._open_runs.add(run)
        return spool

    def _seal(self, run: Run, spool: Spool) -> None:
        self._open_runs.discard(run)
        self._ready().seal(spool)

    def _after_write(self, run: Run | None) -> None:
        del run
        if self._mode == "sync":
            missing = self._ready().flush(_WAIT)
            if missing:
                raise ExperimentError(f"tracker: not delivered: {undelivered(missing)} - the records are kept and sent later")

    def _guard(self, call: Callable[[], T]) -> T:
        """Whatever a backend raises leaves as one ``ExperimentError``."""
        try:
            return call()
        except ExperimentError:
            raise
        except MLOpsError as error:
            raise ExperimentError(error.message) from error
        except Exception as error:
            reason = str(error).partition("\n")[0]
            raise ExperimentError(f"tracker: {type(error).__name__}: {reason} - `mlops check --connect` tells more") from error


def _parent(parent: Run | str | None, child: RunKey) -> RunKey | None:
    if parent is None:
        return None
    if isinstance(parent, Run):
        return parent.key
    return RunKey(child.tenant, child.experiment, check_name(parent, "parent run", ExperimentError))


def _within(query: Query, experiment: str) -> Query:
    from attrs import evolve

    from mlops_core.records import And, Comparison

    only = Comparison("experiment", "=", experiment)
    return evolve(query, where=only if query.where is None else And((only, query.where)))


def _stack(stack: Stack | None, tracking_uri: str | os.PathLike[str] | None, tenant: str | None) -> Stack:
    try:
        from mlops_core.stack import stack_for

        found = stack_for(stack, tenant)
        return found if tracking_uri is None else found.replacing(trackers={"mlflow": _mlflow(tracking_uri, found.root)})
    except MLOpsError as error:
        raise ExperimentError(error.message) from error


def _mlflow(tracking_uri: str | os.PathLike[str], root: Path) -> Backend:
    """The specification's argument: MLflow, whatever the configuration says; a folder is meant from where the caller stands."""
    from mlops_core.config.settings import Use
    from mlops_core.plugins import Loader
    from mlops_core.stack.assembly import Assembly

    if not isinstance(tracking_uri, str | os.PathLike):
        raise ExperimentError(f"tracking_uri: expected text or a path, got {type(tracking_uri).__name__} - give a folder or a URI")
    where = os.fsdecode(tracking_uri)
    if "://" not in where:
        where = str(Path(where).absolute())
    return Assembly(Loader(root), root).build("tracker", Use("mlflow", {"tracking_uri": where}, key="tracking_uri"))


def _nothing() -> None:
    """Nothing was opened, nothing is to be closed."""


def _close(delivery: Delivery, runs: set[Run], *, owned: bool) -> None:
    if not delivery.mine:
        return
    for run in list(runs):  # each leaves the set as it ends
        run.end()
    missing = delivery.close(_WAIT)
    if missing:
        _log.warning("not delivered, kept in %s for the next start: %s", delivery.folder, undelivered(missing))
    if owned:
        for tracker in delivery.trackers.values():
            tracker.close()
