"""The tracker role on Weights & Biases."""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal

from attrs import define, field, validators

from mlops_core.exceptions import ExperimentError, MLOpsError
from mlops_core.records import masked_url
from mlops_core.roles import Tracker
from mlops_tracker_wandb.names import project_name
from mlops_tracker_wandb.process import Worker, environment

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from mlops_core.records import RunKey, RunStart, RunStatus, TrackBatch

__all__ = ["WandbTracker"]

_PATIENCE: Final = 60.0  # seconds; W&B's import takes some of them at the first call
_COPYING: Final = 3600.0  # more for an artifact, which may be large
_HIDDEN: Final = "***"


@define(eq=False)
class WandbTracker(Tracker):
    """Runs in Weights & Biases, online or as files for ``wandb sync``.

    W&B runs in a process of the tracker's own, so that nothing of it is in the program: no import, no variable of the environment, no
    ``wandb.run``, no thread of its service. What that process has confirmed is in the run's log on disk. If it dies, or W&B's service,
    the call fails, the core sends the batch again, and a new process goes on where the log ends: nothing twice, nothing lost.
    """

    contract: ClassVar[int] = 1
    capabilities: ClassVar[frozenset[str]] = frozenset()

    mode: Literal["online", "offline"] | None = field(
        default=None,
        metadata={
            "help": "online, or offline: nothing is sent, `wandb sync` does so later; default: offline where WANDB_MODE is not online"
        },
    )
    project: str | None = field(default=None, metadata={"help": "one project for all runs; default: one per experiment, TENANT~EXPERIMENT"})
    entity: str | None = field(default=None, metadata={"help": "the team or user whose projects these are; default: as W&B finds it"})
    dir: str = field(default=".mlops/wandb", metadata={"help": "the folder for logs and artifacts", "path": True})
    base_url: str | None = field(default=None, metadata={"help": "the address of a W&B server of your own; default: as W&B finds it"})
    api_key: str | None = field(
        default=None, repr=False, metadata={"help": "the key, as ${VAR} or ${file:PATH}; default: WANDB_API_KEY or W&B's login"}
    )
    upload_timeout: float = field(
        default=30.0,
        validator=validators.gt(0),
        metadata={"help": "seconds that the end of a run waits online for its upload; what is left stays in 'dir' for `wandb sync`"},
    )
    _worker: Worker | None = field(default=None, init=False, repr=False)
    _pid: int = field(factory=os.getpid, init=False, repr=False)
    _lock: threading.RLock = field(factory=threading.RLock, init=False, repr=False)

    def check(self) -> None:
        """Start W&B and, online, log in."""
        self._ask("check")

    def location(self) -> str:
        """The folder for ``wandb sync``, or the server."""
        if self._mode() == "offline":
            return str(Path(self.dir).absolute())
        return masked_url(self.base_url or os.environ.get("WANDB_BASE_URL") or "https://wandb.ai")

    def close(self) -> None:
        """End the process and W&B's service. Runs that have not ended can be resumed. Idempotent."""
        if self._pid != os.getpid():
            return
        with self._lock:
            worker, self._worker = self._worker, None
            if worker is None:
                return
            try:
                with suppress(OSError):  # it is gone already, and the logs have what it confirmed
                    worker.ask({"call": "close"}, self.upload_timeout + _PATIENCE)
            finally:
                worker.stop()

    def ensure_experiment(self, tenant: str, name: str, tags: Mapping[str, str]) -> str:
        """The project's name: W&B makes a project with its first run, and keeps no tags of one."""
        del tags
        project = self.project or project_name(tenant, name)
        return project if self.entity is None else f"{self.entity}/{project}"

    def start_run(self, run: RunStart) -> None:
        """Open the run, or open it again."""
        self._ask("start_run", start=run.to_dict())

    def write(self, run: RunKey, batch: TrackBatch) -> None:
        """Write what the run lacks of a batch."""
        self._ask("write", run=run.to_dict(), batch=batch.to_dict())

    def put_artifact(self, run: RunKey, name: str, path: Path) -> None:
        """Log it as an artifact of W&B, with the run's id as an alias."""
        self._ask("put_artifact", _COPYING, run=run.to_dict(), name=name, path=str(path.absolute()))

    def end_run(self, run: RunKey, status: RunStatus, at: datetime) -> None:
        """Close it; an interrupted run is one that was killed."""
        self._ask("end_run", self.upload_timeout, run=run.to_dict(), status=status.value, at=at.isoformat())

    def _ask(self, call: str, more: float = 0.0, /, **arguments: Any) -> None:
        with self._owned():
            try:
                answer = self._running().ask({"call": call, **arguments}, _PATIENCE + more)
            except OSError as error:
                self._drop()
                raise self._outage(str(error)) from error
            if "refused" in answer:
                raise ExperimentError(answer["refused"])
            if "broken" in answer:
                self._drop()
                raise self._outage(answer["broken"])

    def _owned(self) -> threading.RLock:
        """The lock of this process; a forked child has another, and no worker yet."""
        if self._pid != os.getpid():
            self._pid, self._lock, self._worker = os.getpid(), threading.RLock(), None
        return self._lock

    def _running(self) -> Worker:
        if self._worker is None:
            folder = str(Path(self.dir).absolute())
            names = ("project", "entity", "base_url", "api_key", "upload_timeout")
            settings = {name: getattr(self, name) for name in names}
            self._worker = Worker({**settings, "dir": folder, "mode": self._mode()}, environment(folder, os.environ))
        return self._worker

    def _drop(self) -> None:
        if self._worker is not None:
            self._worker.stop()
            self._worker = None

    def _mode(self) -> str:
        return self.mode or ("online" if os.environ.get("WANDB_MODE", "online") == "online" else "offline")

    def _outage(self, reason: str) -> MLOpsError:
        for secret in (self.api_key, os.environ.get("WANDB_API_KEY")):
            reason = reason.replace(secret, _HIDDEN) if secret else reason
        remedy = "check 'dir'" if self._mode() == "offline" else "check 'api_key' and 'base_url', or set 'mode: offline'"
        return MLOpsError(f"tracker wandb: W&B cannot be used ({reason}) - {remedy}")
