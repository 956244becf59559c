"""The passes that every project needs, over all of its tenants."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, TypeVar

from attrs import define, field

from mlops_core.deployment import ModelDeployment
from mlops_core.drift import DriftSchedule
from mlops_core.exceptions import MLOpsError
from mlops_core.monitoring import ModelMonitoring
from mlops_core.operations.loop import Pass
from mlops_core.stack import Stack
from mlops_core.tracking import ExperimentTracker
from mlops_core.versioning import sweep

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from mlops_core.drift.schedule import DueCheck, VersionCheck

__all__ = ["Upkeep"]

_log = logging.getLogger(__name__)
Facade = TypeVar("Facade", ModelDeployment, ModelMonitoring, ExperimentTracker)
One = TypeVar("One")
_ADVANCE: Final = timedelta(seconds=2)
_EVALUATE: Final = timedelta(seconds=10)
_DRAIN: Final = timedelta(seconds=30)
_SWEEP: Final = timedelta(hours=1)
_CHECK: Final = timedelta(minutes=1)
_RECENT: Final = timedelta(minutes=10)


@define(eq=False)
class Upkeep:
    """Facades per tenant, made when they are first needed, and the passes over them. Close it after the loop.

    Rollouts and alerts are each tenant's; spools and leftovers belong to the project.
    """

    stack: Stack
    _facades: dict[tuple[type, str], Any] = field(factory=dict, init=False, repr=False)
    _whole: float = field(default=float("-inf"), init=False, repr=False)

    def passes(self) -> tuple[Pass, ...]:
        """What to give to the control loop."""
        return (
            Pass("deployment.advance", self._advance, _ADVANCE),
            Pass("monitoring.evaluate", self._evaluate, _EVALUATE),
            Pass("monitoring.drain", self._drain, _DRAIN),
            Pass("tracking.recover", self._recover, _DRAIN),
            Pass("versioning.sweep", self._sweep, _SWEEP),
            Pass("monitoring.roll_up", self._roll_up, _DRAIN),
            Pass("monitoring.purge", self._purge, _SWEEP),
            *([Pass("drift.check", self._check_drift, _CHECK)] if self.stack.settings.drift.schedule is not None else []),
        )

    def facade(self, kind: type[Facade], tenant: str) -> Facade:
        """The facade of a tenant, always the same one."""
        if (kind, tenant) not in self._facades:
            self._facades[kind, tenant] = kind(stack=self.stack.for_tenant(tenant))
        found: Facade = self._facades[kind, tenant]
        return found

    def tenants(self) -> list[str]:
        """The project's tenant, and every other one that has a record in the registry."""
        found = {self.stack.tenant}
        cursor = None
        while True:
            page = self.stack.parts.registry.tenants(cursor=cursor)
            found.update(page.items)
            if page.cursor is None:
                return sorted(found)
            cursor = page.cursor

    def measured(self) -> list[str]:
        """Those, and every one whose predictions a sink has; a sink that cannot be asked is logged."""
        found = set(self.tenants())
        for name, sink in self.stack.parts.sinks.items():
            if "read" in sink.capabilities:
                try:
                    found.update(sink.tenants())
                except Exception as error:  # noqa: BLE001  whatever a sink raises: the others' tenants are looked after
                    _log.warning("sink %s: does not tell whose predictions it has: %s: %s", name, type(error).__name__, error)
        return sorted(found)

    def close(self) -> None:
        """Close every facade that was made and has something to close. Idempotent."""
        for facade in self._facades.values():
            if hasattr(facade, "close"):
                facade.close()
        self._facades.clear()

    def _advance(self) -> None:
        _each(self.tenants(), lambda tenant: self.facade(ModelDeployment, tenant).advance())

    def _evaluate(self) -> None:
        if self.stack.parts.sinks:
            self.facade(ModelMonitoring, self.stack.tenant).drain()  # what a dead process counted may be all there is of a tenant
            _each(self.measured(), lambda tenant: self.facade(ModelMonitoring, tenant).evaluate())

    def _drain(self) -> None:
        if self.stack.parts.sinks:
            self.facade(ModelMonitoring, self.stack.tenant).drain()

    def _roll_up(self) -> None:
        """What has just reached an age every time; everything, for what came late and what is to be erased, once an hour."""
        now = self.stack.clock.monotonic()
        recent = None if now >= self._whole else _RECENT
        if recent is None:
            self._whole = now + _SWEEP.total_seconds()
        if self.stack.parts.sinks:
            _each(self.measured(), lambda tenant: self.facade(ModelMonitoring, tenant).roll_up(recent=recent))

    def _purge(self) -> None:
        if any("log" in sink.capabilities for sink in self.stack.parts.sinks.values()):
            _each(self.measured(), lambda tenant: self.facade(ModelMonitoring, tenant).expire())

    def _check_drift(self) -> None:
        _each(self.measured(), self._check_drift_of)

    def _check_drift_of(self, tenant: str) -> None:
        """Figures are recorded before the slot is settled: what a crash leaves between is checked again, and equal."""
        schedule, monitoring = DriftSchedule(self.stack.for_tenant(tenant)), self.facade(ModelMonitoring, tenant)

        def check(due: DueCheck) -> None:
            found = schedule.check(due)
            # Rules look at all versions together and at what was recorded last: that is to be the worst.
            for one in sorted(found, key=_concern):
                if one.drift is not None:
                    monitoring.record_values(due.model, one.drift.figures(), environment=due.environment, version=one.version)
                else:
                    _log.warning("drift of %s in %s is not checked: %s", due.model, due.environment, one.reason)
            schedule.settle(due, found)

        _each(schedule.due(), check, lambda due: f"{due.model} in {due.environment}")

    def _recover(self) -> None:
        if self.stack.parts.trackers:
            self.facade(ExperimentTracker, self.stack.tenant).recover()

    def _sweep(self) -> None:
        sweep(self.stack.parts.registry)


def _concern(one: VersionCheck) -> tuple[bool, float]:
    return (one.drift is not None and one.drift.drift_detected, -one.drift.p_value if one.drift is not None else -1.0)


def _each(found: Iterable[One], act: Callable[[One], Any], name: Callable[[One], str] = "tenant {}".format) -> None:
    """Act for every tenant, or what else is found; one that fails stops no other, and all are named in the end."""
    failed = []
    for one in found:
        try:
            act(one)
        except MLOpsError as error:
            failed.append(f"{name(one)}: {error.message}")
        except Exception as error:  # noqa: BLE001  a tenant's data or backend may raise anything
            failed.append(f"{name(one)}: {type(error).__name__}: {error}")
    if failed:
        raise MLOpsError("; ".join(failed))
