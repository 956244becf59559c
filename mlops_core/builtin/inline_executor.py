"""Executor ``inline``: a stage runs in the calling process and thread."""

from __future__ import annotations

from concurrent.futures import Future
from typing import TYPE_CHECKING, ClassVar

from attrs import define

from mlops_core.exceptions import CapabilityError
from mlops_core.hookspecs import hookimpl
from mlops_core.records import StageResult
from mlops_core.roles import Executor

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlops_core.records import StageTask

__all__ = ["InlineExecutor"]


@define(eq=False)
class InlineExecutor(Executor):
    """No process, no thread, nothing to serialize. It cannot end a stage that hangs, so it takes no task with a timeout."""

    contract: ClassVar[int] = 1

    def submit(self, work: Callable[[StageTask], StageResult], task: StageTask) -> Future[StageResult]:
        """Run ``work(task)`` before returning."""
        if task.timeout is not None:
            raise CapabilityError(f"executor inline: cannot end stage {task.stage!r} at its timeout - use the executor 'process'")
        future = Future[StageResult]()
        try:
            future.set_result(work(task))
        except Exception as error:  # noqa: BLE001  whatever it is, the caller meets it at result()
            future.set_exception(error)
        return future


@hookimpl
def mlops_executor() -> type[Executor]:
    """Hand over the class."""
    return InlineExecutor
