"""Runs a plan stage by stage; what is journaled as finished never runs again."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from attrs import define, field

from mlops_core.pipeline.ledger import RunLedger
from mlops_core.pipeline.plan import Plan, Step
from mlops_core.pipeline.rollback import roll_back
from mlops_core.pipeline.steps import StepRunner
from mlops_core.pipeline.tracked import TrackedRun
from mlops_core.records import PipelineStatus, Record, RunFinished, RunStarted, StackRef, StageResult, StageStatus
from mlops_core.stack import Stack

if TYPE_CHECKING:
    from mlops_core.records import RunReport

__all__ = ["Runner"]


@define(eq=False)
class Runner:
    """One run, whose ledger the caller holds. ``cause`` is what the last failing stage raised, where it ran in this process.

    ``listen`` receives every lifecycle event and, of stages in this process, their progress. ``base`` are results of another run that count
    as earlier ones.
    """

    stack: Stack
    plan: Plan
    ledger: RunLedger
    reference: StackRef
    listen: Callable[[Record], None] | None = None
    base: tuple[StageResult, ...] = ()
    _rolled_back: bool = field(default=False, init=False)
    _tracked: TrackedRun = field(init=False, repr=False)
    _steps: StepRunner = field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self._tracked = TrackedRun(self.stack, self.ledger.pipeline, self.ledger.run_id)
        self._steps = StepRunner(self.stack, self.plan, self.ledger, self.reference, self._tracked.log, self._tell, self.listen, self.base)

    @property
    def cause(self) -> BaseException | None:
        """What the last failing stage raised."""
        return self._steps.cause

    def run(self, *, resumed: bool) -> RunReport:
        """Run what is not finished yet, and answer the run as it then stands."""
        self._tell(RunStarted, stages=self.ledger.known.stages, resumed=resumed)
        self._tracked.open(self.ledger.known.model)
        try:
            status, error = self._run()
            self.ledger.finish(status, error, final=self._rolled_back)
        finally:
            self._tracked.close(self.ledger.standing())
        self._tell(RunFinished, status=status, error=error)
        return self.ledger.known.report(self.stack.tenant, self.ledger.run_id)

    def _run(self) -> tuple[PipelineStatus, str | None]:
        if self.ledger.known.rollback:
            return PipelineStatus.FAILED, self._take_back()
        for step in self.plan.steps:
            known = self.ledger.known.results.get(step.name)
            if known is not None and known.status is StageStatus.SUCCEEDED:
                continue
            result = self._steps.settle(step)
            if result.status is StageStatus.HELD:
                return PipelineStatus.HELD, result.summary
            if result.status is StageStatus.FAILED and step.settings.on_failure != "continue":
                return PipelineStatus.FAILED, self._give_up(step, result)
        return PipelineStatus.SUCCEEDED, None

    def _give_up(self, step: Step, result: StageResult) -> str:
        error = result.error or f"stage {step.name!r} failed"
        if step.settings.on_failure != "rollback":
            return error
        self.ledger.rolling_back(error)
        return self._take_back()

    def _take_back(self) -> str:
        reason = self.ledger.known.rollback
        said, self._rolled_back = roll_back(self.stack, self.ledger.pipeline, self.ledger.run_id, reason)
        return f"{reason}; {said}" + ("" if self._rolled_back else " - resume the run to try again")

    def _tell(self, kind: Callable[..., Record], **fields: object) -> None:
        event = kind(
            tenant=self.stack.tenant, pipeline=self.ledger.pipeline, run_id=self.ledger.run_id, at=self.stack.clock.now(), **fields
        )
        self.stack.parts.emit(event)
        if self.listen is not None:
            self.listen(event)
