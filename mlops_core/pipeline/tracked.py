"""A pipeline run in the experiment trackers: opened, logged to and ended by the runner alone, so that there is one writer."""

from __future__ import annotations

import logging
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING, Final

from attrs import define, field

from mlops_core.artifacts import Artifacts
from mlops_core.artifacts.scratch import scratch
from mlops_core.exceptions import MLOpsError
from mlops_core.pipeline.context import tracked_name
from mlops_core.records import PipelineStatus, RunStatus, StageResult, StageStatus
from mlops_core.stack import Stack
from mlops_core.tracking import ExperimentTracker
from mlops_core.tracking.run import Run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mlops_core.records import ArtifactRef

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
        """Log what a stage logged: metrics under their names, params as ``stage.name``, files as they are.

        What a failed attempt logged stands apart from what the next one logs, under ``stage.attempt-1.name``. One thing that a tracker
        refuses takes no other with it.
        """
        if self._run is None:
            return
        run, failed = self._run, result.status is StageStatus.FAILED

        def named(name: str) -> str:
            return tracked_name(result.stage, result.attempt, name) if failed else name

        params = {named(name) if failed else f"{result.stage}.{name}": value for name, value in result.params.items()}
        if params:
            self._guard(lambda: run.log_params(params))
        for step, values in _by_step(result):
            self._guard(partial(run.log_metrics, {named(name): value for name, value in values.items()}, step))
        for name, ref in result.logged.items():
            self._guard(partial(self._log_file, run, named(name), ref))

    def _log_file(self, run: Run, name: str, ref: ArtifactRef) -> None:
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


def _by_step(result: StageResult) -> Iterator[tuple[int, dict[str, float]]]:
    """Every logged metric; of a result from the cache, which keeps no history, the last ones."""
    if not result.history and result.metrics:
        yield 0, dict(result.metrics)
    for step, found in groupby(result.history, key=lambda one: one.step):
        yield step, {one.name: one.value for one in found}
