"""One run open in W&B: what is written to it, and the wait until that is in its log."""

from __future__ import annotations

import time
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final

import wandb
from attrs import define, field

from mlops_core.exceptions import ExperimentError
from mlops_core.records import RunStatus
from mlops_tracker_wandb.log import Log
from mlops_tracker_wandb.names import collection_name, labels
from mlops_tracker_wandb.state import KEY, RESERVED, STEP, RunState, Seen

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from mlops_core.records import Metric, TrackBatch

__all__ = ["Session"]

_SETTLED: Final = 30.0  # seconds
_POLL: Final = 0.002
_NOTES: Final = "notes"
_EXIT_CODES: Final = {
    RunStatus.FINISHED: 0,
    RunStatus.FAILED: 1,
    RunStatus.INTERRUPTED: 255,  # what W&B itself reports of a program that was interrupted, and shows as killed
}


@define(eq=False)
class Session:
    """Writes to a run of W&B. Every method returns when what it wrote is in the log, which survives the death of every process.

    A batch is one record of the run's config, with params, tags and the batch's number, and a row of history per step and time. The log
    keeps their order, so that after any crash it tells how much of a batch it has. What any method raises but ``ExperimentError`` leaves
    the session unusable.
    """

    run: wandb.Run
    state: RunState
    params: dict[str, str]
    _log: Log
    _seen: Seen = field(factory=Seen, init=False)
    _artifacts: int = field(default=0, init=False)

    def begin(self) -> None:
        """Wait until the log has the run."""
        self.run.define_metric("*", step_metric=STEP)
        self._settle()

    def start(self, tags: Mapping[str, str]) -> None:
        """The run is open again."""
        self.state.status, self.state.ended, self.state.joined = RunStatus.RUNNING.value, None, False
        self._record({}, tags)
        self._settle()

    def write(self, batch: TrackBatch) -> None:
        """Write what the log lacks of a batch."""
        done, ahead = self.state.batches.get(batch.writer, (0, 0))
        if batch.sequence <= done:
            return
        self._check(batch)
        self.state.open(batch.writer, batch.sequence, len(batch.metrics))
        self._record(batch.params, batch.tags)
        for row in _rows(batch.metrics[ahead:]):
            self.run.log({**row.values, STEP: row.step, "_timestamp": row.at}, step=self.state.rows, commit=True)
            self.state.add_row(len(row.values))
        self._settle()

    def put_artifact(self, name: str, path: Path) -> None:
        """Log an artifact of W&B with the aliases ``latest`` and the run's id."""
        try:
            made = self._artifact(name, path)
        except (ValueError, TypeError) as error:
            reason = str(error).partition("\n")[0]
            raise ExperimentError(f"tracker wandb: run {self.state.run_id}: artifact {name!r}: {reason} - log it again") from error
        self.run.log_artifact(made, aliases=["latest", self.state.run_id])
        self._artifacts += 1
        self._settle()

    def _artifact(self, name: str, path: Path) -> wandb.Artifact:
        kind = "model" if name.partition("/")[0] == "model" else "file"
        made = wandb.Artifact(collection_name(name), type=kind, metadata={"name": name, "run_id": self.state.run_id})
        if path.is_dir():
            made.add_dir(str(path))
        else:
            made.add_file(str(path), name=PurePosixPath(name).name)
        return made

    def end(self, status: RunStatus, at: datetime) -> None:
        """Record the status and close the run with it."""
        self.state.status, self.state.ended, self.state.joined = status.value, at.isoformat(), False
        self._record({}, {})
        self._settle()  # W&B may come back from closing a run before its log has all
        self.finish()

    def finish(self) -> None:
        """Close the run with the status that it has."""
        self.run.finish(exit_code=_EXIT_CODES[RunStatus(self.state.status)])

    def _check(self, batch: TrackBatch) -> None:
        run = self.state.run_id
        changed = next((name for name, value in batch.params.items() if self.params.get(name, value) != value), None)
        if changed is not None:
            raise ExperimentError(f"tracker wandb: run {run}: param {changed!r} cannot change, it is {self.params[changed]!r}")
        taken = RESERVED.intersection(metric.name for metric in batch.metrics) | (RESERVED | {KEY}).intersection(batch.params)
        if taken:
            raise ExperimentError(f"tracker wandb: run {run}: W&B keeps the name {min(taken)!r} for itself - choose another")

    def _record(self, params: Mapping[str, str], tags: Mapping[str, str]) -> None:
        self.state.serial += 1
        changed = {name: value for name, value in tags.items() if self.state.tags.get(name) != value}
        self.state.tags.update(tags)
        self.params.update(params)
        self.run.config.update({**params, KEY: self.state.to_config()}, allow_val_change=True)  # type: ignore[no-untyped-call]  # untyped in W&B
        if changed:
            self.run.tags = labels(self.state.tags)
        if _NOTES in changed:
            self.run.notes = tags[_NOTES]

    def _settle(self) -> None:
        """Wait until the log has everything; W&B writes it a few milliseconds later."""
        deadline = time.monotonic() + _SETTLED
        while True:
            for record in self._log.records():
                self._seen.add(record)
            if self._is_settled():
                return
            if time.monotonic() > deadline:
                raise TimeoutError(f"W&B has not written to {self._log.path} for {_SETTLED:.0f} s")
            time.sleep(_POLL)

    def _is_settled(self) -> bool:
        seen = self._seen.state
        wanted = (self.state.serial, self.state.rows, self._artifacts)
        return seen is not None and (seen.serial, seen.rows, self._seen.artifacts) == wanted


@define
class _Row:
    step: int
    at: float
    values: dict[str, float] = field(factory=dict)


def _rows(metrics: Sequence[Metric]) -> list[_Row]:
    """Neighbours of one step and time are a row, in the order given, so that each row continues what the log has."""
    rows: list[_Row] = []
    for metric in metrics:
        at = metric.at.timestamp()
        if not rows or (rows[-1].step, rows[-1].at) != (metric.step, at) or metric.name in rows[-1].values:
            rows.append(_Row(metric.step, at))
        rows[-1].values[metric.name] = metric.value
    return rows
