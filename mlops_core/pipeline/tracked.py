"""A pipeline run in the experiment trackers: opened, logged to and ended by the runner alone, so that there is one writer."""

from __future__ import annotations

import logging
from itertools import groupby
from typing import TYPE_CHECKING, Final

from attrs import define, field

from mlops_core.artifacts import Artifacts
from mlops_core.artifacts.scratch import scratch
from mlops_core.exceptions import MLOpsError
from mlops_core.records import PipelineStatus, RunStatus, StageResult
from mlops_core.stack import Stack
from mlops_core.tracking import ExperimentTracker
from mlops_core.tracking.run import Run

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["TrackedRun"]

_LOG = logging.getLogger(__name__)
_ENDS: Final = {PipelineStatus.SUCCEEDED: RunStatus.FINISHED, PipelineStatus.FAILED: RunStatus.FAILED}


@define(eq=False)
class TrackedRun:
    """The tracker's side of a run, under the same run id; the experiment is the pipeline. Without trackers it does nothing.

    A tracker that fails is a warning: it never stops the pipeline.
    """

    stack: Stack
    pipeline: str
    run_id: str
    _tracker: ExperimentTracker | None = field(default=None, init=False, repr=False)
    _run: Run | None = field(default=None, init=False, repr=False)

    def open(self, model: str) -> None:
        """Open the run, or resume it."""
        if self.stack.parts.trackers:
            self._guard(lambda: self._open(model))

    def _open(self, model: str) -> None:
        self._tracker = ExperimentTracker(stack=self.stack)
        tags = {"pipeline": self.pipeline, "model": model}
        self._run = self._tracker.start_run(self.run_id, experiment=self.pipeline, run_id=self.run_id, tags=tags)

    def log(self, result: StageResult) -> None:
        """Log what a stage logged: metrics under their names, params as ``stage.name``, files as they are."""
        if self._run is not None:
            run = self._run
            self._guard(lambda: self._log(run, result))

    def _log(self, run: Run, result: StageResult) -> None:
        if result.params:
            run.log_params({f"{result.stage}.{name}": value for name, value in result.params.items()})
        for step, found in groupby(result.history, key=lambda one: one.step):
            run.log_metrics({one.name: one.value for one in found}, step)
        for name, ref in result.logged.items():
            with scratch(self.stack.workdir / "tmp") as folder:
                run.log_artifact(name, Artifacts(self.stack).fetch_artifact(self.stack.tenant, ref, folder))

    def close(self, status: PipelineStatus) -> None:
        """End the run and deliver what is left. A run that is held or was interrupted can be opened again."""
        if self._tracker is not None:
            tracker, run = self._tracker, self._run
            if run is not None:
                self._guard(lambda: run.end(_ENDS.get(status, RunStatus.INTERRUPTED)))
            self._guard(tracker.close)
            self._tracker = self._run = None

    def _guard(self, call: Callable[[], None]) -> None:
        try:
            call()
        except MLOpsError as error:
            _LOG.warning("pipeline %s: run %s: not tracked: %s", self.pipeline, self.run_id, error.message)
