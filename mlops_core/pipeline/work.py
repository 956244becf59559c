"""One attempt at one stage: load its inputs, run it, store what it answers."""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Callable
from typing import TYPE_CHECKING

from attrs import define, field

from mlops_core.artifacts import Artifacts
from mlops_core.exceptions import MLOpsError
from mlops_core.pipeline.context import RunContext
from mlops_core.pipeline.outputs import output_names, split_outputs
from mlops_core.records import StageProgress, StageResult, StageStatus, StageTask
from mlops_core.roles import Stage
from mlops_core.secrecy import mask
from mlops_core.stack import Stack
from mlops_core.structure.problems import one_line

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mlops_core.records import ArtifactRef

__all__ = ["Work", "explain", "run_task"]

_LOG = logging.getLogger(__name__)


@define(eq=False)
class Work:
    """The work of an executor in this process. ``cause`` is what the stage raised, if it did."""

    stack: Stack
    stage: Stage
    listen: Callable[[StageProgress], None] | None = None
    cause: BaseException | None = field(default=None, init=False)

    def __call__(self, task: StageTask) -> StageResult:
        """Make the attempt; what the stage raises becomes a result that says so."""
        context = RunContext(self.stack, task, self.listen)
        try:
            outputs = self._run(context)
        except (Exception, SystemExit) as error:  # noqa: BLE001  whatever a stage raises ends its attempt, not the run
            self.cause = error
            _LOG.info("stage %s: attempt %d failed", task.stage, task.attempt, exc_info=error)
            return self._result(context, StageStatus.FAILED, error=f"stage {task.stage!r} failed: {explain(error)}")
        return self._result(context, StageStatus.HELD if context.held else StageStatus.SUCCEEDED, outputs)

    def _run(self, context: RunContext) -> dict[str, ArtifactRef]:
        task, artifacts = context.task, Artifacts(self.stack)
        unread = getattr(self.stage, "unread", ())  # a built-in stage passes these on without looking inside
        inputs = {name: ref if name in unread else artifacts.load(ref) for name, ref in task.inputs.items()}
        value = self.stage.run(context, **inputs)
        names = output_names(task.stage, self.stage.outputs, task.outputs)
        return {name: artifacts.save(one, name) for name, one in split_outputs(value, self.stage.outputs, names).items()}

    @staticmethod
    def _result(
        context: RunContext, status: StageStatus, outputs: Mapping[str, ArtifactRef] | None = None, *, error: str | None = None
    ) -> StageResult:
        return StageResult(
            stage=context.stage,
            status=status,
            outputs=outputs or {},
            seconds=context.elapsed().total_seconds(),
            attempt=context.task.attempt,
            error=error,
            metrics=context.last(),
            params=context.params,
            summary=context.held or context.summary,
            history=tuple(context.history),
            logged=context.logged,
            looked_back=context.looked_back,
        )


def run_task(task: StageTask) -> StageResult:
    """The work of an executor elsewhere: the stack is composed anew from what the task says."""
    from mlops_core.pipeline.catalog import Catalog
    from mlops_core.stack import from_ref

    stack = from_ref(task.config)
    try:
        work = Work(stack, Catalog.of_task(stack, task).stage(task.stage))
        result = work(task)
        if work.cause is not None:
            sys.stderr.write(mask("".join(traceback.format_exception(work.cause))))  # the executor keeps it as the stage's log
        return result
    finally:
        stack.parts.close()


def explain(error: BaseException) -> str:
    """One line: the message of ours, or class and message of any other."""
    return " ".join(error.message.split()) if isinstance(error, MLOpsError) else one_line(error)
