"""What the facade of monitoring does about alerts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from mlops_core.clock import aware
from mlops_core.exceptions import MonitoringError
from mlops_core.monitoring.alerting import Alerting
from mlops_core.monitoring.silences import author
from mlops_core.names import check_name

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from mlops_core.monitoring.incidents import Incident
    from mlops_core.monitoring.reading import Reader
    from mlops_core.monitoring.silences import Silence
    from mlops_core.stack import Stack

__all__ = ["Alerts"]


class Alerts(ABC):
    """Rules, incidents, silences. A part of ``ModelMonitoring``, which says where it stands."""

    _stack: Stack

    def evaluate(self, now: datetime | None = None) -> tuple[Incident, ...]:
        """Evaluate the alert rules once and send what channels are owed. A pass of the control loop.

        Args:
            now: An aware time to evaluate at; None: the present.

        Returns:
            The incidents that opened or ended in this pass.
        """
        asked = None if now is None else aware(now, "now", MonitoringError)
        reader = self._reader()
        return Alerting(self._stack).evaluate(reader, asked or self._stack.clock.now())

    def incidents(self, model_id: str | None = None, *, resolved: bool = False) -> list[Incident]:
        """Open incidents of a model, or of all (None), oldest first; with ``resolved`` also what is pending, and each rule's last one."""
        if model_id is not None:
            check_name(model_id, "model", MonitoringError)
        found = Alerting(self._stack).incidents(model_id)
        return sorted((one for one in found if resolved or one.is_open), key=lambda one: (one.since, one.rule, one.environment))

    def acknowledge(self, rule: str, model_id: str, environment: str, *, note: str = "", by: str | None = None) -> Incident:
        """Say that somebody looks after an open incident: channels are told nothing more of it but its end.

        Args:
            rule: The rule's name.
            model_id: The model.
            environment: The environment.
            note: What is known or done, up to 1,000 characters.
            by: Who; None: the login name.

        Raises:
            MonitoringError: There is no such open incident.
        """
        for name, what in ((rule, "rule"), (model_id, "model"), (environment, "environment")):
            check_name(name, what, MonitoringError)
        return Alerting(self._stack).acknowledge(rule, model_id, environment, author() if by is None else by, note)

    def silence(
        self,
        duration: timedelta,
        reason: str,
        *,
        rule: str | None = None,
        model_id: str | None = None,
        environment: str | None = None,
        by: str | None = None,
    ) -> Silence:
        """From now on send no alerts for a while. Incidents open and end as ever; what still fires when it is over is told then.

        Args:
            duration: Above zero.
            reason: Why, up to 1,000 characters.
            rule: Of one rule; None: of all.
            model_id: Of one model; None: of all.
            environment: Of one environment; None: of all.
            by: Who says so; None: the login name.
        """
        return Alerting(self._stack).silence(duration, reason, author() if by is None else by, rule, model_id, environment)

    def unsilence(self, silence_id: str) -> Silence:
        """End a silence before its time; what fires is told at the next evaluation."""
        return Alerting(self._stack).unsilence(silence_id)

    def silences(self) -> list[Silence]:
        """Silences in effect, the one that ends first in front."""
        return Alerting(self._stack).silences(self._stack.clock.now())

    @abstractmethod
    def _reader(self) -> Reader:
        """The sink that answers windows, up to date."""
