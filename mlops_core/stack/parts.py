"""What a stack is made of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

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

__all__ = ["Parts"]


class Parts(Protocol):
    """The backends, each built at its first use and once. Building does no I/O.

    Mappings keep the order of the configuration; their keys are the names used there. A lookup by a name that is not composed raises
    ``ConfigError`` naming the nearest one.
    """

    @property
    def trackers(self) -> Mapping[str, Tracker]:
        """The first answers searches."""

    @property
    def registry(self) -> RegistryStore:
        """The registry store."""

    @property
    def environments(self) -> Mapping[str, Deployer]:
        """Deployers by environment."""

    @property
    def sinks(self) -> Mapping[str, MonitorSink]:
        """Monitor sinks; the first with ``read`` answers windows."""

    @property
    def formats(self) -> Mapping[str, Format]:
        """Formats in the order in which they are asked."""

    @property
    def channels(self) -> Mapping[str, AlertChannel]:
        """Alert channels by name."""

    @property
    def drift_tests(self) -> Mapping[str, DriftTest | StreamTest]:
        """The tests that the configuration names."""

    def drift_test(self, name: str) -> DriftTest | StreamTest:
        """A test by name, composed from the configuration or loaded with its defaults."""

    def executor(self, name: str) -> Executor:
        """An executor by name."""

    def stage(self, name: str) -> Stage:
        """The stage that the configuration gives for this name of the pipeline."""

    def prepare(self) -> None:
        """Build and prepare what hears of every run, trackers and observers: a broken one is an error here, before anything is written."""

    def emit(self, event: Record) -> None:
        """Tell every observer; one that raises is logged by name and stops nobody."""

    def gate(self, request: GateRequest) -> GateDecision:
        """Ask every gate: the first veto wins, a gate that raises vetoes."""

    def unportable(self) -> str | None:
        """The part that another process could not compose, or None."""

    def close(self) -> None:
        """Close every backend that was built. Idempotent."""
