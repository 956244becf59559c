"""The runs that are open in W&B: found by their logs, opened when they are first needed."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import wandb
from attrs import define, evolve, field

from mlops_core.exceptions import ExperimentError
from mlops_core.records import RunKey, RunStart, RunStatus, TrackBatch
from mlops_tracker_wandb.log import Log
from mlops_tracker_wandb.names import labels, project_name, run_name
from mlops_tracker_wandb.session import Session
from mlops_tracker_wandb.state import KEY, RunState, Seen, merged

if TYPE_CHECKING:
    from datetime import datetime

__all__ = ["Desk", "Target"]

_FLUSH: Final = 0.02  # seconds until W&B writes to the log what it has been given; its own default is 15
_GREETING: Final = 20  # seconds that the server is waited for
_QUIET: Final = {
    "console": "off",
    "disable_git": True,
    "disable_job_creation": True,
    "reinit": "create_new",
    "save_code": False,
    "silent": True,
    "symlink": False,
    "x_disable_machine_info": True,
    "x_disable_meta": True,
    "x_disable_stats": True,
    "x_save_requirements": False,
    "x_transaction_log_flush_interval": _FLUSH,
}


@define
class Target:
    """Where runs go: the tracker's options."""

    dir: str
    mode: str
    project: str | None = None
    entity: str | None = None
    base_url: str | None = None
    api_key: str | None = field(default=None, repr=False)
    upload_timeout: float = 30.0


@define(eq=False)
class Desk:
    """The tracker's calls on W&B, in the process that imports it.

    ``ExperimentError`` has changed nothing; after anything else the process must go, and the logs tell the next one where to go on.
    """

    target: Target
    _open: dict[RunKey, Session] = field(factory=dict, init=False, repr=False)

    def check(self) -> None:
        """Import W&B, make the folder and, online, log in."""
        Path(self.target.dir).mkdir(parents=True, exist_ok=True)
        if self.target.mode == "online":
            overrides = {} if self.target.base_url is None else {"base_url": self.target.base_url}
            wandb.Api(overrides=overrides, timeout=_GREETING, api_key=self.target.api_key).viewer  # noqa: B018  it asks who we are

    def start_run(self, run: RunStart) -> None:
        """Open a run, or open it again."""
        session = self._open.get(run.key)
        seen = None if session else self._seen(run.key)
        if session is None and seen is None:
            self._begin(run.key, Seen(RunState.of(run)), joined=False)
        elif not run.join:
            (session or self._begin(run.key, seen or Seen(), joined=False)).start(run.tags)

    def write(self, run: RunKey, batch: TrackBatch) -> None:
        """Write what the run lacks of a batch."""
        self._known(run).write(batch)

    def put_artifact(self, run: RunKey, name: str, path: Path) -> None:
        """Store an artifact."""
        self._known(run).put_artifact(name, path)

    def end_run(self, run: RunKey, status: RunStatus, at: datetime) -> None:
        """Close a run; one that is closed in this way already stays as it is."""
        if run not in self._open:
            seen = self._seen(run)
            if seen is not None and seen.state is not None and seen.closed and (seen.state.status, seen.state.ended) == _ending(status, at):
                return
        self._known(run).end(status, at)
        del self._open[run]

    def close(self) -> None:
        """Close what was opened of runs that have ended. One that goes on keeps an open end, as of a program that died."""
        for session in self._open.values():
            if session.state.status != RunStatus.RUNNING:
                session.finish()
        self._open.clear()

    def _known(self, run: RunKey) -> Session:
        if run not in self._open:
            seen = self._seen(run)
            if seen is None:
                raise ExperimentError(f"tracker wandb: no run {run.run_id!r} of {run.experiment!r} in {self.target.dir} - start it first")
            return self._begin(run, seen, joined=True)
        return self._open[run]

    def _folder(self, run: RunKey) -> Path:
        return Path(self.target.dir) / run.tenant / run.experiment

    def _seen(self, run: RunKey) -> Seen | None:
        name = run_name(run)
        return merged(_read(path) for path in (self._folder(run) / "wandb").glob(f"*run-*-{name}*/run-{name}.wandb"))

    def _begin(self, run: RunKey, seen: Seen, *, joined: bool) -> Session:
        if seen.state is None:
            raise ExperimentError(f"tracker wandb: the log of run {run.run_id!r} says nothing of it - move it away")
        old = seen.state
        state = evolve(old, opened=None, session=old.session + 1, serial=old.serial + 1, joined=joined)
        self._folder(run).mkdir(parents=True, exist_ok=True)
        settings = wandb.Settings(**self._settings(run, state))
        native = wandb.init(settings=settings, config={**seen.params, KEY: state.to_config()})
        session = Session(native, state, dict(seen.params), Log(Path(native.settings.sync_file)))
        session.begin()
        self._open[run] = session
        return session

    def _settings(self, run: RunKey, state: RunState) -> dict[str, Any]:
        target = self.target
        online = {"resume": "allow", "init_timeout": _GREETING, "finish_timeout": target.upload_timeout} if target.mode == "online" else {}
        given = {
            "mode": target.mode,
            "entity": target.entity,
            "project": target.project or project_name(run.tenant, run.experiment),
            "base_url": target.base_url,
            "api_key": target.api_key,
            "root_dir": str(self._folder(run)),
            "run_id": run_name(run),
            "run_name": state.name,
            "run_group": state.parent,
            "run_tags": labels(state.tags) or None,
            "run_notes": state.tags.get("notes"),
            "x_sync_dir_suffix": uuid.uuid4().hex[:8],  # W&B names a log's folder by the second, in which several processes may begin
        }
        return {**_QUIET, **online, **{name: value for name, value in given.items() if value is not None}}


def _read(path: Path) -> Seen:
    seen = Seen()
    for record in Log(path).records():
        seen.add(record)
    return seen


def _ending(status: RunStatus, at: datetime) -> tuple[str, str]:
    return status.value, at.isoformat()
