"""``registry.s3``: versions, journals, leases and artifacts in one bucket, without a database."""

from __future__ import annotations

import os
from itertools import islice
from typing import TYPE_CHECKING, BinaryIO, ClassVar

from attrs import define, field

from mlops_core.exceptions import ConflictError, VersioningError
from mlops_core.records import Blob, Page
from mlops_core.roles import RegistryStore
from mlops_registry_s3.client import S3Client
from mlops_registry_s3.parts import Parts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import timedelta

    from mlops_core.records import Entry, JournalHead, Leftover, ModelVersion, NewEntry, Query
    from mlops_core.roles import Progress

__all__ = ["S3Registry"]


@define(eq=False)
class S3Registry(RegistryStore):
    """Model registry in a bucket of S3, or of a server that honours preconditions as S3 does."""

    contract: ClassVar[int] = 1

    bucket: str = field(metadata={"help": "the bucket, which exists"})
    prefix: str = field(default="", metadata={"help": "what every key begins with, so that a bucket can hold several registries"})
    endpoint_url: str | None = field(default=None, metadata={"help": "the server's URL; by default AWS S3"})
    region: str | None = field(default=None, metadata={"help": "the bucket's region; by default as boto3 finds it"})
    access_key: str | None = field(default=None, repr=False, metadata={"help": "the key's id; by default as boto3 finds it"})
    secret_key: str | None = field(default=None, repr=False, metadata={"help": "the key's secret; by default as boto3 finds it"})
    settle: float = field(
        default=3600.0, metadata={"help": "seconds between the mark on a leftover blob and its removal; no write may take longer"}
    )
    connections: int = field(default=16, metadata={"help": "connections that a process opens at most"})
    _client: S3Client = field(init=False, repr=False)
    _held: Parts = field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self._client = S3Client(self.endpoint_url, self.region, self.access_key, self.secret_key, self.connections)
        self._held = self._make()

    def _make(self) -> Parts:
        return Parts(self._client, self.bucket, self.prefix, self.settle)

    @property
    def _parts(self) -> Parts:
        """What stands on a bucket that was looked at. A forked child has its own: a thread that is not there may hold a lock."""
        if self._held.pid != os.getpid():
            self._held = self._make()
        self._held.prove()
        return self._held

    def check(self) -> None:
        """Reach the bucket, and see that it can hold a registry."""
        self._parts.prove()

    def close(self) -> None:
        """Close the connections of this process."""
        self._client.close()

    # --- versions

    def add_version(self, version: ModelVersion) -> ModelVersion:
        """Add a version, or answer the one stored under its key."""

        def make(following: int) -> ModelVersion:
            if version.number not in (None, following):
                raise ConflictError(f"registry.s3: the next number of {version.model!r} is {following}, not {version.number}")
            return version

        return self._parts.writer.add(version.tenant, version.model, make, version.key)

    def add_next_version(self, tenant: str, model: str, make: Callable[[int], ModelVersion], *, key: str | None = None) -> ModelVersion:
        """A number is taken by the write that adds its version."""
        return self._parts.writer.add(tenant, model, make, key)

    def get_version(self, tenant: str, model: str, version: str) -> ModelVersion | None:
        """By its name: two requests side by side."""
        return self._parts.writer.get(tenant, model, version)

    def find_versions(self, tenant: str, query: Query, *, retired: bool = False, newest_first: bool = False) -> Page[ModelVersion]:
        """By the logs of the models, or of the one that the filter names."""
        return self._parts.search.find(tenant, query, retired=retired, newest_first=newest_first)

    def models(self, tenant: str, *, cursor: str | None = None, limit: int = 1000) -> Page[str]:
        """By the folders of models."""
        search = self._parts.search
        rest = [name for name in search.models(tenant) if name > (cursor or "")]
        names = tuple(islice(search.living(tenant, rest), limit + 1))
        return Page(names[:limit], names[limit - 1] if len(names) > limit else None)

    def retire_version(self, tenant: str, model: str, version: str, tombstone: NewEntry) -> None:
        """Write the tombstone, then its entry. Retiring it again completes what a crash cut off, and changes nothing else."""
        parts = self._parts
        if (added := parts.writer.place_of(tenant, model, version)) is None:
            raise VersioningError(f"registry.s3: no version {version!r} of {model!r}")
        if not added.version.retired:
            parts.tombstones.retire(tenant, model, version, tombstone)

    # --- journals

    def append(self, tenant: str, journal: str, expected: int, entry: NewEntry) -> Entry:
        """One write that succeeds only where no entry is."""
        return self._parts.journals.append(tenant, journal, expected, entry)

    def read(self, tenant: str, journal: str, *, after: int = 0, limit: int = 1000, newest_first: bool = False) -> Sequence[Entry]:
        """Entries by position, read side by side."""
        return self._parts.journals.read(tenant, journal, after, limit, newest_first=newest_first)

    def entry_of(self, tenant: str, journal: str, key: str) -> Entry | None:
        """By an index that this process keeps."""
        return self._parts.journals.entry_of(tenant, journal, key)

    def journals(self, tenant: str, prefix: str, *, cursor: str | None = None, limit: int = 1000) -> Page[JournalHead]:
        """Journals by name; the cursor is the last name of the page before."""
        return self._parts.journals.page(tenant, prefix, cursor, limit)

    def lease(self, tenant: str, name: str, owner: str, ttl: timedelta) -> bool:
        """In the server's time, which tells whole seconds: a lease lasts up to two longer than ``ttl``, and never shorter."""
        return self._parts.leases.lease(tenant, name, owner, ttl)

    # --- artifacts

    def put_artifact(
        self, tenant: str, source: BinaryIO, *, size: int, sha256: str | None = None, progress: Progress | None = None
    ) -> Blob:
        """Stream it to a key of its own, unless the bytes are there."""
        generations = self._parts.generations
        found = generations.blobs.put(lambda digest: generations.place(tenant, digest), source, size=size, sha256=sha256, progress=progress)
        return Blob(found, size)

    def open_artifact(self, tenant: str, blob: Blob, *, offset: int = 0) -> BinaryIO:
        """A stream by ranges, read ahead."""
        return self._parts.generations.open(tenant, blob, offset)

    def leftovers(self, grace: timedelta) -> Iterator[Leftover]:
        """Blobs that nothing names, uploads and retirements that were cut off."""
        return self._parts.sweep.leftovers(grace.total_seconds())

    def discard(self, leftover: Leftover) -> bool:
        """Marks a blob first, and removes it when asked again after ``settle`` seconds."""
        return self._parts.sweep.discard(leftover)

    def tenants(self, *, cursor: str | None = None) -> Page[str]:
        """Tenants with a version or a journal."""
        return Page(tuple(name for name in self._parts.search.tenants() if name > (cursor or "")))
