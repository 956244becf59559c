"""A handle on one run: what is logged is in the spool when the call returns."""

from __future__ import annotations

import os
import platform
import shutil
import threading
import uuid
from collections.abc import Callable
from functools import partial
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Self

from attrs import Factory, define, evolve, field

from mlops_core.exceptions import ExperimentError, MLOpsError
from mlops_core.provenance import commit_of, packages, platform_name
from mlops_core.records import RunKey, RunStart, RunStatus
from mlops_core.spool import Spool
from mlops_core.stack import Stack
from mlops_core.tracking.objects import figure_writer, table_writer
from mlops_core.tracking.values import (
    check_artifact,
    check_artifacts,
    check_key,
    check_metrics,
    check_params,
    check_step,
    check_tags,
    check_written,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from types import TracebackType

__all__ = ["Run"]


@define(eq=False)
class Run:
    """A run of an experiment, made by ``ExperimentTracker.start_run``. Safe from several threads and in forked children.

    As a context manager it ends ``finished``, or ``failed`` if the block raised. In a forked child the handle adds to the run, and its
    end is that of the child's part: only the process that opened a run ends it. Every method raises ``ExperimentError``.
    """

    start: RunStart
    _stack: Stack = field(repr=False)
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
        if source.is_dir():
            self._keep(key, partial(shutil.copytree, source), f"copy {source}")
        else:
            self._keep(f"{key}/{source.name}", partial(shutil.copy2, source), f"copy {source}")

    def log_artifacts(self, artifacts: Mapping[str, str | os.PathLike[str]]) -> None:
        """Keep several, by name; nothing is kept if one of them is missing."""
        check_artifacts(artifacts)
        for name, path in artifacts.items():
            self.log_artifact(name, path)

    def log_figure(self, name: str, figure: Any) -> None:
        """Keep a figure of matplotlib or plotly under a name that ends with its form, such as ``roc.png`` or ``roc.html``."""
        self._keep(check_key(name, "artifact"), figure_writer(name, figure), "draw it")

    def log_table(self, name: str, table: Any) -> None:
        """Keep a data frame, or a mapping of columns, under a name that ends with ``.csv`` or ``.parquet``."""
        self._keep(check_key(name, "artifact"), table_writer(name, table), "write it")

    def log_model(self, name: str, model: Any) -> None:
        """Keep a model, or another value, in the folder ``name``, in the first of the project's formats that accepts it."""
        from mlops_core.artifacts import Artifacts

        key = check_key(name, "artifact")

        def write(folder: Path) -> None:
            folder.mkdir()
            Artifacts(self._stack).write(model, PurePosixPath(key).name, folder)

        self._keep(key, write, "write it")

    def log_environment(self, *, seed: int | None = None) -> None:
        """Keep what the run is made with: tags ``git_commit`` (in a repository), ``python`` and ``platform``, and the installed packages.

        They are in the artifact ``environment/packages.txt``, a ``name==version`` in each line. ``seed`` becomes the param ``seed``.
        """
        commit = commit_of(self._stack.root)
        made = {"python": platform.python_version(), "platform": platform_name(), **({"git_commit": commit} if commit else {})}
        if seed is not None:
            self.log_params({"seed": check_step(seed)})
        self.set_tags(made)
        text = "".join(f"{one}\n" for one in packages())
        self._keep("environment/packages.txt", lambda place: place.write_text(text, encoding="utf-8"), "write it")

    def set_note(self, text: str) -> None:
        """Describe the run: the tag ``note``, which MLflow shows as the run's description. A later one replaces it."""
        self.set_tags({"note": text})

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
                self._append({"kind": "end", "status": ended.value, "at": self._stack.clock.now().isoformat()})
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

    def _keep(self, stored: str, write: Callable[[Path], object], what: str) -> None:
        """``write`` makes the file or folder that is delivered as ``stored``."""
        with self._owned():
            path = self._ready().path
        place = path.with_suffix(".files") / uuid.uuid4().hex / PurePosixPath(stored).name
        try:  # without the lock: a large file holds up no thread that logs a metric
            place.parent.mkdir(parents=True, mode=0o700)
            write(place)
            check_written(stored, place)
            self._put({"kind": "artifact", "name": stored, "path": str(place.relative_to(path.parent))})
        except BaseException as error:
            shutil.rmtree(place.parent, ignore_errors=True)
            if isinstance(error, ExperimentError) or not isinstance(error, Exception):
                raise
            cause = getattr(error, "strerror", None) or getattr(error, "message", None) or f"{type(error).__name__}: {error}"
            raise ExperimentError(f"tracker: artifact {stored!r}: cannot {what}: {' '.join(cause.split())[:300]}") from error
        self._written(self)

    def _append(self, record: dict[str, Any]) -> None:
        self._put(record)
        self._written(self)

    def _put(self, record: dict[str, Any]) -> None:
        """In the spool, or refused."""
        with self._owned():
            if self.status is not RunStatus.RUNNING:
                raise ExperimentError(f"tracker: run {self.run_id} has ended ({self.status.value}) - start or resume a run to log more")
            try:
                at = self._stack.clock.now().timestamp()
                self._ready().append({"run": self._named, "at": at, "step": 0, **record})
            except ExperimentError:
                raise
            except MLOpsError as error:
                raise ExperimentError(error.message) from error
