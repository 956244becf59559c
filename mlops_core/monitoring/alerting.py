"""One pass of the alert rules: measure, journal, tell the channels."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from attrs import evolve, frozen

from mlops_core.exceptions import MLOpsError, MonitoringError
from mlops_core.journal import Head, journals_under, update
from mlops_core.monitoring.incidents import (
    FORMAT,
    Acknowledged,
    Book,
    Incident,
    Measured,
    Owed,
    acknowledge,
    advance,
    journal_of,
    raised,
    settle,
)
from mlops_core.monitoring.rules import Rule, read_rules
from mlops_core.monitoring.silences import Silences, check_text, silenced_until
from mlops_core.monitoring.slo import Objective
from mlops_core.records import AlertRaised, NewEntry
from mlops_core.stack import Stack
from mlops_core.structure import nearest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime, timedelta

    from mlops_core.config.settings import Settings
    from mlops_core.monitoring.reading import Reader
    from mlops_core.monitoring.silences import Silence

__all__ = ["Alerting"]

_log = logging.getLogger(__name__)
_PREFIX = journal_of("")


@frozen
class Alerting:
    """Incidents of a stack's tenant. Every change is decided on the journal's head, so two processes that evaluate at once open one."""

    stack: Stack

    def evaluate(self, reader: Reader, now: datetime) -> tuple[Incident, ...]:
        """Evaluate every rule and send what is owed; answers the incidents that opened or ended.

        Raises:
            MonitoringError: The sink or the registry cannot be read, or a rule is wrong.
        """
        with _told():
            rules = _rules(self.stack.settings)
            series = reader.series(self.stack.tenant)
            models = {key.model for key in series} if rules else set()
            models |= {rule.settings.model for rule in rules if rule.settings.model is not None} | set(self._journals())
            silences = Silences(self.stack).in_effect(now)
            changed: list[Incident] = []
            for model in sorted(models):
                measured = [one for rule in rules for one in rule.measure(model, series, reader, now)]
                changed += self._evaluate(model, measured, silences, now)
            failed: set[str] = set()
            for model in sorted(models):
                self._send(model, now, failed)
        return tuple(changed)

    def incidents(self, model: str | None) -> list[Incident]:
        """The newest incident of every rule, environment and model."""
        with _told():
            models = list(self._journals()) if model is None else [model]
            silences = Silences(self.stack).in_effect(self.stack.clock.now())
            found = [incident for name in models for incident in self._read(name).incidents.values()]
            return [
                evolve(one, silenced=silenced_until(silences, one.rule, one.model, one.environment)) if one.is_open else one
                for one in found
            ]

    def acknowledge(self, rule: str, model: str, environment: str, by: str, note: str) -> Incident:
        """Put down who looks after an open incident."""
        check_text(by, "by")
        check_text(note, "note", optional=True)
        known = Acknowledged(by, self.stack.clock.now(), note)
        name = f"{rule}/{environment}"
        with _told():
            entry = update(
                self.stack.parts.registry, self.stack.tenant, journal_of(model), lambda head: acknowledge(_book(head.state), name, known)
            )
            if entry is None:
                found = [one.rule for one in self._read(model).incidents.values() if one.is_open and one.environment == environment]
                raise MonitoringError(f"acknowledge: no open incident of {rule!r} for {model} in {environment} - {nearest(rule, found)}")
            return _book(entry.state).incidents[name]

    def silence(self, length: timedelta, reason: str, by: str, rule: str | None, model: str | None, environment: str | None) -> Silence:
        """Begin a silence."""
        with _told():
            return Silences(self.stack).add(length, reason, by, rule, model, environment)

    def unsilence(self, name: str) -> Silence:
        """End a silence."""
        with _told():
            return Silences(self.stack).end(name)

    def silences(self, now: datetime) -> list[Silence]:
        """Silences in effect."""
        with _told():
            return Silences(self.stack).in_effect(now)

    def _evaluate(self, model: str, measured: Sequence[Measured], silences: Sequence[Silence], now: datetime) -> list[Incident]:
        tenant, channels = self.stack.tenant, tuple(self.stack.parts.channels)
        before: list[Book] = []

        def decide(head: Head) -> NewEntry | None:
            before.append(_book(head.state))
            return advance(before[-1], measured, now, tenant=tenant, model=model, channels=channels, silences=silences)

        entry = update(self.stack.parts.registry, tenant, journal_of(model), decide)
        if entry is None:
            return []
        after = _book(entry.state)
        for owed in [one for one in before[-1].owed if one not in after.owed]:
            _log.error("channel %s: %s is given up, newer alerts of the rule wait", owed.channel, owed.alert.key)
        changed = [after.incidents[name] for name, state in entry.change.items() if state != "pending"]
        for incident in raised(before[-1], after).values():
            self.stack.parts.emit(AlertRaised(tenant, now, incident.alert()))
        return changed

    def _send(self, model: str, now: datetime, failed: set[str]) -> None:
        """Send what is owed, oldest first; a channel that fails is passed over until the next pass, for the other models too."""
        taken: list[Owed] = []
        for owed in self._read(model).owed:
            if owed.channel in failed:
                continue
            if owed.channel not in self.stack.parts.channels:
                _log.warning("channel %s: is not configured any more, %s is not delivered", owed.channel, owed.alert.key)
                taken.append(owed)
                continue
            try:
                self.stack.parts.channels[owed.channel].send(owed.alert)
            except Exception as error:  # noqa: BLE001  whatever a channel raises: tried again at the next pass
                failed.add(owed.channel)
                _log.warning("channel %s: %s is not delivered: %s: %s", owed.channel, owed.alert.key, type(error).__name__, error)
            else:
                taken.append(owed)
        if taken:
            store, tenant = self.stack.parts.registry, self.stack.tenant
            update(store, tenant, journal_of(model), lambda head: settle(_book(head.state), taken, now))

    def _read(self, model: str) -> Book:
        newest = self.stack.parts.registry.read(self.stack.tenant, journal_of(model), limit=1, newest_first=True)
        return _book(newest[0].state if newest else None)

    def _journals(self) -> Iterator[str]:
        return journals_under(self.stack.parts.registry, self.stack.tenant, _PREFIX)


def _rules(settings: Settings) -> list[Rule | Objective]:
    slo = settings.monitoring.slo
    return [*read_rules(settings), *([] if slo is None else [Objective(slo)])]


def _book(state: Mapping[str, Any] | None) -> Book:
    if not state:
        return Book()
    if state.get("format", FORMAT) not in range(1, FORMAT + 1):
        raise MonitoringError(f"incidents: format {state['format']} of the journal is not known to this release - install a newer one")
    return Book.from_dict({**state, "format": FORMAT})


@contextmanager
def _told() -> Iterator[None]:
    """A facade raises its own class."""
    try:
        yield
    except MonitoringError:
        raise
    except MLOpsError as error:
        raise MonitoringError(error.message) from error
    except Exception as error:
        said = " ".join(str(error).split())
        raise MonitoringError(f"monitoring: {type(error).__name__}: {said} - `mlops check --connect` tells more") from error
