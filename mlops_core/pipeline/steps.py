"""One stage of a run: skipped, taken from the cache, or tried until it succeeds or its retries are used up."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from attrs import define, evolve, field

from mlops_core.exceptions import MLOpsError, StageError
from mlops_core.pipeline.cache import StageCache
from mlops_core.pipeline.ledger import RunLedger
from mlops_core.pipeline.plan import Plan, Step
from mlops_core.pipeline.wiring import GIVEN
from mlops_core.pipeline.work import Work, explain, run_task
from mlops_core.records import (
    ArtifactRef,
    Record,
    StackRef,
    StageFailed,
    StageFinished,
    StageResult,
    StageStarted,
    StageStatus,
    StageTask,
)
from mlops_core.stack import Stack

if TYPE_CHECKING:
    from concurrent.futures import Future

    from mlops_core.pipeline.state import RunState

__all__ = ["StepRunner"]

_FIRST_PAUSE: Final = 1.0
_LONGEST_PAUSE: Final = 60.0
_LOOK: Final = 0.5
_LOST: Final = {StageStatus.FAILED: "failed", StageStatus.SKIPPED: "was skipped"}


@define(eq=False)
class StepRunner:
    """Takes stages to their end. ``log`` writes to the tracker, before the journal says that the stage ended; ``tell`` emits an event."""

    stack: Stack
    plan: Plan
    ledger: RunLedger
    reference: StackRef
    log: Callable[[StageResult], None]
    tell: Callable[..., None]
    listen: Callable[[Record], None] | None = None
    base: tuple[StageResult, ...] = ()
    cause: BaseException | None = field(default=None, init=False)

    @property
    def _state(self) -> RunState:
        return self.ledger.known

    def settle(self, step: Step) -> StageResult:
        """The stage's last result; each transition is journaled as it happens."""
        try:
            inputs = self._inputs(step)
            reason = self._reason_to_skip(step, inputs)
            if reason:
                return self._finished(StageResult(step.name, StageStatus.SKIPPED, attempt=self._next(step) - 1, summary=reason))
            cache = StageCache(self.stack, self.ledger.pipeline) if step.settings.cache else None
            key = cache.key(step, inputs) if cache is not None else ""
            cached = cache.find(key, self._earlier(step)) if cache is not None else None
        except MLOpsError as error:
            return self._failed(self._failure(step, self._next(step), error), final=True)
        if cached is not None:
            said = "the outputs of an earlier run, by its cache"
            return self._finished(evolve(cached, stage=step.name, attempt=self._next(step), seconds=0.0, summary=said))
        result = self._attempts(step, inputs)
        if cache is not None and result.status is StageStatus.SUCCEEDED:
            cache.put(key, result, self._earlier(step))
        return result

    def _reason_to_skip(self, step: Step, inputs: Mapping[str, ArtifactRef]) -> str:
        """Why the stage does not run; empty if it does."""
        for name in step.required - set(inputs):
            source = step.inputs[name]
            lost = self._state.results.get(source.stage)
            if lost is not None and lost.status in _LOST:
                return f"its input {name!r} comes from stage {source.stage!r}, which {_LOST[lost.status]}"
            raise StageError(f"input {name!r}: stage {source.stage!r} answered no value {source.output!r}")
        if step.when is not None and not step.when.holds(self._earlier(step)):
            return f"its condition does not hold: {step.when.text}"
        return ""

    def _inputs(self, step: Step) -> dict[str, ArtifactRef]:
        """Artifacts by parameter, as far as they were made."""
        found = {}
        for name, source in step.inputs.items():
            if source.stage == GIVEN:
                found[name] = self._state.inputs[source.output]
                continue
            result = self._state.results.get(source.stage)
            if result is not None and result.status is StageStatus.SUCCEEDED and source.output in result.outputs:
                found[name] = result.outputs[source.output]
        return found

    def _earlier(self, step: Step) -> tuple[StageResult, ...]:
        before = self.plan.names[: self.plan.names.index(step.name)]
        return self.base + tuple(result for result in self._state.done() if result.stage in before)

    def _next(self, step: Step) -> int:
        return self._state.next_attempt(step.name)

    def _attempts(self, step: Step, inputs: Mapping[str, ArtifactRef]) -> StageResult:
        retry = 0
        while True:
            attempt = self._next(step)
            self.ledger.began(step.name, attempt)
            self.tell(StageStarted, stage=step.name, attempt=attempt)
            result = self._attempt(step, self._task(step, inputs, attempt))
            if result.status is not StageStatus.FAILED:
                return self._finished(result)
            final = retry == step.settings.retries
            self._failed(result, final=final)
            if final:
                return result
            self.stack.clock.sleep(min(_FIRST_PAUSE * 2**retry, _LONGEST_PAUSE))
            retry += 1

    def _task(self, step: Step, inputs: Mapping[str, ArtifactRef], attempt: int) -> StageTask:
        timeout = step.settings.timeout
        return StageTask(
            config=self.reference,
            run_id=self.ledger.run_id,
            stage=step.name,
            attempt=attempt,
            inputs=inputs,
            timeout=None if timeout is None else timeout.total_seconds(),
            model=self._state.model,
            earlier=self._earlier(step),
            options=step.settings.options if step.function else {},
            outputs=step.settings.outputs,
            function=step.function,
        )

    def _attempt(self, step: Step, task: StageTask) -> StageResult:
        """What is raised here is the executor's: a deadline, a dead worker. What the stage raised is in the result."""
        work = None if step.remote else Work(self.stack, step.stage, self.listen)
        began = self.stack.clock.monotonic()
        executor = self.stack.parts.executor(step.executor)
        try:
            result = _awaited(executor.submit(work or run_task, task))
        except MLOpsError as error:
            return evolve(self._failure(step, task.attempt, error), seconds=self.stack.clock.monotonic() - began)
        except BaseException:  # the person at the keyboard: no worker may go on without its run
            executor.close()
            raise
        self.cause = work.cause if work is not None else None
        return result

    def _failure(self, step: Step, attempt: int, error: MLOpsError) -> StageResult:
        self.cause = error
        name = f"stage {step.name!r}"
        said = explain(error)
        line = said if said.startswith(name) else f"{name} failed: {said}"
        return StageResult(step.name, StageStatus.FAILED, attempt=attempt, error=line)

    def _finished(self, result: StageResult) -> StageResult:
        self.ledger.check()
        self.log(result)
        self.ledger.ended(result)
        self.tell(StageFinished, result=result)
        return result

    def _failed(self, result: StageResult, *, final: bool) -> StageResult:
        self.ledger.check()
        self.log(result)
        self.ledger.ended(result)
        self.tell(StageFailed, result=result, final=final)
        return result


def _awaited(future: Future[StageResult]) -> StageResult:
    """What the future holds in the end. A signal that another thread receives, such as Ctrl-C, wakes no thread that waits for ever."""
    while True:
        try:
            return future.result(timeout=_LOOK)
        except TimeoutError:
            if future.done():  # it ended since, or this is what it ended with
                return future.result()
