"""The passes that every project needs, over all of its tenants."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from attrs import define, field

from mlops_core.exceptions import MLOpsError
from mlops_core.monitoring import ModelMonitoring
from mlops_core.operations.loop import Pass
from mlops_core.stack import Stack

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Upkeep"]

_log = logging.getLogger(__name__)


@define(eq=False)
class Upkeep:
    """Facades per tenant, made when they are first needed, and the passes over them. Close it after the loop."""

    stack: Stack
    _monitoring: dict[str, ModelMonitoring] = field(factory=dict, init=False, repr=False)

    def passes(self) -> tuple[Pass, ...]:
        """What to give to the control loop."""
        return (
            Pass("monitoring.evaluate", lambda: self._each(lambda tenant: self.monitoring(tenant).evaluate()), timedelta(seconds=10)),
            Pass("monitoring.drain", lambda: self.monitoring(self.stack.tenant).drain(), timedelta(seconds=10)),
        )

    def monitoring(self, tenant: str) -> ModelMonitoring:
        """The facade of a tenant."""
        if tenant not in self._monitoring:
            self._monitoring[tenant] = ModelMonitoring(stack=self.stack.for_tenant(tenant))
        return self._monitoring[tenant]

    def close(self) -> None:
        """Close every facade that was made."""
        for facade in self._monitoring.values():
            facade.close()

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

    def _each(self, act: Callable[[str], Any]) -> None:
        """Act for every tenant; one that fails is logged and stops no other."""
        failed = []
        for tenant in self.tenants():
            try:
                act(tenant)
            except MLOpsError as error:
                failed.append(f"tenant {tenant}: {error.message}")
        if failed:
            raise MLOpsError("; ".join(failed))
