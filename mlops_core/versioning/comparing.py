"""Whether a registry's copy is a copy: every version, entry and byte, and one digest of all of it."""

from __future__ import annotations

import hashlib
from contextlib import closing
from typing import TYPE_CHECKING, Any, Final

from attrs import define, field, frozen

from mlops_core.exceptions import ArtifactError, CorruptArtifactError
from mlops_core.records import Blob, Record, canonical_json
from mlops_core.roles import RegistryStore
from mlops_core.versioning.copying import diverged, same_version
from mlops_core.versioning.walking import entries_of, heads_of, holds, named_blobs, versions_of

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Compared", "compare_tenant"]

_CHUNK: Final = 1 << 20


@frozen
class Compared(Record):
    """A tenant's copy: how much it holds (``size`` in bytes of its blobs), and how many records of the source it does not hold yet.

    ``digest`` is the sha256 of every version, entry and name of a blob, so that equal copies have equal digests in any store.
    """

    tenant: str
    versions: int = 0
    journals: int = 0
    entries: int = 0
    blobs: int = 0
    size: int = 0
    behind: int = 0
    digest: str = ""


def compare_tenant(source: RegistryStore, target: RegistryStore, tenant: str, known: dict[tuple[str, str], int] | None = None) -> Compared:
    """Compare each record of the target with the source's, and hash each of its blobs.

    ``known`` are sizes by (tenant, sha256) of blobs that an earlier call has hashed, which is not done again; those of this call are added.

    Raises:
        VersioningError: Something differs, or is in the target only.
        CorruptArtifactError: A blob is missing in the target, or is not what its name says.
    """
    return _Comparison(source, target, tenant, {} if known is None else known).run()


@define(eq=False)
class _Comparison:
    source: RegistryStore
    target: RegistryStore
    tenant: str
    known: dict[tuple[str, str], int]
    counts: dict[str, int] = field(factory=lambda: dict.fromkeys(("versions", "journals", "entries", "blobs", "size", "behind"), 0))
    _digest: Any = field(factory=hashlib.sha256, init=False)
    _blobs: dict[str, int] = field(factory=dict, init=False)

    def run(self) -> Compared:
        self._versions()
        self._journals()
        for sha256, size in sorted(self._blobs.items()):
            self._count("blobs")
            self._count("size", size)
            self._add("blob", [sha256, size])
        return Compared(self.tenant, digest=self._digest.hexdigest(), **self.counts)

    def _versions(self) -> None:
        given = versions_of(self.source, self.tenant)
        for copied in versions_of(self.target, self.tenant):
            version = next(given, None)
            if version is None or not same_version(version, copied):
                raise diverged(self.tenant, f"model {copied.model}", f"version {copied.version} is not the source's")
            self._count("behind", int(version.retired != copied.retired))
            self._count("versions")
            self._add("version", copied.to_dict())
            for blob in copied.blobs():
                self._read(blob, f"{copied.model} {copied.version}")
        self._count("behind", sum(1 for _ in given))

    def _journals(self) -> None:
        copied = {head.name: head.position for head in heads_of(self.target, self.tenant)}
        given = {head.name: head.position for head in heads_of(self.source, self.tenant)}
        self._count("journals", len(copied))
        self._count("behind", sum(position - copied.get(name, 0) for name, position in given.items()))
        for name, position in sorted(copied.items()):
            self._add("journal", name)
            self._entries(name, position)

    def _entries(self, journal: str, until: int) -> None:
        given = entries_of(self.source, self.tenant, journal, until=until)
        for copied in entries_of(self.target, self.tenant, journal, until=until):
            if next(given, None) != copied:
                raise diverged(self.tenant, f"journal {journal}", f"position {copied.position} is not the source's")
            self._count("entries")
            self._add("entry", copied.to_dict())
            for blob in named_blobs(copied):
                if blob.sha256 not in self._blobs and holds(self.source, self.tenant, blob):
                    self._read(blob, f"journal {journal}")

    def _read(self, blob: Blob, named_by: str) -> None:
        if (size := self.known.get((self.tenant, blob.sha256))) is None:
            size = self.known[self.tenant, blob.sha256] = self._hash(blob, named_by)
        self._blobs[blob.sha256] = size

    def _hash(self, blob: Blob, named_by: str) -> int:
        try:
            with closing(self.target.open_artifact(self.tenant, blob)) as stream:
                size, found = _hashed(iter(lambda: stream.read(_CHUNK), b""))
        except ArtifactError as error:
            raise CorruptArtifactError(f"copy: tenant {self.tenant}: {named_by}: {error.message}") from error
        if found != blob.sha256 or blob.size not in {-1, size}:
            raise CorruptArtifactError(f"copy: tenant {self.tenant}: {named_by}: the target's blob {blob.sha256} has other bytes")
        return size

    def _count(self, what: str, by: int = 1) -> None:
        self.counts[what] += by

    def _add(self, what: str, value: Any) -> None:
        self._digest.update(f"{what} {canonical_json(value)}\n".encode())


def _hashed(chunks: Iterator[bytes]) -> tuple[int, str]:
    size, digest = 0, hashlib.sha256()
    for chunk in chunks:
        size += len(chunk)
        digest.update(chunk)
    return size, digest.hexdigest()
