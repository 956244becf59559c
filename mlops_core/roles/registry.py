"""The registry role: immutable versions, append-only journals, artifacts by digest."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, BinaryIO

from attrs import evolve

from mlops_core.records import Page, Query
from mlops_core.roles.backend import Backend

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import timedelta

    from mlops_core.records import Blob, Entry, JournalHead, Leftover, ModelVersion, NewEntry
    from mlops_core.roles.ports import Progress

__all__ = ["RegistryStore"]


class RegistryStore(Backend):
    """Stores verbatim: makes no timestamps and no bodies. Another tenant's record answers exactly as a missing one.

    Every write is power-safe when it returns. A version becomes visible only with all of its blobs.
    """

    __slots__ = ()

    @abstractmethod
    def add_version(self, version: ModelVersion) -> ModelVersion:
        """Add an immutable version. The same ``key`` again answers the stored one.

        One that carries a number or is retired is a copy from another store: its number must be the model's next one.

        Raises:
            ConflictError: The version is taken (by a living or a retired one) under another key, or its number is not the next.
            ArtifactError: A blob of its files is not in the store.
        """

    @abstractmethod
    def add_next_version(self, tenant: str, model: str, make: Callable[[int], ModelVersion], *, key: str | None = None) -> ModelVersion:
        """Add a version with the next automatic number, given inside the commit: gapless, never reused.

        ``make`` is pure and may run several times. A known ``key`` answers the stored version.
        """

    @abstractmethod
    def get_version(self, tenant: str, model: str, version: str) -> ModelVersion | None:
        """The version, retired or not; None if there is none."""

    @abstractmethod
    def find_versions(self, tenant: str, query: Query, *, retired: bool = False, newest_first: bool = False) -> Page[ModelVersion]:
        """Living versions that match, and with ``retired`` the retired ones too.

        In the query's order, and within it in the order in which they were added, or the other way round with ``newest_first``. The order
        of adding is the store's own: ``created`` is by the caller's clock.
        """

    def models(self, tenant: str, *, cursor: str | None = None, limit: int = 1000) -> Page[str]:
        """Names of models with a living version, by name. The default reads every version: a store with an index overrides it."""
        names: set[str] = set()
        query: Query | None = Query(limit=1000)
        while query is not None:
            page = self.find_versions(tenant, query)
            names.update(version.model for version in page.items)
            query = None if page.cursor is None else evolve(query, cursor=page.cursor)
        rest = sorted(name for name in names if name > (cursor or ""))
        return Page(tuple(rest[:limit]), rest[limit - 1] if len(rest) > limit else None)

    @abstractmethod
    def retire_version(self, tenant: str, model: str, version: str, tombstone: NewEntry) -> None:
        """Hide a version from find; its name stays taken. ``tombstone`` is appended to the journal ``versions/{model}`` with it."""

    @abstractmethod
    def append(self, tenant: str, journal: str, expected: int, entry: NewEntry) -> Entry:
        """Append at position ``expected`` + 1. The blobs that it names and that are in the store are kept from then on: put them first.

        Raises:
            ConflictError: The journal's newest position is not ``expected``; ``head`` tells it.
        """

    @abstractmethod
    def read(self, tenant: str, journal: str, *, after: int = 0, limit: int = 1000, newest_first: bool = False) -> Sequence[Entry]:
        """Entries with a position greater than ``after``; at most ``limit``. A journal without entries answers none."""

    def entry_of(self, tenant: str, journal: str, key: str) -> Entry | None:
        """The oldest entry with this key, or None. The default reads the whole journal: a store with an index overrides it."""
        position = 0
        while page := self.read(tenant, journal, after=position):
            if found := next((entry for entry in page if entry.key == key), None):
                return found
            position = page[-1].position
        return None

    @abstractmethod
    def journals(self, tenant: str, prefix: str, *, cursor: str | None = None, limit: int = 1000) -> Page[JournalHead]:
        """Journals whose name begins with ``prefix``, by name."""

    @abstractmethod
    def lease(self, tenant: str, name: str, owner: str, ttl: timedelta) -> bool:
        """Take or renew a lease in store time; False while another owner holds it. A ``ttl`` of zero releases one's own."""

    @abstractmethod
    def put_artifact(
        self, tenant: str, source: BinaryIO, *, size: int, sha256: str | None = None, progress: Progress | None = None
    ) -> Blob:
        """Stream ``size`` bytes into the store, hashing them; the same bytes twice are stored once.

        Raises:
            ArtifactError: The source is shorter or longer than ``size``, or does not match ``sha256``.
        """

    @abstractmethod
    def open_artifact(self, tenant: str, blob: Blob, *, offset: int = 0) -> BinaryIO:
        """A stream from ``offset``. The caller hashes it: raises ``ArtifactError`` if there is no such blob."""

    @abstractmethod
    def leftovers(self, grace: timedelta) -> Iterator[Leftover]:
        """What crashes left behind, of every tenant, older than ``grace`` in store time; never a live writer's."""

    @abstractmethod
    def discard(self, leftover: Leftover) -> bool:
        """Remove a leftover after checking again; False if it is in use now.

        A store that cannot check and remove in one step marks the leftover and answers False. Asked again once every writer that did not
        see the mark must have finished, it removes the leftover, unless something names it by then.
        """

    @abstractmethod
    def tenants(self, *, cursor: str | None = None) -> Page[str]:
        """Tenants that have a record: for the control loop and for copying only."""
