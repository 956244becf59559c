"""Which class or function implements a stage: registered in Python, named by the configuration, or built in."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from attrs import define, evolve, field, frozen

from mlops_core.config.settings import StageSettings
from mlops_core.exceptions import PipelineError
from mlops_core.pipeline.making import make_stage
from mlops_core.plugins import RESERVED, Loader
from mlops_core.roles import Stage
from mlops_core.stack import Stack
from mlops_core.structure import Misfit, Structurer, key_text, nearest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlops_core.records import StageTask

__all__ = ["BUILT_IN", "Catalog", "Registered"]

BUILT_IN: Final = {
    "validation": "mlops_core.pipeline.validation_stage:ValidationStage",
    "deployment": "mlops_core.pipeline.deployment_stage:DeploymentStage",
    "monitoring": "mlops_core.pipeline.monitoring_stage:MonitoringStage",
}
"""Stages that need no ``use``, by name."""


@frozen
class Registered:
    """What Python code gave for a stage: its implementation, the core's keys that were given with it, and its options."""

    implementation: Any
    keys: Mapping[str, Any] = field(factory=dict)
    options: Mapping[str, Any] = field(factory=dict)

    @classmethod
    def of(cls, name: str, implementation: Any, given: Mapping[str, Any]) -> Registered:
        """Tell the core's keys from options, and check them.

        Raises:
            PipelineError: A key has a wrong value, or is ``use`` or ``name``.
        """
        if taken := given.keys() & {"use", "name"}:
            raise PipelineError(f"stage {name!r}: {min(taken)!r} cannot be given where the implementation is at hand - leave it out")
        keys = {key: value for key, value in given.items() if key in RESERVED}
        try:
            checked = Structurer().fit({**keys, "name": name}, StageSettings)
        except Misfit as misfit:
            said = "; ".join(f"{key_text(one.path)}: {one.message}" for one in misfit.problems)
            raise PipelineError(f"stage {name!r}: {said}") from misfit
        options = {key: value for key, value in given.items() if key not in RESERVED}
        return cls(implementation, {key: getattr(checked, key) for key in keys}, options)

    @property
    def function(self) -> str:
        """``module:name`` under which another process finds it; empty where none can."""
        module, path = getattr(self.implementation, "__module__", ""), getattr(self.implementation, "__qualname__", "<object>")
        found: Any = sys.modules.get(module)
        for part in path.split("."):
            found = getattr(found, part, None)
        return f"{module}:{path}" if found is self.implementation and module != "__main__" else ""


@define(eq=False)
class Catalog:
    """The stages of one pipeline. What Python registers comes before the configuration's ``use``, and that before what is built in."""

    stack: Stack
    registered: dict[str, Registered] = field(factory=dict)
    _built: dict[str, Stage] = field(factory=dict, init=False, repr=False)

    @classmethod
    def of_task(cls, stack: Stack, task: StageTask) -> Catalog:
        """The catalog of a worker: the configuration's, and the one function that the task names."""
        if not task.function:
            return cls(stack)
        loaded = Loader(stack.root).load("stage", task.function)
        return cls(stack, {task.stage: Registered(loaded.cls, options=task.options)})

    def names(self) -> tuple[str, ...]:
        """Configured stages in the order written, then those that were only registered."""
        return tuple(dict.fromkeys([*self._configured(), *self.registered]))

    def knows(self, name: str) -> bool:
        """Whether there is an implementation."""
        configured = self._configured().get(name)
        return name in self.registered or name in BUILT_IN or (configured is not None and configured.use is not None)

    def unknown(self, names: Sequence[str]) -> str:
        """One line for all stages without an implementation, and how to give them one."""
        listed = ", ".join(map(repr, names))
        known = nearest(names[0], [name for name in (*self.names(), *BUILT_IN) if self.knows(name)], "implemented are")
        return (
            f"pipeline: no implementation of stage{'s' * (len(names) > 1)} {listed} - register one with @pipeline.stage({names[0]!r}), "
            f"or give it a 'use' under 'pipeline.stages' in mlops.yaml ({known})"
        )

    def settings(self, name: str) -> StageSettings:
        """The core's keys for a stage: those given in Python, over an entry of the configuration that leaves ``use`` out."""
        entry = self._configured().get(name) or StageSettings(name)
        registered = self.registered.get(name)
        if registered is None:
            return entry
        written = entry if entry.use is None else StageSettings(name)
        return evolve(written, **registered.keys, options={**written.options, **registered.options})

    def place(self, name: str, key: str = "") -> str:
        """Where the configuration speaks of a stage, or of one key of it; empty where it does not."""
        at, origin = self.settings(name).at, self.stack.origin
        written = not self.is_registered(name) or key not in self.registered[name].keys
        return origin.place(f"pipeline.stages.{name}.{key}") if at and key and written and origin is not None else at

    def stage(self, name: str) -> Stage:
        """The stage itself, built once.

        Raises:
            MLOpsError: It cannot be built of its options, or breaks the contract of its role.
        """
        if name not in self._built:
            self._built[name] = self._build(name)
        return self._built[name]

    def executor(self, name: str) -> str:
        """Where a stage runs: as it says, else as the project says. A built-in one, which runs no code of the user, stays in this process
        unless it has a timeout.
        """  # noqa: D205  two short rules
        settings = self.settings(name)
        if settings.executor is not None:
            return settings.executor
        return "inline" if self._is_built_in(name) and settings.timeout is None else self.stack.settings.executor

    def function(self, name: str) -> str:
        """``module:name`` of a registered stage; empty if the configuration leads a worker to it, or nothing does."""
        return self.registered[name].function if name in self.registered else ""

    def is_registered(self, name: str) -> bool:
        """Whether Python code gave it."""
        return name in self.registered

    def _build(self, name: str) -> Stage:
        where = f"stage {name!r}"
        options = self.settings(name).options
        if name in self.registered:
            return make_stage(self.registered[name].implementation, options, self.stack.root, where)
        if self._is_built_in(name):
            loaded = Loader(self.stack.root).load("stage", BUILT_IN[name])
            return make_stage(loaded.cls, options, self.stack.root, where)
        return self.stack.parts.stage(name)

    def _is_built_in(self, name: str) -> bool:
        configured = self._configured().get(name)
        return name in BUILT_IN and name not in self.registered and (configured is None or configured.use is None)

    def _configured(self) -> Mapping[str, StageSettings]:
        pipeline = self.stack.settings.pipeline
        return {} if pipeline is None else {stage.name: stage for stage in pipeline.stages}
