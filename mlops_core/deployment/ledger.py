"""The journal ``deployments/{environment}/{model}``: an endpoint's state, changed by compare-and-append."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import define, evolve, field

from mlops_core.deployment.endpoint import FORMAT, EndpointState, planned
from mlops_core.deployment.shadow import shadow_of
from mlops_core.exceptions import DeploymentError
from mlops_core.journal import Journal
from mlops_core.records import Deployment, DeploymentChanged, EndpointKey, NewEntry
from mlops_core.stack import Stack

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlops_core.journal import Head

    Change = Callable[[EndpointState], EndpointState]

__all__ = ["PREFIX", "Ledger", "journal_name"]

PREFIX = "deployments/"


def journal_name(key: EndpointKey) -> str:
    """The name of an endpoint's journal, and of its lease."""
    return f"{PREFIX}{key.environment}/{key.model}"


@define(eq=False)
class Ledger:
    """Reads and changes one endpoint's state; every change is an entry, and told to the observers."""

    stack: Stack
    endpoint: EndpointKey
    _journal: Journal = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._journal = Journal(self.stack.parts.registry, self.endpoint.tenant, journal_name(self.endpoint))

    def read(self) -> EndpointState:
        """The newest state."""
        return _decoded(self._journal.head().state)

    def change(self, change: Change, *, key: str = "") -> EndpointState:
        """Append what ``change`` makes of the newest state, which may be asked several times; the same state again appends nothing.

        ``key`` names a request: where an entry of that key is, nothing is changed.
        """
        last: list[tuple[EndpointState, EndpointState]] = []

        def decide(head: Head) -> NewEntry | None:
            before = _decoded(head.state)
            after = change(before)
            last.append((before, after))
            return None if after == before else self._entry(before, after)

        entry = self._journal.update(decide, key=key)
        if not last:
            return self.read()
        before, after = last[-1]
        if entry is not None:
            self._tell(before, after)
        return after

    def note(self, one: Deployment, key: str) -> Deployment:
        """Remember that a request of this key, if it has one, was answered with a deployment that was there; answers it."""
        if key:
            entry = NewEntry(self.stack.clock.now(), "answered", change={"number": one.number})
            self._journal.update(lambda head: evolve(entry, state=head.state), key=key)
        return one

    def of_key(self, key: str) -> Deployment | None:
        """The deployment that a request of this key made or was answered with, as it is now."""
        entry = self._journal.find(key)
        return None if entry is None else self.deployment(int(entry.change["number"]))

    def deployment(self, number: int) -> Deployment:
        """A deployment as it is now, or was when it ended.

        Raises:
            DeploymentError: There is none of that number.
        """
        found = self.read().find(number) or next((one for one in self.history() if one.number == number), None)
        if found is None:
            name = f"{self.endpoint.environment}/{self.endpoint.model}/{number}"
            raise DeploymentError(f"deployment {name}: there is none of that number - `mlops deployments history` lists them")
        return found

    def history(self) -> list[Deployment]:
        """Every deployment, oldest first, each as it is now or was when it ended."""
        found: dict[int, Deployment] = {}
        for state in reversed([entry.state or {} for entry in self._journal.history()]):  # most tell nothing that a newer one does not
            if any(one["number"] not in found for one in state.get("deployments", ())):
                found = {**{one.number: one for one in _decoded(state).deployments}, **found}
        return [found[number] for number in sorted(found)]

    def _entry(self, before: EndpointState, after: EndpointState) -> NewEntry:
        """One change has one subject: the deployment that moved by itself, the highest number among those that changed."""
        subject = max(_changed(before, after), key=lambda one: one.number, default=None)
        change: dict[str, Any] = {
            "revision": after.revision,
            "routes": [one.to_dict() for one in planned(after)],
            "shadow": shadow_of(after),
        }
        if subject is None:
            return NewEntry(self.stack.clock.now(), "routes", change=change, state=after.to_dict())
        change |= {"number": subject.number, "confirmed": subject.confirmed, "reason": subject.reason}
        return NewEntry(self.stack.clock.now(), str(subject.status), change=change, state=after.to_dict())

    def _tell(self, before: EndpointState, after: EndpointState) -> None:
        for one in _changed(before, after):
            if one.confirmed:
                self.stack.parts.emit(
                    DeploymentChanged(
                        tenant=one.tenant,
                        at=one.changed,
                        deployment_id=one.deployment_id,
                        endpoint=one.endpoint,
                        state=str(one.status),
                        routes=planned(after),
                        reason=one.reason,
                    )
                )


def _changed(before: EndpointState, after: EndpointState) -> list[Deployment]:
    return [one for one in after.deployments if before.find(one.number) != one]


def _decoded(state: Any) -> EndpointState:
    if state and state.get("format") != FORMAT:
        raise DeploymentError(
            f"deployments: format {state.get('format')} of the journal is not known to this release - install a newer one"
        )
    try:
        return EndpointState.from_dict(dict(state)) if state else EndpointState()
    except ValueError as error:
        raise DeploymentError(f"deployments: the journal was written by a newer release ({error}) - install that one") from error
