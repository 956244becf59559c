"""Parts that are composed from settings: loaded, structured and built at their first use."""

from __future__ import annotations

import itertools
import os
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import define, field

from mlops_core.config.origin import Origin
from mlops_core.config.settings import Settings, Use
from mlops_core.exceptions import ConfigError, MLOpsError, PluginError
from mlops_core.plugins import Loader, is_inline
from mlops_core.stack.assembly import Assembly
from mlops_core.stack.built import Lazy, Shelf
from mlops_core.stack.listening import Listeners
from mlops_core.stack.sealed import SealGuard
from mlops_core.stack.stack import User
from mlops_core.structure import nearest, one_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mlops_core.records import GateDecision, GateRequest, Record
    from mlops_core.roles import (
        AlertChannel,
        Deployer,
        DriftTest,
        Executor,
        Format,
        MonitorSink,
        RegistryStore,
        Stage,
        StreamTest,
        Tracker,
    )

__all__ = ["ComposedParts", "named_uses"]

T = TypeVar("T")


def named_uses(uses: tuple[Use, ...]) -> dict[str, Use]:
    """Parts of a list by their names: of an inline plugin the object's; a second one of a name is ``name-2``."""
    names: dict[str, Use] = {}
    for use in uses:
        name = use.use.rpartition(":")[2] if is_inline(use.use) else use.use
        free = (f"{name}-{number}" for number in itertools.count(2))
        names[name if name not in names else next(one for one in free if one not in names)] = use
    return names


@define(eq=False)
class _Process:
    """What belongs to one process."""

    assembly: Assembly
    shelf: Shelf
    listeners: Listeners


@define(eq=False)
class ComposedParts:
    """Implements ``Parts``. Every property is cheap; a backend is built when it is taken out of its mapping.

    ``users`` are those who share them through ``locate``.
    """

    settings: Settings
    root: Path
    origin: Origin | None = None
    users: weakref.WeakSet[User] = field(factory=weakref.WeakSet, init=False, repr=False)
    _processes: dict[int, _Process] = field(factory=dict, init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        weakref.finalize(self, _close, self._processes)

    @property
    def assembly(self) -> Assembly:
        """How a plugin that the configuration names becomes a backend."""
        return self._mine.assembly

    @property
    def _mine(self) -> _Process:
        """This process's: a forked child composes its own, and never waits for a lock that a thread of its parent held."""
        found = self._processes.get(os.getpid())
        if found is None:
            assembly, shelf = Assembly(Loader(self.root), self.root, self.origin), Shelf()
            fresh = _Process(assembly, shelf, Listeners(assembly, shelf, named_uses(self.settings.observers)))
            found = self._processes.setdefault(os.getpid(), fresh)
        return found

    @property
    def trackers(self) -> Mapping[str, Tracker]:
        """Trackers by name."""
        return self._lazy("tracker", "tracker", named_uses(self.settings.trackers))

    @property
    def registry(self) -> RegistryStore:
        """The registry store behind its seal; raises ``ConfigError`` where none is configured."""
        use = self.settings.registry
        if use is None:
            raise ConfigError("registry: the configuration names none - add 'registry: sqlite'")
        mine = self._mine

        def build() -> SealGuard:
            return SealGuard(mine.assembly.build("registry", use))  # type: ignore[arg-type]  # the loader checked the role; so below

        return mine.shelf.get("registry", "registry", build)  # type: ignore[no-any-return]

    @property
    def environments(self) -> Mapping[str, Deployer]:
        """Deployers by environment."""
        return self._lazy("deployer", "environments", {name: one.deployer for name, one in self.settings.environments.items()})

    @property
    def sinks(self) -> Mapping[str, MonitorSink]:
        """Monitor sinks by name."""
        return self._lazy("sink", "monitoring.sinks", named_uses(self.settings.monitoring.sinks))

    @property
    def formats(self) -> Mapping[str, Format]:
        """Formats by the name that stored values carry."""
        return self._lazy("format", "formats", self.assembly.formats(self.settings.formats))

    @property
    def channels(self) -> Mapping[str, AlertChannel]:
        """Alert channels by name."""
        return self._lazy("alert", "channels", self.settings.channels)

    @property
    def drift_tests(self) -> Mapping[str, DriftTest | StreamTest]:
        """Configured drift tests by name."""
        return self._lazy("drift", "drift.tests", named_uses(self.settings.drift.tests))

    def drift_test(self, name: str) -> DriftTest | StreamTest:
        """A configured test, else an installed one with its defaults."""
        uses = named_uses(self.settings.drift.tests)
        return self._get("drift", name, uses.get(name) or Use(name, key=f"drift test {name}"))  # type: ignore[no-any-return]

    def executor(self, name: str) -> Executor:
        """An executor by name."""
        return self._get("executor", name, Use(name, key="executor"))  # type: ignore[no-any-return]

    def stage(self, name: str) -> Stage:
        """The stage that the configuration gives for a name of the pipeline; raises ``ConfigError`` where it names no plugin."""
        pipeline = self.settings.pipeline
        stages = {one.name: one for one in pipeline.stages} if pipeline is not None else {}
        found = stages.get(name)
        if found is None:
            raise ConfigError(f"pipeline.stages: no stage is called {name!r} - {nearest(name, stages)}")
        if found.use is None:
            raise ConfigError(f"pipeline.stages.{name}: names no plugin - add 'use', or register the stage in Python")
        return self._get("stage", name, found.use)  # type: ignore[no-any-return]

    def prepare(self) -> None:
        """Build the trackers and the observers, and let trackers import what is slow before anything else runs."""
        for name, tracker in self.trackers.items():
            try:
                tracker.prepare()
            except MLOpsError:
                raise
            except Exception as error:
                raise PluginError(f"tracker.{name}: cannot be used: {one_line(error)}") from error
        self._mine.listeners.prepare()

    def emit(self, event: Record) -> None:
        """Tell every observer."""
        self._mine.listeners.emit(event)

    def gate(self, request: GateRequest) -> GateDecision:
        """Ask every gate."""
        return self._mine.listeners.gate(request)

    def unportable(self) -> str | None:
        """The first part whose class keeps its state in this process."""
        for role, use in self.uses():
            loaded = self.assembly.load(role, use)
            if "in-process" in loaded.cls.capabilities:
                return f"{use.key or role}: {use.use} keeps its state in this process"
        return None

    def uses(self) -> Iterator[tuple[str, Use]]:
        """Every plugin that the configuration names, with its role, but formats and executors."""
        settings = self.settings
        yield from (("tracker", use) for use in settings.trackers)
        yield from (("registry", use) for use in (settings.registry,) if use is not None)
        yield from (("deployer", one.deployer) for one in settings.environments.values())
        yield from (("alert", use) for use in settings.channels.values())
        yield from (("sink", use) for use in settings.monitoring.sinks)
        yield from (("drift", use) for use in settings.drift.tests)
        yield from (("observer", use) for use in settings.observers)
        stages = settings.pipeline.stages if settings.pipeline is not None else ()
        yield from (("stage", one.use) for one in stages if one.use is not None)

    def close(self) -> None:
        """Close what was built; a backend that is used again opens again."""
        _close(self._processes)

    def _lazy(self, role: str, what: str, uses: Mapping[str, Use]) -> Lazy[Any]:
        return Lazy(what, uses, lambda name: self._get(role, name, uses[name]))

    def _get(self, role: str, name: str, use: Use) -> Any:
        mine = self._mine
        return mine.shelf.get(role, name, lambda: mine.assembly.build(role, use))


def _close(processes: Mapping[int, _Process]) -> None:
    mine = processes.get(os.getpid())
    if mine is not None:
        mine.shelf.close()
