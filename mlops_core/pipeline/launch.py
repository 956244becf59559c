"""Starts and resumes runs of one pipeline, and finds them again."""

from __future__ import annotations

import itertools
import logging
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from attrs import define, field

from mlops_core.artifacts import Artifacts
from mlops_core.exceptions import PipelineError, PlanError
from mlops_core.names import check_name
from mlops_core.pipeline.catalog import Catalog
from mlops_core.pipeline.ledger import RunLedger, beginnings, read_run
from mlops_core.pipeline.plan import Plan, make_plan
from mlops_core.pipeline.runner import Runner
from mlops_core.records import PipelineStatus, Record, StackRef
from mlops_core.stack import Stack
from mlops_core.structure import nearest, one_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlops_core.pipeline.state import RunState
    from mlops_core.records import ArtifactRef, RunReport, StageResult

__all__ = ["Launch", "available"]

_LOG = logging.getLogger(__name__)


@define(eq=False)
class Launch:
    """What the facade does, on a catalog of this moment. ``cause`` is what the last failing stage raised."""

    stack: Stack
    pipeline: str
    catalog: Catalog
    listen: Callable[[Record], None] | None = None
    cause: BaseException | None = field(default=None, init=False)

    def start(self, stages: Sequence[str] | None, run_id: str | None, inputs: Mapping[str, Any] | None) -> RunReport:
        """Run a new run to its end."""
        given = _checked(inputs)
        plan = make_plan(self.catalog, _listed(stages), given)
        self.stack.parts.prepare()
        name = self._new_id() if run_id is None else check_name(run_id, "run_id", PlanError)
        with RunLedger(self.stack, self.pipeline, name) as ledger:
            if ledger.state is not None:
                raise PipelineError(f"pipeline {self.pipeline}: run {name} exists - resume it, or give another run_id")
            ledger.start(plan.names, self._model, self._saved(given))
            return self._run(plan, ledger)

    def resume(self, stages: Sequence[str] | None, run_id: str | None, inputs: Mapping[str, Any] | None) -> RunReport:
        """Go on with a run that did not succeed."""
        name = self._newest() if run_id is None else check_name(run_id, "run_id", PlanError)
        if name is None:
            return self.start(stages, None, inputs)
        if inputs:
            raise PlanError(f"pipeline {self.pipeline}: run {name} has its inputs already - resume it without any")
        with RunLedger(self.stack, self.pipeline, name) as ledger:
            if ledger.state is None:
                raise self._unknown(name)
            wanted = ledger.known.stages if stages is None else tuple(map(str, _listed(stages) or ()))
            if wanted != ledger.known.stages:
                listed = ", ".join(ledger.known.stages)
                raise PlanError(f"pipeline {self.pipeline}: run {name} has the stages {listed} - resume these, or start a new run")
            if ledger.known.status is PipelineStatus.SUCCEEDED:
                return ledger.known.report(self.stack.tenant, name)
            if ledger.known.final:
                raise PipelineError(f"pipeline {self.pipeline}: run {name} was rolled back, and cannot be resumed - start a new run")
            plan = Plan(()) if ledger.known.rollback else make_plan(self.catalog, wanted, ledger.known.inputs)
            self.stack.parts.prepare()
            ledger.resume()
            return self._run(plan, ledger, resumed=True)

    def single(self, stage: str, inputs: Mapping[str, Any] | None, of_run: str | None) -> StageResult:
        """Run one stage on given values and on what another run made."""
        given = _checked(inputs)
        base = self._state(of_run)
        made = {} if base is None else available(base)
        plan = make_plan(self.catalog, [stage], {*made, *given})
        self.stack.parts.prepare()
        used = {source.output for source in plan.steps[0].inputs.values()}
        refs = {name: ref for name, ref in made.items() if name in used - set(given)}
        with RunLedger(self.stack, self.pipeline, self._new_id()) as ledger:
            ledger.start(plan.names, self._model, {**refs, **self._saved(given)}, single=True)
            self._run(plan, ledger, base=() if base is None else base.done())
            return ledger.known.results[plan.names[0]]

    def report(self, run_id: str | None) -> RunReport | None:
        """The run named, or the newest; None if there is none to be the newest."""
        name = run_id or self._newest() or next((name for name, _ in self._newest_first()), None)
        if name is None:
            return None
        found = read_run(self.stack, self.pipeline, check_name(name, "run_id", PlanError))
        if found is None:
            raise self._unknown(name)
        return found[0].report(self.stack.tenant, name, interrupted=found[1])

    def reports(self, limit: int | None) -> Iterator[RunReport]:
        """Every run, those of single stages too, newest first."""
        if limit is not None and (type(limit) is not int or limit < 0):
            raise PlanError(f"limit: expected a whole number from 0, got {limit!r} - leave it out for every run")
        for name, _ in itertools.islice(self._newest_first(), limit):
            found = self.report(name)
            if found is not None:
                yield found

    def output(self, name: str, run_id: str | None) -> Any:
        """The value of an output."""
        state = self._state(run_id)
        if state is None:
            raise PipelineError(f"pipeline {self.pipeline}: there is no run yet - call run_pipeline first")
        made = available(state)
        if name not in made:
            raise PipelineError(f"pipeline {self.pipeline}: no stage of the run made {name!r} - {nearest(name, made)}")
        return Artifacts(self.stack).load(made[name])

    @property
    def _model(self) -> str:
        settings = self.stack.settings.pipeline
        return (settings.model if settings is not None else "") or self.pipeline

    def _run(self, plan: Plan, ledger: RunLedger, *, resumed: bool = False, base: tuple[StageResult, ...] = ()) -> RunReport:
        runner = Runner(self.stack, plan, ledger, self._reference(plan), self._heard if self.listen is not None else None, base)
        try:
            return runner.run(resumed=resumed)
        finally:
            self.cause = runner.cause

    def _heard(self, event: Record) -> None:
        """A listener that raises is a warning: what it listens to goes on."""
        try:
            if self.listen is not None:
                self.listen(event)
        except Exception as error:  # noqa: BLE001  it may be anybody's
            _LOG.warning("pipeline %s: a listener failed on %s: %s", self.pipeline, type(event).__name__, one_line(error))

    def _reference(self, plan: Plan) -> StackRef:
        """What a worker composes its stack of; without workers only where the project lies."""
        if any(step.remote for step in plan.steps):
            return self.stack.ref(self.pipeline)
        return StackRef(str(self.stack.root), self.stack.tenant, self.stack.profile, pipeline=self.pipeline)

    def _saved(self, inputs: Mapping[str, Any]) -> dict[str, ArtifactRef]:
        artifacts = Artifacts(self.stack)
        return {name: artifacts.save(value, name) for name, value in inputs.items()}

    def _state(self, run_id: str | None) -> RunState | None:
        name = run_id or self._newest()
        found = None if name is None else read_run(self.stack, self.pipeline, name)
        if found is None and name is not None:
            raise self._unknown(name)
        return None if found is None else found[0]

    def _newest(self) -> str | None:
        """The newest whole run."""
        return next((name for name, single in self._newest_first() if not single), None)

    def _newest_first(self) -> list[tuple[str, bool]]:
        """Ids of runs, each with whether it is that of a single stage."""
        begun = sorted(((at, name, single) for name, at, single in beginnings(self.stack, self.pipeline)), reverse=True)
        return [(name, single) for _, name, single in begun]

    def _unknown(self, name: str) -> PipelineError:
        known = [found for found, _, _ in beginnings(self.stack, self.pipeline)]
        return PipelineError(f"pipeline {self.pipeline}: there is no run {name!r} - {nearest(name, known[::-1])}")

    def _new_id(self) -> str:
        """Sorted by time, unique by chance of 1 in 16 million within a second."""
        return f"{self.stack.clock.now():%Y%m%dT%H%M%SZ}-{uuid.uuid4().hex[:6]}"


def available(state: RunState) -> dict[str, ArtifactRef]:
    """What stages of a run made: by output, by stage where it made one value, and as ``stage.output``; of a name made twice, the later."""
    made = dict(state.inputs)
    for result in state.done():
        if len(result.outputs) == 1:
            made[result.stage] = next(iter(result.outputs.values()))
    for result in state.done():
        made.update(result.outputs)
        made.update({f"{result.stage}.{name}": ref for name, ref in result.outputs.items()})
    return made


def _listed(stages: Any) -> Sequence[str] | None:
    if isinstance(stages, str) or not isinstance(stages, Sequence | None):
        raise PlanError(f"stages: expected a list of names, got {type(stages).__name__} - give ['training']")
    return stages


def _checked(inputs: Mapping[str, Any] | None) -> dict[str, Any]:
    if not isinstance(inputs, Mapping | None):
        raise PlanError(f"inputs: expected a mapping, got {type(inputs).__name__} - give {{'data': value}}")
    return {check_name(name, "input", PlanError): value for name, value in (inputs or {}).items()}
