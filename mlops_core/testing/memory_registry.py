"""The registry role in memory: the reference that every other store must equal."""

from __future__ import annotations

import hashlib
import io
import json
import threading
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, BinaryIO, ClassVar, TypeVar

from attrs import define, evolve, field

from mlops_core.clock import SystemClock
from mlops_core.exceptions import ArtifactError, ConflictError, VersioningError
from mlops_core.records import Blob, Entry, JournalHead, Leftover, ModelVersion, NewEntry, Page, Query, canonical_json
from mlops_core.roles import Clock, Progress, RegistryStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

__all__ = ["MemoryRegistry"]

_CHUNK = 1 << 20
Written = TypeVar("Written", ModelVersion, NewEntry)


@define(eq=False)
class _Stored:
    """Bytes, and when they were last put."""

    data: bytes
    touched: datetime


@define(eq=False)
class MemoryRegistry(RegistryStore):
    """A registry that lives and dies with its process. Thread-safe; ``clock`` is the store's time."""

    contract: ClassVar[int] = 1
    capabilities: ClassVar[frozenset[str]] = frozenset({"in-process"})

    clock: Clock = field(factory=SystemClock, kw_only=True, metadata={"help": "the store's time, for leases and leftovers"})
    _lock: threading.RLock = field(factory=threading.RLock, init=False, repr=False)
    _versions: dict[tuple[str, str, str], ModelVersion] = field(factory=dict, init=False, repr=False)
    _keys: dict[tuple[str, str, str], str] = field(factory=dict, init=False, repr=False)
    _numbers: dict[tuple[str, str], int] = field(factory=dict, init=False, repr=False)
    _journals: dict[tuple[str, str], list[Entry]] = field(factory=dict, init=False, repr=False)
    _leases: dict[tuple[str, str], tuple[str, datetime]] = field(factory=dict, init=False, repr=False)
    _blobs: dict[tuple[str, str], _Stored] = field(factory=dict, init=False, repr=False)
    _used: set[tuple[str, str]] = field(factory=set, init=False, repr=False)

    def add_version(self, version: ModelVersion) -> ModelVersion:
        """Add an immutable version, or answer the one stored under its key."""
        with self._lock:
            if stored := self._of_key(version.tenant, version.model, version.key):
                return stored
            following = self._numbers.get((version.tenant, version.model), 0) + 1
            if version.number not in (None, following):
                raise ConflictError(f"registry: the next number of {version.model!r} is {following}, not {version.number}")
            added = self._add(version)
            if version.number is not None:
                self._numbers[version.tenant, version.model] = following
            return added

    def add_next_version(self, tenant: str, model: str, make: Callable[[int], ModelVersion], *, key: str | None = None) -> ModelVersion:
        """Add a version with the next number; a number is taken only by a version that was added."""
        with self._lock:
            if key is not None and (stored := self._of_key(tenant, model, key)):
                return stored
            number = self._numbers.get((tenant, model), 0) + 1
            made = make(number)
            if stored := self._of_key(tenant, model, made.key):
                return stored
            added = self._add(made)
            self._numbers[tenant, model] = number
            return added

    def _of_key(self, tenant: str, model: str, key: str) -> ModelVersion | None:
        stored = self._keys.get((tenant, model, key))
        return None if stored is None else self._versions[tenant, model, stored]

    def _add(self, version: ModelVersion) -> ModelVersion:
        place = (version.tenant, version.model, version.version)
        if place in self._versions:
            raise ConflictError(f"registry: version {version.version!r} of {version.model!r} is taken - give another version")
        for blob in version.blobs():
            held = self._blobs.get((version.tenant, blob.sha256))
            if held is None or len(held.data) != blob.size:
                raise ArtifactError(f"registry: {version.model} {version.version}: no blob {blob.sha256} in the store - put it first")
        self._versions[place] = version = _plain(version)
        self._used.update((version.tenant, blob.sha256) for blob in version.blobs())
        self._keys[version.tenant, version.model, version.key] = version.version
        return version

    def get_version(self, tenant: str, model: str, version: str) -> ModelVersion | None:
        """The version, retired or not."""
        with self._lock:
            return self._versions.get((tenant, model, version))

    def find_versions(self, tenant: str, query: Query, *, retired: bool = False, newest_first: bool = False) -> Page[ModelVersion]:
        """Versions in the order in which they were added."""
        with self._lock:
            found = [one for one in self._versions.values() if one.tenant == tenant and (retired or not one.retired)]
        return query.apply(reversed(found) if newest_first else found, ModelVersion.fields)

    def retire_version(self, tenant: str, model: str, version: str, tombstone: NewEntry) -> None:
        """Hide the version and append the tombstone, together. Retiring it again changes nothing."""
        with self._lock:
            stored = self._versions.get((tenant, model, version))
            if stored is None:
                raise VersioningError(f"registry: no version {version!r} of {model!r}")
            if not stored.retired:
                self._versions[tenant, model, version] = evolve(stored, retired=True)
                journal = f"versions/{model}"
                self.append(tenant, journal, len(self._journals.get((tenant, journal), ())), tombstone)

    def append(self, tenant: str, journal: str, expected: int, entry: NewEntry) -> Entry:
        """Append behind ``expected``."""
        with self._lock:
            entries = self._journals.get((tenant, journal), [])
            if len(entries) != expected:
                raise ConflictError(f"registry: journal {journal} is at {len(entries)}, not {expected}", head=len(entries))
            added = Entry.of(tenant, journal, expected + 1, _plain(entry))
            self._journals.setdefault((tenant, journal), []).append(added)
            self._used.update(self._blobs.keys() & {(tenant, digest) for digest in entry.digests()})
            return added

    def read(self, tenant: str, journal: str, *, after: int = 0, limit: int = 1000, newest_first: bool = False) -> Sequence[Entry]:
        """Entries behind ``after``."""
        with self._lock:
            entries = self._journals.get((tenant, journal), [])[max(after, 0) :]
        return tuple(entries[::-1] if newest_first else entries)[:limit]

    def journals(self, tenant: str, prefix: str, *, cursor: str | None = None, limit: int = 1000) -> Page[JournalHead]:
        """Journals by name; the cursor is the last name of the page before."""
        with self._lock:
            names = sorted(name for owner, name in self._journals if owner == tenant and name.startswith(prefix) and name > (cursor or ""))
            heads = tuple(JournalHead(name, len(self._journals[tenant, name])) for name in names[:limit])
        return Page(heads, heads[-1].name if len(names) > limit else None)

    def lease(self, tenant: str, name: str, owner: str, ttl: timedelta) -> bool:
        """Take, renew or (with a ``ttl`` of zero) release."""
        with self._lock:
            now = self.clock.now()
            holder, until = self._leases.get((tenant, name), (owner, now))
            if holder != owner and until > now:
                return False
            if ttl > timedelta(0):
                self._leases[tenant, name] = (owner, now + ttl)
            else:
                self._leases.pop((tenant, name), None)
            return True

    def put_artifact(
        self, tenant: str, source: BinaryIO, *, size: int, sha256: str | None = None, progress: Progress | None = None
    ) -> Blob:
        """Keep ``size`` bytes of the source."""
        data = bytearray()
        while chunk := source.read(min(_CHUNK, size + 1 - len(data))):
            data += chunk
            if progress is not None:
                progress(len(data), size)
        if len(data) != size:
            raise ArtifactError(f"registry: expected {size} bytes, the source has {'more' if len(data) > size else len(data)}")
        found = hashlib.sha256(data).hexdigest()
        if sha256 not in (None, found):
            raise ArtifactError(f"registry: expected sha256 {sha256}, the source has {found} - it changed while it was read")
        with self._lock:
            self._blobs[tenant, found] = _Stored(bytes(data), self.clock.now())
        return Blob(found, size)

    def open_artifact(self, tenant: str, blob: Blob, *, offset: int = 0) -> BinaryIO:
        """A stream over the kept bytes."""
        with self._lock:
            stored = self._blobs.get((tenant, blob.sha256))
        if stored is None:
            raise ArtifactError(f"registry: no blob {blob.sha256} in the store")
        return io.BytesIO(stored.data[offset:])

    def leftovers(self, grace: timedelta) -> Iterator[Leftover]:
        """Blobs that neither a version nor a journal names."""
        with self._lock:
            now = self.clock.now()
            found = [
                Leftover("blob", f"{tenant}/{digest}", len(stored.data), (now - stored.touched).total_seconds(), tenant)
                for (tenant, digest), stored in self._blobs.items()
                if (tenant, digest) not in self._used and now - stored.touched >= grace
            ]
        return iter(found)

    def discard(self, leftover: Leftover) -> bool:
        """Drop the blob, unless it was named or put again since it was found."""
        tenant, _, digest = leftover.location.partition("/")
        with self._lock:
            stored = self._blobs.get((tenant, digest))
            if stored is None or (tenant, digest) in self._used:
                return False
            if (self.clock.now() - stored.touched).total_seconds() < leftover.age:
                return False
            del self._blobs[tenant, digest]
            return True

    def tenants(self, *, cursor: str | None = None) -> Page[str]:
        """Tenants with a version or a journal."""
        with self._lock:
            names = {key[0] for key in (*self._versions, *self._journals)}
        return Page(tuple(sorted(name for name in names if name > (cursor or ""))))


def _plain(record: Written) -> Written:
    """As a store gives it back that keeps JSON: a later change by the caller does not reach it."""
    try:
        text = canonical_json(record.to_dict())
        return type(record).from_dict(json.loads(text.encode()))
    except (TypeError, ValueError) as error:
        raise VersioningError(f"registry: a {type(record).__name__} holds what JSON cannot: {error}") from error
