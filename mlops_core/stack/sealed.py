"""A sealed registry takes no more writes: its records have moved to another store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, BinaryIO, ClassVar, Final

from attrs import define, field

from mlops_core.clock import SystemClock
from mlops_core.exceptions import CorruptArtifactError, VersioningError
from mlops_core.roles import Clock, RegistryStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import timedelta

    from mlops_core.records import Blob, Entry, JournalHead, Leftover, ModelVersion, NewEntry, Page, Query
    from mlops_core.roles import Progress

__all__ = ["SEAL", "SEAL_LOOK", "SEAL_TENANT", "SealGuard", "is_seal"]

SEAL_TENANT: Final = "mlops-registry"
SEAL: Final = "registry/seal"
SEAL_LOOK: Final = 1.0  # seconds between two looks at the seal: what a writer may not know of


def is_seal(tenant: str, journal: str) -> bool:
    """Whether this journal is the seal, which belongs to its own store and is neither copied nor sealed."""
    return (tenant, journal) == (SEAL_TENANT, SEAL)


@define(eq=False)
class SealGuard(RegistryStore):
    """Passes everything on to ``store``, and refuses writes while the store's seal says so. Reads the seal once a second at most.

    It also refuses a version's record that stands in the place of another: a signature tells that somebody signed it, not that it is what
    was asked for.
    """

    contract: ClassVar[int] = 1

    store: RegistryStore
    clock: Clock = field(factory=SystemClock)
    _looked: float | None = field(default=None, init=False)
    _refusal: str = field(default="", init=False)

    def __getattr__(self, name: str) -> Any:
        """What only this store has, such as its path."""
        if name.startswith("_") or name == "store":
            raise AttributeError(name)
        return getattr(self.store, name)

    @property
    def capabilities(self) -> frozenset[str]:  # type: ignore[override]  # a wrapper's are those of what it wraps
        """The store's."""
        return self.store.capabilities

    def _open(self) -> RegistryStore:
        """The store, for a write; raises ``VersioningError`` where it is sealed."""
        now = self.clock.monotonic()
        if self._looked is None or now - self._looked >= SEAL_LOOK:
            newest = self.store.read(SEAL_TENANT, SEAL, limit=1, newest_first=True)
            state = (newest[0].state or {}) if newest else {}
            self._refusal = (
                f"sealed since {state.get('since')}: its records were copied to {state.get('to')}" if state.get("sealed") else ""
            )
            self._looked = now
        if self._refusal:
            raise VersioningError(f"registry: {self._refusal} - use that one, or `mlops registry unseal` to write here again")
        return self.store

    def check(self) -> None:
        """Reach the store."""
        self.store.check()

    def migrate(self, *, dry_run: bool) -> Sequence[str]:
        """Also of a sealed store: it must stay readable."""
        return self.store.migrate(dry_run=dry_run)

    def close(self) -> None:
        """Close the store."""
        self.store.close()

    # --- writes

    def add_version(self, version: ModelVersion) -> ModelVersion:
        """Refused while sealed."""
        return self._open().add_version(version)

    def add_next_version(self, tenant: str, model: str, make: Callable[[int], ModelVersion], *, key: str | None = None) -> ModelVersion:
        """Refused while sealed."""
        return self._open().add_next_version(tenant, model, make, key=key)

    def retire_version(self, tenant: str, model: str, version: str, tombstone: NewEntry) -> None:
        """Refused while sealed."""
        self._open().retire_version(tenant, model, version, tombstone)

    def append(self, tenant: str, journal: str, expected: int, entry: NewEntry) -> Entry:
        """Refused while sealed, but for the seal itself."""
        return (self.store if is_seal(tenant, journal) else self._open()).append(tenant, journal, expected, entry)

    def put_artifact(
        self, tenant: str, source: BinaryIO, *, size: int, sha256: str | None = None, progress: Progress | None = None
    ) -> Blob:
        """Refused while sealed."""
        return self._open().put_artifact(tenant, source, size=size, sha256=sha256, progress=progress)

    # --- leases and leftovers are no records: nobody copies them

    def lease(self, tenant: str, name: str, owner: str, ttl: timedelta) -> bool:
        """Pass on."""
        return self.store.lease(tenant, name, owner, ttl)

    def leftovers(self, grace: timedelta) -> Iterator[Leftover]:
        """Pass on."""
        return self.store.leftovers(grace)

    def discard(self, leftover: Leftover) -> bool:
        """Pass on."""
        return self.store.discard(leftover)

    # --- reads

    def get_version(self, tenant: str, model: str, version: str) -> ModelVersion | None:
        """Pass on; raises ``CorruptArtifactError`` where the record is another version's."""
        found = self.store.get_version(tenant, model, version)
        if found is not None and (found.tenant, found.model, found.version) != (tenant, model, version):
            raise _other(f"{model} {version}", found)
        return found

    def find_versions(self, tenant: str, query: Query, *, retired: bool = False, newest_first: bool = False) -> Page[ModelVersion]:
        """Pass on; raises ``CorruptArtifactError`` where a record is another tenant's."""
        page = self.store.find_versions(tenant, query, retired=retired, newest_first=newest_first)
        for found in page.items:
            if found.tenant != tenant:
                raise _other(f"a version of {tenant}", found)
        return page

    def models(self, tenant: str, *, cursor: str | None = None, limit: int = 1000) -> Page[str]:
        """Pass on."""
        return self.store.models(tenant, cursor=cursor, limit=limit)

    def read(self, tenant: str, journal: str, *, after: int = 0, limit: int = 1000, newest_first: bool = False) -> Sequence[Entry]:
        """Pass on."""
        return self.store.read(tenant, journal, after=after, limit=limit, newest_first=newest_first)

    def entry_of(self, tenant: str, journal: str, key: str) -> Entry | None:
        """Pass on."""
        return self.store.entry_of(tenant, journal, key)

    def journals(self, tenant: str, prefix: str, *, cursor: str | None = None, limit: int = 1000) -> Page[JournalHead]:
        """Pass on."""
        return self.store.journals(tenant, prefix, cursor=cursor, limit=limit)

    def open_artifact(self, tenant: str, blob: Blob, *, offset: int = 0) -> BinaryIO:
        """Pass on."""
        return self.store.open_artifact(tenant, blob, offset=offset)

    def tenants(self, *, cursor: str | None = None) -> Page[str]:
        """Pass on."""
        return self.store.tenants(cursor=cursor)


def _other(wanted: str, found: ModelVersion) -> CorruptArtifactError:
    there = f"{found.model[:128]} {found.version[:128]} of tenant {found.tenant[:128]}"
    return CorruptArtifactError(f"registry: in the place of {wanted} is {there}: the store's records were changed - restore the registry")
