"""Aliases: names such as ``champion`` that point to a version. Each is a journal, so its history and its generation come for free."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from attrs import define, frozen

from mlops_core.exceptions import VersioningError
from mlops_core.journal import Head, Journal, journals_under
from mlops_core.names import check_name
from mlops_core.records import Entry, NewEntry, Record
from mlops_core.roles import Clock, RegistryStore

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Alias", "Aliases"]


@frozen
class Alias(Record):
    """An alias after one change; ``version`` is None where it was deleted. ``generation`` counts the changes, from 1."""

    model: str
    name: str
    version: str | None
    generation: int
    at: datetime


@define(eq=False)
class Aliases:
    """The aliases of one model; ``model`` was checked."""

    store: RegistryStore
    tenant: str
    clock: Clock
    model: str

    def set(self, alias: str, version: str, key: str | None = None) -> Alias:
        """Point to a version. Pointing to the same again changes nothing; one that is deleted meanwhile raises ``VersioningError``."""
        moved = self._change(alias, version, key)
        if not self._living(version):
            self._undo(alias, version)
            raise VersioningError(f"{self.model}: version {version} was deleted just now - give another version")
        return moved

    def delete(self, alias: str) -> Alias:
        """Point to nothing; the history stays."""
        self.get(alias)
        return self._change(alias, None, None)

    def get(self, alias: str) -> Alias:
        """The alias as it stands; raises ``VersioningError`` if it points to nothing."""
        head = self._journal(alias).head()
        if head.entry is None or head.state.get("version") is None:
            known = ", ".join(one.name for one in self.all()) or "none"
            raise VersioningError(f"{self.model}: no alias {alias!r} (there are: {known}) - set it first")
        return self._alias(alias, head.entry)

    def all(self) -> Iterator[Alias]:
        """Aliases that point to a version, by name."""
        for name in journals_under(self.store, self.tenant, f"aliases/{self.model}/"):
            head = self._journal(name).head()
            if head.entry is not None and head.state.get("version") is not None:
                yield self._alias(name, head.entry)

    def leave(self, version: str) -> None:
        """Take those that were set to a version while it was being deleted back to where they pointed before.

        A setter looks at the version after its change, a deleter at the aliases after its own: whichever is later sees the other's.
        """
        for alias in list(self.all()):
            if alias.version == version:
                self._undo(alias.name, version)

    def history(self, alias: str) -> Iterator[Alias]:
        """Every change, oldest first."""
        return (self._alias(alias, entry) for entry in self._journal(alias).history())

    def _journal(self, alias: str) -> Journal:
        return Journal(self.store, self.tenant, f"aliases/{self.model}/{check_name(alias, 'alias', VersioningError)}")

    def _change(self, alias: str, version: str | None, key: str | None) -> Alias:
        journal = self._journal(alias)

        def decide(head: Head) -> NewEntry | None:
            before = head.state.get("version")
            if head.entry is not None and before == version:
                return None
            kind = "delete" if version is None else "set"
            return NewEntry(self.clock.now(), kind, change={"from": before, "to": version}, state={"version": version})

        entry = journal.update(decide, key=key or "") or journal.head().entry
        if entry is None:
            raise VersioningError(f"{self.model}: alias {alias!r} has no history in the store")
        return self._alias(alias, entry)

    def _undo(self, alias: str, version: str) -> None:
        def decide(head: Head) -> NewEntry | None:
            if head.entry is None or head.state.get("version") != version:
                return None
            before = head.entry.change.get("from")
            to = before if before is not None and self._living(before) else None
            return NewEntry(self.clock.now(), "undo", change={"from": version, "to": to}, state={"version": to})

        self._journal(alias).update(decide)

    def _living(self, version: str) -> bool:
        found = self.store.get_version(self.tenant, self.model, version)
        return found is not None and not found.retired

    def _alias(self, alias: str, entry: Entry) -> Alias:
        return Alias(self.model, alias, (entry.state or {}).get("version"), entry.position, entry.at)
