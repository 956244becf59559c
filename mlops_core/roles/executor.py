"""The executor role: where a stage runs."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

from mlops_core.roles.backend import Backend

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from mlops_core.records import StageResult, StageTask

__all__ = ["Executor"]


class Executor(Backend):
    """Runs a stage task somewhere. Capability ``kill``: it ends a task that passes ``task.timeout``, with all its processes.

    Capability ``remote``: the task runs outside this process, so the stack must be portable and ``work`` importable by name.
    """

    __slots__ = ()

    @abstractmethod
    def submit(self, work: Callable[[StageTask], StageResult], task: StageTask) -> Future[StageResult]:
        """Run ``work(task)``. A deadline ends in ``StageTimeoutError``, a dead worker in ``StageError``, both set on the future."""
