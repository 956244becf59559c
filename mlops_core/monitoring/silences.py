"""Silences: what the channels are not told for a while, and who says so."""

from __future__ import annotations

import getpass
import uuid
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from attrs import evolve, field, frozen

from mlops_core.config.alerts import PAGE, TICKET
from mlops_core.exceptions import MonitoringError, checks_input
from mlops_core.journal import update
from mlops_core.names import check_name
from mlops_core.records import NewEntry, Record
from mlops_core.stack import Stack
from mlops_core.structure import nearest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mlops_core.journal import Head

__all__ = ["JOURNAL", "Silence", "Silences", "author", "check_text", "silenced_until"]

JOURNAL: Final = "monitoring/silences"
_FORMAT: Final = 1
_LONGEST_TEXT: Final = 1000
_GRACE: Final = timedelta(days=2)  # for which a silence that ended is kept: a machine whose clock is ahead ends nobody else's


@frozen
class Silence(Record):
    """Alerts of this rule, model and environment (None: of any) are sent to nobody from ``at`` to ``until``; ``by`` whom and why."""

    id: str
    at: datetime
    until: datetime
    reason: str
    by: str
    rule: str | None = None
    model: str | None = None
    environment: str | None = None

    def covers(self, rule: str, model: str, environment: str) -> bool:
        """Whether it is about these."""
        return self.rule in (None, rule) and self.model in (None, model) and self.environment in (None, environment)


def silenced_until(silences: Iterable[Silence], rule: str, model: str, environment: str) -> datetime | None:
    """When the last silence of these ends; None: there is none."""
    return max((one.until for one in silences if one.covers(rule, model, environment)), default=None)


@frozen
class _Kept(Record):
    """The journal's state: silences by id. What has ended goes with the next change; earlier entries still tell of it."""

    silences: Mapping[str, Silence] = field(factory=dict)
    format: int = _FORMAT

    @classmethod
    def of(cls, state: Mapping[str, Any] | None) -> _Kept:
        """Read a state, or refuse that of a newer release."""
        if state and state["format"] > _FORMAT:
            raise MonitoringError(f"silences: format {state['format']} of the journal is not known to this release - install a newer one")
        return cls.from_dict(dict(state)) if state else cls()

    def entry(self, silences: Mapping[str, Silence], kind: str, one: Silence, now: datetime) -> NewEntry:
        left = {name: silence for name, silence in silences.items() if silence.until > now - _GRACE}
        return NewEntry(at=now, kind=kind, change={"id": one.id, "by": one.by}, state=evolve(self, silences=left).to_dict())


@frozen
class Silences:
    """Those of a stack's tenant."""

    stack: Stack

    def in_effect(self, at: datetime) -> list[Silence]:
        """Silences in effect at this time, the one that ends first in front."""
        newest = self.stack.parts.registry.read(self.stack.tenant, JOURNAL, limit=1, newest_first=True)
        kept = _Kept.of(newest[0].state if newest else None).silences.values()
        # One that begins later by this machine's clock is in effect, too: clocks of two machines differ, and one may be set back.
        return sorted((one for one in kept if at < one.until), key=lambda one: (one.until, one.id))

    def add(self, length: timedelta, reason: str, by: str, rule: str | None, model: str | None, environment: str | None) -> Silence:
        """Begin one now."""
        now = self.stack.clock.now()
        until = _end(now, length)
        self._check(reason, by, rule, model, environment)
        made = Silence(uuid.uuid4().hex[:8], now, until, reason, by, rule, model, environment)

        def decide(head: Head) -> NewEntry:
            kept = _Kept.of(head.state)
            return kept.entry({**kept.silences, made.id: made}, "silenced", made, now)

        update(self.stack.parts.registry, self.stack.tenant, JOURNAL, decide)
        return made

    def end(self, name: str) -> Silence:
        """End one before its time."""
        now = self.stack.clock.now()
        found: list[Silence] = []

        def decide(head: Head) -> NewEntry:
            kept = _Kept.of(head.state)
            found[:] = [one for one in kept.silences.values() if one.id == name and one.until > now]
            if not found:
                known = [one.id for one in kept.silences.values() if one.until > now]
                raise MonitoringError(f"silence {name!r:.40}: there is none - {nearest(name, known)}")
            return kept.entry({key: one for key, one in kept.silences.items() if key != name}, "unsilenced", found[0], now)

        update(self.stack.parts.registry, self.stack.tenant, JOURNAL, decide)
        return evolve(found[0], until=now)

    @checks_input
    def _check(self, reason: Any, by: Any, *names: Any) -> None:
        check_text(reason, "reason")
        check_text(by, "by")
        for name, what in zip(names, ("rule", "model", "environment"), strict=True):
            if name is not None:
                check_name(name, what, MonitoringError)
        monitoring = self.stack.settings.monitoring
        known = [rule.name for rule in monitoring.alerts] + ([] if monitoring.slo is None else [PAGE, TICKET])
        if names[0] is not None and names[0] not in known:
            raise MonitoringError(f"silence: no rule {names[0]!r} - {nearest(names[0], known)}")


@checks_input
def _end(now: datetime, length: Any) -> datetime:
    if not isinstance(length, timedelta) or length <= timedelta(0):
        raise MonitoringError(f"silence: {length!s:.40} is no duration above zero - give timedelta(hours=2)")
    try:
        return now + length
    except OverflowError as error:
        raise MonitoringError(f"silence: {length} is longer than any that can be kept - give a shorter one") from error


def author() -> str:
    """The login name of whoever runs this process."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user may have none
        return "unknown"


@checks_input
def check_text(text: Any, what: str, *, optional: bool = False) -> None:
    """Refuse what says nothing, and what is too long for one entry."""
    if not isinstance(text, str) or len(text) > _LONGEST_TEXT or not (optional or text.strip()):
        raise MonitoringError(f"{what}: expected text of 1 to {_LONGEST_TEXT} characters - say it in a sentence")
