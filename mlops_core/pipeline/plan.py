"""From settings and registered stages to a checked plan: everything that can be wrong is found before anything runs."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from attrs import define, field, frozen

from mlops_core.config.settings import StageSettings
from mlops_core.exceptions import MLOpsError, PipelineError, PlanError, checks_input
from mlops_core.names import check_name
from mlops_core.pipeline.catalog import Catalog
from mlops_core.pipeline.condition import When
from mlops_core.pipeline.deployment_stage import DeploymentStage
from mlops_core.pipeline.fingerprint import option_digests
from mlops_core.pipeline.outputs import output_names
from mlops_core.pipeline.signature import inputs_of
from mlops_core.pipeline.wiring import Source, Wiring
from mlops_core.roles import Stage

if TYPE_CHECKING:
    from mlops_core.stack import Stack

__all__ = ["Plan", "Step", "make_plan", "problems"]


@frozen
class Step:
    """One stage, ready to run. ``inputs`` maps parameters to what they take."""

    name: str
    stage: Stage
    settings: StageSettings
    outputs: tuple[str, ...]
    inputs: Mapping[str, Source]
    required: frozenset[str]
    executor: str
    remote: bool = False
    function: str = ""
    when: When | None = None


@frozen
class Plan:
    """Steps in the order in which they run."""

    steps: tuple[Step, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The stages' names."""
        return tuple(step.name for step in self.steps)


@checks_input
def make_plan(catalog: Catalog, names: Sequence[str] | None = None, given: Collection[str] = ()) -> Plan:
    """Plan these stages (None: all that are configured or registered), with ``given`` values there from the start.

    Raises:
        PlanError: Every mistake, one line each.
    """
    planner = _Planner(catalog, Wiring(frozenset(given)))
    steps = planner.plan(catalog.names() if names is None else [str(name) for name in names])
    if planner.problems:
        raise PlanError("\n".join(planner.problems))
    return Plan(tuple(steps))


def problems(stack: Stack) -> list[str]:
    """What is wrong with the pipeline that the configuration describes, one line each; runs nothing and connects to nothing.

    For ``mlops_core.stack.check(further=problems)``, which itself looks at what is asked of executors.
    """
    if stack.settings.pipeline is None:
        return []
    planner = _Planner(Catalog(stack), Wiring(), capabilities=False)
    planner.plan(planner.catalog.names())
    return planner.problems


@define(eq=False)
class _Planner:
    """Collects every problem instead of stopping at the first."""

    catalog: Catalog
    wiring: Wiring
    capabilities: bool = True
    problems: list[str] = field(factory=list, init=False)

    def plan(self, names: Sequence[str]) -> list[Step]:
        if not names:
            self.problems.append(
                "pipeline: it has no stages - add some under 'pipeline.stages', or register one with @pipeline.stage(name)"
            )
        missing = [name for name in names if not self.catalog.knows(name)]
        if missing:
            at = self.catalog.settings(missing[0]).at
            self.problems.append(f"{at}: {self.catalog.unknown(missing)}" if at else self.catalog.unknown(missing))
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            self.problems.append(f"pipeline: stage {twice[0]!r} is there twice - name each stage once")
        found = [self._step(name) for name in dict.fromkeys(names) if name not in missing]
        steps = [step for step in found if step is not None]
        if self.capabilities:
            self._check_portable(steps)
        return steps

    def _step(self, name: str) -> Step | None:
        settings = self.catalog.settings(name)
        try:
            check_name(name, "stage", PipelineError)
            stage = self.catalog.stage(name)
            outputs = output_names(name, stage.outputs, settings.outputs)
        except MLOpsError as error:
            self._problem(name, error.message)
            self.wiring.add(name, settings.outputs or (name,))  # so that later stages are judged as if it were there
            return None
        inputs, required = self._inputs(name, stage, settings)
        for key, said in stage.mistakes(self.catalog.stack, inputs) if isinstance(stage, DeploymentStage) else ():
            self._problem(name, said if said.startswith(f"{key}.") else f"{key}: {said}", key=key)
        if settings.cache:
            self._check_cache(name, stage)
        executor = self.catalog.executor(name)
        step = Step(
            name=name,
            stage=stage,
            settings=settings,
            outputs=outputs,
            inputs=inputs,
            required=required,
            executor=executor,
            remote=self._check_executor(name, settings, executor),
            function=self.catalog.function(name),
            when=self._when(name, settings),
        )
        self.wiring.add(name, outputs)
        return step

    def _inputs(self, name: str, stage: Stage, settings: StageSettings) -> tuple[Mapping[str, Source], frozenset[str]]:
        try:
            inputs = inputs_of(stage)
            found = self.wiring.connect(name, inputs, settings.inputs, getattr(stage, "usual", None))
        except PipelineError as error:
            self._problem(name, error.message)
            return {}, frozenset()
        return found, frozenset(one for one in found if inputs[one] or one in settings.inputs)

    def _when(self, name: str, settings: StageSettings) -> When | None:
        try:
            return None if settings.when is None else When.parse(settings.when, self.wiring.stages)
        except PipelineError as error:
            self._problem(name, error.message)
            return None

    def _check_executor(self, name: str, settings: StageSettings, executor: str) -> bool:
        """Whether it runs elsewhere; a deadline needs one that can kill."""
        try:
            capabilities = self.catalog.stack.parts.executor(executor).capabilities
        except MLOpsError as error:
            self._problem(name, error.message)
            return False
        if self.capabilities and settings.timeout is not None and "kill" not in capabilities:
            said = f"the executor {executor!r} cannot end it at its timeout - set 'executor: process', or remove 'timeout'"
            self._problem(name, said)
        return "remote" in capabilities

    def _check_cache(self, name: str, stage: Stage) -> None:
        """What a cached stage answers has to follow from its inputs, options and code, and these need digests."""
        if not stage.cacheable:
            said = "what it answers depends on more than inputs, options and code, so it has to run each time - remove 'cache'"
            self._problem(name, f"cache: {said}", key="cache")
            return
        try:
            option_digests(stage)
        except PipelineError as error:
            self._problem(name, error.message, key="cache")

    def _check_portable(self, steps: Sequence[Step]) -> None:
        """One line for the first part that another process cannot compose."""
        remote = [step for step in steps if step.remote]
        stuck = next((step.name for step in remote if self.catalog.is_registered(step.name) and not step.function), None)
        part = self.catalog.stack.parts.unportable() if remote else None
        if part is None and stuck is not None:
            part = f"the function of stage {stuck!r}, which is not at the top of an importable module"
        if part is not None:
            self.problems.append(
                f"pipeline: executor {remote[0].executor!r} of stage {remote[0].name!r} composes the stack in another process, "
                f"which cannot be given {part} - use 'executor: inline', or name the part in mlops.yaml"
            )

    def _problem(self, name: str, message: str, key: str = "") -> None:
        """Where the configuration speaks of the stage, or of the ``key`` if it stands there, which stage, and what is wrong."""
        at, prefix = self.catalog.place(name, key), f"stage {name!r}: "
        if at and message.startswith(f"{at.partition(':')[0]}:"):  # it says where already
            self.problems.append(message)
            return
        said = message if message.startswith(prefix) else f"{prefix}{message}"
        self.problems.append(f"{at}: {said}" if at else said)
