"""Drift checks on a schedule: once in each slot of time, for every model and environment, at the level that a rate of false alarms allows.

Where ``n`` false alarms per time ``T`` are accepted and a check is made every ``t``, each is made at the level n t / T, which bounds the
expected number of false alarms whether or not the checks depend on each other. Versions that answered side by side share the level equally
(Bonferroni 1936). What a slot found is one entry of the journal ``drift/{model}/{environment}``, so that two loops check it once.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from attrs import field, frozen

from mlops_core.drift.detector import DriftDetector
from mlops_core.drift.results import DataDrift
from mlops_core.drift.stored import has_answered, sampled_versions, sampling_series
from mlops_core.exceptions import DriftDetectionError, MLOpsError
from mlops_core.journal import Head, Journal, journals_under
from mlops_core.records import NewEntry, Record
from mlops_core.stack import Stack

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlops_core.config.settings import ScheduleSettings

__all__ = ["DriftSchedule", "DueCheck", "LastCheck", "VersionCheck"]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LATE: Final = timedelta(minutes=1)  # segments of the slot's end are delivered by then
_PREFIX: Final = "drift/"


@frozen
class DueCheck(Record):
    """A check that is due: predictions of a model in an environment over [start, end), at ``level`` for all of its versions."""

    model: str
    environment: str
    start: datetime
    end: datetime
    level: float


@frozen
class VersionCheck(Record):
    """What a due check found of one version; ``drift`` None: nothing, and ``reason`` says why."""

    version: str
    drift: DataDrift | None = None
    reason: str = ""


@frozen
class LastCheck(Record):
    """The newest entry of a model's checks in an environment: ``versions`` as plain values, by name; ``reason`` if there were none."""

    model: str
    environment: str
    end: datetime
    level: float
    versions: Mapping[str, Mapping[str, Any]] = field(factory=dict)
    reason: str = ""


@frozen(eq=False)
class DriftSchedule:
    """The checks of the stack's tenant, as ``drift.schedule`` says: ``due``, ``check``, then ``settle``.

    A slot is due until it is settled, or the next one is; those that passed while nobody checked are not made up for.
    """

    stack: Stack

    @property
    def settings(self) -> ScheduleSettings | None:
        """``drift.schedule``; without it nothing is ever due."""
        return self.stack.settings.drift.schedule

    def due(self) -> tuple[DueCheck, ...]:
        """What is to be checked now: models that answered in the slot's window and were not checked for it.

        Raises:
            DriftDetectionError: No sink can be read, or it or the registry does not answer.
        """
        if self.settings is None:
            return ()
        every = self.settings.every
        end = _EPOCH + (self.stack.clock.now() - _LATE - _EPOCH) // every * every
        start, level = end - (self.settings.window or every), self.settings.level(self.stack.settings.drift.alpha)
        pairs = dict.fromkeys((key.model, key.environment) for key in sampling_series(self.stack))
        unsettled = (pair for pair in pairs if not self._settled(self._journal(*pair).head(), end))
        return tuple(DueCheck(*pair, start, end, level) for pair in unsettled if has_answered(self.stack, *pair, start, end))

    def check(self, due: DueCheck) -> tuple[VersionCheck, ...]:
        """Compare what was sampled of each version with its reference; none where nothing was.

        A version whose check fails stops no other, and is told with its reason if another could be checked.

        Raises:
            DriftDetectionError: The sink or the registry does not answer.
        """
        window = due.end - due.start
        versions = sampled_versions(self.stack, due.model, window, environment=due.environment, end=due.end)
        found: list[VersionCheck] = []
        failed: DriftDetectionError | None = None
        for version in versions:
            try:
                found.append(self._check(due, version, due.level / len(versions)))
            except DriftDetectionError as error:
                failed = error
                found.append(VersionCheck(version, reason=error.message))
        if failed is not None and not any(one.drift for one in found):
            raise failed
        return tuple(found)

    def _check(self, due: DueCheck, version: str, level: float) -> VersionCheck:
        check, window = DriftDetector(stack=self.stack).check_live, due.end - due.start
        try:
            found = check(due.model, window, environment=due.environment, version=version, end=due.end, threshold=level)
        except DriftDetectionError as error:
            if isinstance(error.__cause__, MLOpsError):  # another part of the house failed, which a later attempt may not
                raise
            return VersionCheck(version, reason=error.discreet or error.message)  # what is journalled is never erased
        return VersionCheck(version, found)

    def settle(self, due: DueCheck, found: tuple[VersionCheck, ...]) -> bool:
        """Write down that the slot was checked; False: another loop did so before."""
        state = {
            "end": due.end.isoformat(),
            "level": due.level,
            "versions": {one.version: _told(one) for one in found},
            "reason": "" if found else "no prediction was sampled",
        }

        def decide(head: Head) -> NewEntry | None:
            return None if self._settled(head, due.end) else NewEntry(at=self.stack.clock.now(), kind="checked", state=state)

        return self._journal(due.model, due.environment).update(decide) is not None

    def latest(self) -> Iterator[LastCheck]:
        """The newest check of each model and environment, by name."""
        for name in journals_under(self.stack.parts.registry, self.stack.tenant, _PREFIX):
            model, _, environment = name.partition("/")
            state = self._journal(model, environment).head().state
            yield LastCheck(model, environment, datetime.fromisoformat(state["end"]), state["level"], state["versions"], state["reason"])

    def _settled(self, head: Head, end: datetime) -> bool:
        """Whether the slot was checked; one in the future was by a clock that went wrong."""
        return end <= _end(head) <= self.stack.clock.now()

    def _journal(self, model: str, environment: str) -> Journal:
        return Journal(self.stack.parts.registry, self.stack.tenant, f"{_PREFIX}{model}/{environment}")


def _end(head: Head) -> datetime:
    return datetime.fromisoformat(head.state["end"]) if head.state else _EPOCH


def _told(one: VersionCheck) -> dict[str, Any]:
    if one.drift is None:
        return {"reason": one.reason}
    found = one.drift
    return {
        "drift_detected": found.drift_detected,
        "p_value": found.p_value,
        "threshold": found.threshold,
        "columns": list(found.drifted_columns),
        "rows": found.current_rows,
    }
