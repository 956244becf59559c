"""The passes that every project needs, over all of its tenants."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, TypeVar

from attrs import define, field

from mlops_core.deployment import ModelDeployment
from mlops_core.exceptions import MLOpsError
from mlops_core.monitoring import ModelMonitoring
from mlops_core.operations.loop import Pass
from mlops_core.stack import Stack
from mlops_core.tracking import ExperimentTracker
from mlops_core.versioning import sweep

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["Upkeep"]

_log = logging.getLogger(__name__)
Facade = TypeVar("Facade", ModelDeployment, ModelMonitoring, ExperimentTracker)
_ADVANCE: Final = timedelta(seconds=2)
_EVALUATE: Final = timedelta(seconds=10)
_DRAIN: Final = timedelta(seconds=30)
_SWEEP: Final = timedelta(hours=1)


@define(eq=False)
class Upkeep:
    """Facades per tenant, made when they are first needed, and the passes over them. Close it after the loop.

    Rollouts and alerts are each tenant's; spools and leftovers belong to the project.
    """

    stack: Stack
    _facades: dict[tuple[type, str], Any] = field(factory=dict, init=False, repr=False)

    def passes(self) -> tuple[Pass, ...]:
        """What to give to the control loop."""
        return (
            Pass("deployment.advance", self._advance, _ADVANCE),
            Pass("monitoring.evaluate", self._evaluate, _EVALUATE),
            Pass("monitoring.drain", self._drain, _DRAIN),
            Pass("tracking.recover", self._recover, _DRAIN),
            Pass("versioning.sweep", self._sweep, _SWEEP),
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

    def _recover(self) -> None:
        if self.stack.parts.trackers:
            self.facade(ExperimentTracker, self.stack.tenant).recover()

    def _sweep(self) -> None:
        sweep(self.stack.parts.registry)


def _each(tenants: Iterable[str], act: Callable[[str], Any]) -> None:
    """Act for every tenant; one that fails stops no other, and all are named in the end."""
    failed = []
    for tenant in tenants:
        try:
            act(tenant)
        except MLOpsError as error:
            failed.append(f"tenant {tenant}: {error.message}")
        except Exception as error:  # noqa: BLE001  a tenant's data or backend may raise anything
            failed.append(f"tenant {tenant}: {type(error).__name__}: {error}")
    if failed:
        raise MLOpsError("; ".join(failed))
