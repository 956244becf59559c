"""Incidents: how a rule's condition becomes pending, firing and resolved, as pure functions over a journal's state.

The journal ``incidents/{model}`` holds the newest incident of each rule and environment, so that there is never more than one open; with
it goes what the channels are still owed, so that an alert is sent again until its channel took it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, Literal

from attrs import evolve, field, frozen

from mlops_core.monitoring.silences import Silence, silenced_until
from mlops_core.records import Alert, NewEntry, Record

__all__ = [
    "FORMAT",
    "MOST_OWED",
    "Acknowledged",
    "Book",
    "Incident",
    "Measured",
    "Owed",
    "acknowledge",
    "advance",
    "journal_of",
    "raised",
    "settle",
]

FORMAT: Final = 3
MOST_OWED: Final = 4
"""Alerts of one rule and environment that wait for one channel."""


@frozen
class Measured:
    """What one rule found in one environment.

    ``holds``: whether its condition is met, None where nothing is known and what was stays. ``cleared``: whether what fires may end.
    ``notify``: the channels that are told, none for all. ``detail`` says more than ``value`` of what was found, and is asked when it fires.
    ``beside``: a rule measured before, beside whose open incident this one neither opens nor ends.
    """

    rule: str
    environment: str
    condition: str
    value: float | None
    holds: bool | None
    cleared: bool
    notify: tuple[str, ...] = ()
    hold_for: timedelta = timedelta(0)
    keep: timedelta = timedelta(0)
    detail: Callable[[], str] = str
    severity: str = ""
    beside: str = ""


@frozen
class Owed(Record):
    """An alert that a channel has not taken yet."""

    channel: str
    alert: Alert


@frozen
class Acknowledged(Record):
    """That somebody looks after an incident."""

    by: str
    at: datetime
    note: str = ""


@frozen
class Incident(Record):
    """The newest incident of a rule in one environment.

    ``since`` is when the condition was first met, ``at`` when ``state`` was entered; ``value`` was measured then. ``key`` names the
    incident from its opening on, and is empty while it is pending; ``lapsed``: since when it could end, while it is kept. ``detail`` says
    in words what was found when it opened; ``severity`` is for whoever routes its alerts; ``notify`` are the channels that are told, none
    for all. ``untold``: it was silenced when it opened, and
    no channel has been told of it. ``silenced`` is until when it is, as of reading: the journal does not keep it.
    """

    tenant: str
    rule: str
    model: str
    environment: str
    state: Literal["pending", "firing", "resolved"]
    since: datetime
    at: datetime
    condition: str
    value: float | None = None
    key: str = ""
    lapsed: datetime | None = None
    detail: str = ""
    severity: str = ""
    untold: bool = False
    notify: tuple[str, ...] = ()
    acknowledged: Acknowledged | None = None
    silenced: datetime | None = None

    @property
    def is_open(self) -> bool:
        """Whether it fires."""
        return self.state == "firing"

    def alert(self) -> Alert:
        """What the channels are told of the state it is in."""
        figure = "measured: no data" if self.value is None else f"measured: {self.value:.4g}"
        found = (self.is_open and self.detail) or figure
        return Alert(
            key=f"{self.key}/{self.state}",
            tenant=self.tenant,
            rule=self.rule,
            model=self.model,
            environment=self.environment,
            state="firing" if self.state == "firing" else "resolved",
            at=self.at,
            summary=f"{self.model} in {self.environment}: {self.rule} {self.state}: {self.condition} ({found})",
            value=self.value,
            labels={"condition": self.condition, **({"severity": self.severity} if self.severity else {})},
        )


@frozen
class Book(Record):
    """The state of a model's journal: incidents by rule and environment, and what is owed, oldest first; ``format`` tells this form.

    Format 1 is without ``Incident.lapsed``, format 2 without what follows that.
    """

    incidents: Mapping[str, Incident] = field(factory=dict)
    owed: tuple[Owed, ...] = ()
    format: int = FORMAT


def journal_of(model: str) -> str:
    """The journal of a model's incidents."""
    return f"incidents/{model}"


def advance(
    book: Book,
    measured: Sequence[Measured],
    now: datetime,
    *,
    tenant: str,
    model: str,
    channels: Sequence[str],
    silences: Sequence[Silence] = (),
) -> NewEntry | None:
    """The entry that brings a model's incidents to what was measured, and owes its alerts to the channels; None if nothing changes.

    An incident whose rule or series is gone is resolved; a pending one whose condition is no longer met is forgotten. What opens while one
    of ``silences``, those in effect, covers it is told when none does any more. The end of what was never told is not told either.
    """
    told = {f"{one.rule}/{one.environment}": one.notify or tuple(channels) for one in measured}
    after = {name: _end(incident, None, now) for name, incident in book.incidents.items() if name not in told}
    for name, one in zip(told, measured, strict=True):
        other = after.get(f"{one.beside}/{one.environment}")
        found = evolve(one, holds=None) if other is not None and other.is_open else one
        after[name] = _step(book.incidents.get(name), found, now, tenant, model)
    kept = {name: _hushed(book.incidents.get(name), incident, silences) for name, incident in sorted(after.items()) if incident is not None}
    if kept == book.incidents:
        return None
    then = evolve(book, incidents=kept)
    owed = [
        Owed(channel, one.alert())
        for name, one in raised(book, then).items()
        for channel in told.get(name, one.notify or tuple(channels))  # of a rule that is gone: who heard of it
    ]
    change = {name: incident.state for name, incident in kept.items() if _moved(book.incidents.get(name), incident)}
    return NewEntry(at=now, kind="evaluated", change=change, state=evolve(then, owed=_newest((*book.owed, *owed))).to_dict())


def raised(before: Book, after: Book) -> dict[str, Incident]:
    """Incidents whose state is to be told now: what opened or ended, and what was silenced till now."""
    found = {}
    for name, one in after.incidents.items():
        earlier = before.incidents.get(name)
        heard = earlier is not None and earlier.untold and one.is_open
        if one.state != "pending" and not one.untold and (heard or _moved(earlier, one)):
            found[name] = one
    return found


def acknowledge(book: Book, name: str, by: Acknowledged) -> NewEntry | None:
    """The entry that says who looks after an open incident; what channels are still owed of its beginning is crossed out. None: no such."""
    incident = book.incidents.get(name)
    if incident is None or not incident.is_open:
        return None
    known = {**book.incidents, name: evolve(incident, acknowledged=by)}
    owed = tuple(one for one in book.owed if one.alert.key != incident.alert().key)
    change = {"rule": incident.rule, "environment": incident.environment, "by": by.by}
    return NewEntry(at=by.at, kind="acknowledged", change=change, state=evolve(book, incidents=known, owed=owed).to_dict())


def settle(book: Book, taken: Sequence[Owed], now: datetime) -> NewEntry | None:
    """The entry that crosses out what channels have taken; None if another process has done so."""
    owed = tuple(one for one in book.owed if one not in taken)
    if owed == book.owed:
        return None
    return NewEntry(at=now, kind="delivered", change={"keys": [one.alert.key for one in taken]}, state=evolve(book, owed=owed).to_dict())


def _newest(owed: Sequence[Owed]) -> tuple[Owed, ...]:
    """Of a rule that goes on and off while a channel is away only the newest alerts wait, so that the journal stays small."""
    kept: list[Owed] = []
    waiting: Counter[tuple[str, str, str]] = Counter()
    for one in reversed(owed):
        origin = (one.channel, one.alert.rule, one.alert.environment)
        waiting[origin] += 1
        if waiting[origin] <= MOST_OWED:
            kept.append(one)
    return tuple(reversed(kept))


def _step(before: Incident | None, one: Measured, now: datetime, tenant: str, model: str) -> Incident | None:
    """The incident after one measurement."""
    if one.holds is None:
        return before if before is None else evolve(before, lapsed=None)  # nobody knows whether it was over all the time
    if before is not None and before.state == "firing":
        return _lapse(before, one, now)
    if not one.holds:
        return None if before is None else _end(before, one.value, now)
    if before is None or before.state == "resolved":
        before = Incident(tenant, one.rule, model, one.environment, "pending", now, now, one.condition, one.value, severity=one.severity)
    if now < before.since:  # the clock was set back
        before = evolve(before, since=now)
    if before.state == "pending" and now - before.since >= one.hold_for:
        return evolve(before, state="firing", at=now, value=one.value, key=_key(before, now), detail=one.detail(), notify=one.notify)
    return before


def _lapse(before: Incident, one: Measured, now: datetime) -> Incident:
    """What fires, after one more measurement: it ends once it could have for as long as the rule keeps it."""
    if not one.cleared:
        return evolve(before, lapsed=None)
    since = min(before.lapsed or now, now)  # the clock may have been set back
    if now - since >= one.keep:
        return evolve(before, state="resolved", at=now, value=one.value, lapsed=None)
    return evolve(before, lapsed=since)


def _hushed(before: Incident | None, after: Incident, silences: Sequence[Silence]) -> Incident:
    """What fires with the mark of a silence: set when it opens in one, taken away when that is over, unless somebody knows already."""
    if not after.is_open or (not _moved(before, after) and (not after.untold or after.acknowledged is not None)):
        return after
    return evolve(after, untold=silenced_until(silences, after.rule, after.model, after.environment) is not None)


def _moved(before: Incident | None, after: Incident) -> bool:
    return before is None or (before.state, before.key) != (after.state, after.key)


def _end(incident: Incident, value: float | None, now: datetime) -> Incident | None:
    if incident.state == "pending":
        return None
    return evolve(incident, state="resolved", at=now, value=value, lapsed=None) if incident.state == "firing" else incident


def _key(incident: Incident, opened: datetime) -> str:
    elapsed = (opened - datetime.fromtimestamp(0, opened.tzinfo)) // timedelta(microseconds=1)
    return f"{incident.tenant}/{incident.model}/{incident.environment}/{incident.rule}/{elapsed}"
