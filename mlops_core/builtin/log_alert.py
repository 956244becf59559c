"""Alert channel ``log``: incidents in the program's log."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, ClassVar, Final, Literal

from attrs import define, field

from mlops_core.hookspecs import hookimpl
from mlops_core.roles import AlertChannel

if TYPE_CHECKING:
    from mlops_core.records import Alert

__all__ = ["LogAlert"]

_LOG: Final = logging.getLogger("mlops_core.alerts")
_LEVELS: Final = {"info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR, "critical": logging.CRITICAL}
_REMEMBERED: Final = 10_000


@define(eq=False)
class LogAlert(AlertChannel):
    """Writes each alert once to the logger ``mlops_core.alerts``, with its key, tenant, rule, model and environment."""

    contract: ClassVar[int] = 1

    level: Literal["info", "warning", "error", "critical"] = field(
        default="warning", metadata={"help": "level of a firing alert; its end is written as info"}
    )
    _sent: dict[str, None] = field(factory=dict, init=False, repr=False)
    _lock: threading.Lock = field(factory=threading.Lock, init=False, repr=False)

    def send(self, alert: Alert) -> None:
        """Write the alert, unless this process has written its key already (the last 10,000 keys are remembered)."""
        with self._lock:
            if alert.key in self._sent:
                return
            self._sent[alert.key] = None
            if len(self._sent) > _REMEMBERED:
                del self._sent[next(iter(self._sent))]
        level = _LEVELS[self.level] if alert.state == "firing" else logging.INFO
        fields = {"alert_key": alert.key, **{name: getattr(alert, name) for name in ("tenant", "rule", "model", "environment")}}
        _LOG.log(level, "%s: %s", alert.state, alert.summary, extra=fields)


@hookimpl
def mlops_alert_channel() -> type[AlertChannel]:
    """Hand over the class."""
    return LogAlert
