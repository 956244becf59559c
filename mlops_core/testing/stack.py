"""A stack over instances, for tests of facades and plugins without a configuration file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

from attrs import define, field

from mlops_core.config.settings import Settings
from mlops_core.exceptions import ConfigError
from mlops_core.records import GateDecision, GateRequest, Record
from mlops_core.roles import (
    AlertChannel,
    Clock,
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
from mlops_core.stack import Stack
from mlops_core.testing.clock import FakeClock

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["GivenParts", "make_stack"]

T = TypeVar("T")


@define(eq=False, kw_only=True)
class GivenParts:
    """Parts that were handed in. ``events`` keeps what was emitted; ``veto`` makes the gate refuse with that reason."""

    store: RegistryStore | None = None
    trackers: Mapping[str, Tracker] = field(factory=dict)
    environments: Mapping[str, Deployer] = field(factory=dict)
    sinks: Mapping[str, MonitorSink] = field(factory=dict)
    formats: Mapping[str, Format] = field(factory=dict)
    channels: Mapping[str, AlertChannel] = field(factory=dict)
    drift_tests: Mapping[str, DriftTest | StreamTest] = field(factory=dict)
    executors: Mapping[str, Executor] = field(factory=dict)
    stages: Mapping[str, Stage] = field(factory=dict)
    events: list[Record] = field(factory=list)
    veto: str = ""

    @property
    def registry(self) -> RegistryStore:
        """The store that was given; raises ``ConfigError`` if none was."""
        if self.store is None:
            raise ConfigError("registry: this stack was given none - pass registry= to make_stack")
        return self.store

    def drift_test(self, name: str) -> DriftTest | StreamTest:
        """A given test."""
        return _given(self.drift_tests, name, "drift test")

    def executor(self, name: str) -> Executor:
        """A given executor."""
        return _given(self.executors, name, "executor")

    def stage(self, name: str) -> Stage:
        """A given stage."""
        return _given(self.stages, name, "stage")

    def prepare(self) -> None:
        """Given instances are built already; trackers import what is slow."""
        for tracker in self.trackers.values():
            tracker.prepare()

    def emit(self, event: Record) -> None:
        """Keep the event."""
        self.events.append(event)

    def gate(self, request: GateRequest) -> GateDecision:
        """Allow, unless ``veto`` is set."""
        del request
        return GateDecision(allow=not self.veto, reason=self.veto)

    def unportable(self) -> str | None:
        """Instances cannot be composed elsewhere."""
        return "a stack over instances"

    def close(self) -> None:
        """Close everything that was given."""
        given: Sequence[Mapping[str, object]] = (
            self.trackers,
            self.environments,
            self.sinks,
            self.formats,
            self.channels,
        )
        for backend in [self.store, *(one for part in given for one in part.values())]:
            if backend is not None:
                backend.close()  # type: ignore[attr-defined]  # every one is a Backend


def _given(parts: Mapping[str, T], name: str, what: str) -> T:
    try:
        return parts[name]
    except KeyError:
        raise ConfigError(f"{what}: this stack was given no {name!r} (only: {', '.join(parts) or 'none'})") from None


def make_stack(
    root: Path,
    *,
    tenant: str = "acme",
    clock: Clock | None = None,
    settings: Settings | None = None,
    registry: RegistryStore | None = None,
    **parts: object,
) -> Stack:
    """A stack over the given instances, with a fake clock unless one is given."""
    given = GivenParts(store=registry, **parts)  # type: ignore[arg-type]  # attrs checks the names, callers the types
    return Stack(root=root, tenant=tenant, parts=given, settings=settings or Settings(), clock=clock or FakeClock())
