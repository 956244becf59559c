"""The alert channel role: where incidents are sent."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

from mlops_core.roles.backend import Backend

if TYPE_CHECKING:
    from mlops_core.records import Alert

__all__ = ["AlertChannel"]


class AlertChannel(Backend):
    """Delivers alerts. The core adds rules, incidents and retries."""

    __slots__ = ()

    @abstractmethod
    def send(self, alert: Alert) -> None:
        """Deliver once per ``alert.key`` as far as the channel can tell; raises ``MonitoringError`` if it could not."""
