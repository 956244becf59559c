"""A handle on one run: what is logged is in the spool when the call returns."""

from __future__ import annotations

import os
import shutil
import threading
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self

from attrs import Factory, define, evolve, field

from mlops_core.exceptions import ExperimentError, MLOpsError
from mlops_core.records import RunKey, RunStart, RunStatus
from mlops_core.roles import Clock
from mlops_core.spool import Spool
from mlops_core.tracking.values import check_artifact, check_artifacts, check_metrics, check_params, check_step, check_tags

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType


__all__ = ["Run"]


@define(eq=False)
class Run:
    """A run of an experiment, made by ``ExperimentTracker.start_run``. Safe from several threads and in forked children.

    As a context manager it ends ``finished``, or ``failed`` if the block raised. In a forked child the handle adds to the run, and its
    end is that of the child's part: only the process that opened a run ends it. Every method raises ``ExperimentError``.
    """

    start: RunStart
    _clock: Clock = field(repr=False)
    _open: Callable[[Run], Spool] = field(repr=False)
    _written: Callable[[Run], None] = field(repr=False)
    _sealed: Callable[[Run, Spool], None] = field(repr=False)
    status: RunStatus = field(default=RunStatus.RUNNING, init=False)
    _spool: Spool | None = field(default=None, init=False, repr=False)
    _named: dict[str, Any] = field(default=Factory(lambda self: self.start.key.to_dict(), takes_self=True), init=False, repr=False)
    _params: dict[str, str] = field(factory=dict, init=False, repr=False)
    _lock: threading.RLock = field(factory=threading.RLock, init=False, repr=False)
    _pid: int = field(factory=os.getpid, init=False, repr=False)

    @property
    def run_id(self) -> str:
        """The run's id, chosen by the core and stable."""
        return self.start.key.run_id

    @property
    def name(self) -> str:
        """The run's name."""
        return self.start.name

    @property
    def experiment(self) -> str:
        """The experiment's name."""
        return self.start.key.experiment

    @property
    def key(self) -> RunKey:
        """What tells this run from every other: tenant, experiment and id."""
        return self.start.key

    def log_params(self, params: Mapping[str, Any]) -> None:
        """Record params; values are kept as text. A param's value cannot change within a run."""
        checked = check_params(params)
        with self._owned():
            changed = next((key for key, value in checked.items() if self._params.get(key, value) != value), None)
            if changed is not None:
                raise ExperimentError(
                    f"tracker: run {self.run_id}: param {changed!r} is {self._params[changed]!r} already - log a metric or start a new run"
                )
            self._append({"kind": "batch", "params": checked})
            self._params.update(checked)

    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Record metrics at a step (a signed 64-bit integer, default 0)."""
        self._append({"kind": "batch", "metrics": check_metrics(metrics), "step": check_step(step)})

    def set_tags(self, tags: Mapping[str, Any]) -> None:
        """Set tags; a later value replaces an earlier one."""
        self._append({"kind": "batch", "tags": check_tags(tags)})

    def log_artifact(self, name: str, path: str | os.PathLike[str]) -> None:
        """Keep a copy of a file (as ``name/<file name>``) or of a directory (as ``name``), as it is now."""
        key, source = check_artifact(name, path)
        with self._owned():
            spool = self._ready()
            copy = spool.path.with_suffix(".files") / uuid.uuid4().hex / source.name
            try:
                copy.parent.mkdir(parents=True, mode=0o700)
                if source.is_dir():
                    shutil.copytree(source, copy)
                else:
                    shutil.copy2(source, copy)
            except OSError as error:
                shutil.rmtree(copy.parent, ignore_errors=True)
                raise ExperimentError(f"tracker: artifact {key!r}: cannot copy {source}: {error.strerror}") from error
            stored = key if source.is_dir() else f"{key}/{source.name}"
            self._append({"kind": "artifact", "name": stored, "path": str(copy.relative_to(spool.path.parent))})

    def log_artifacts(self, artifacts: Mapping[str, str | os.PathLike[str]]) -> None:
        """Keep several, by name; nothing is kept if one of them is missing."""
        check_artifacts(artifacts)
        for name, path in artifacts.items():
            self.log_artifact(name, path)

    def end(self, status: RunStatus | str = RunStatus.FINISHED) -> None:
        """End the run. Ending twice changes nothing."""
        try:
            ended = RunStatus(status)
        except ValueError:
            known = ", ".join(one.value for one in RunStatus if one is not RunStatus.RUNNING)
            raise ExperimentError(f"tracker: {status!r} is no status that a run ends with - use one of {known}") from None
        with self._owned():
            if self.status is not RunStatus.RUNNING:
                return
            if not self.start.join:
                self._append({"kind": "end", "status": ended.value, "at": self._clock.now().isoformat()})
            self.status = ended
            if self._spool is not None:
                self._sealed(self, self._spool)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.end(RunStatus.FINISHED if kind is None else RunStatus.FAILED)

    def _owned(self) -> threading.RLock:
        """The lock of this process: one inherited by a fork may be held for ever by a thread that is not here."""
        if self._pid != os.getpid():
            self._pid, self._lock, self._spool = os.getpid(), threading.RLock(), None
            self.start = evolve(self.start, join=True)
        return self._lock

    def _ready(self) -> Spool:
        """This process's spool of the run, opened with the record that starts or resumes it."""
        if self._spool is None:
            self._spool = self._open(self)
        return self._spool

    def _append(self, record: dict[str, Any]) -> None:
        with self._owned():
            if self.status is not RunStatus.RUNNING:
                raise ExperimentError(f"tracker: run {self.run_id} has ended ({self.status.value}) - start or resume a run to log more")
            try:
                at = self._clock.now().timestamp()
                self._ready().append({"run": self._named, "at": at, "step": 0, **record})
            except ExperimentError:
                raise
            except MLOpsError as error:
                raise ExperimentError(error.message) from error
        self._written(self)
