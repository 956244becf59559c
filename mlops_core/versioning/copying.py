"""Copying a registry to another store, verbatim: a copy that was cut short goes on where it stopped, and overwrites nothing."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import closing
from typing import TYPE_CHECKING, BinaryIO, Final

from attrs import define, evolve, field

from mlops_core.exceptions import ArtifactError, MLOpsError, VersioningError
from mlops_core.records import Blob, Entry, JournalHead, ModelVersion, NewEntry
from mlops_core.roles import RegistryStore
from mlops_core.versioning.walking import entries_of, heads_of, holds, named_blobs, placeless, versions_of

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["copy_tenant", "diverged", "same_version"]

_CHUNK: Final = 1 << 20
_TOMBSTONES: Final = "versions/"


def copy_tenant(source: RegistryStore, target: RegistryStore, tenant: str, said: Callable[[str], object] = str) -> None:
    """Bring a tenant's copy up to what the source holds now; ``said`` hears what is being copied.

    Versions come in the order in which they were added, with their numbers and retirements, journals position by position, and every blob
    before whatever names it. So a copy that is killed at any moment is a shorter copy, and the next call goes on with it.

    Raises:
        VersioningError: The target holds something that the source does not, or something else under the same name. Nothing of it was
            changed.
        ArtifactError: A blob of the source is missing or is not what its name says.
    """
    _Copy(source, target, tenant, said).run()


def diverged(tenant: str, what: str, why: str) -> VersioningError:
    """What is said of two stores of which neither is a copy of the other."""
    return VersioningError(f"copy: tenant {tenant}: {what} diverged: {why} - nothing was overwritten; give an empty target")


def same_version(given: ModelVersion, copied: ModelVersion) -> bool:
    """Whether a version of the target is the source's, or is what the source's was before it was retired."""
    return given == (evolve(copied, retired=True) if given.retired else copied)


@define(eq=False)
class _Copy:
    source: RegistryStore
    target: RegistryStore
    tenant: str
    said: Callable[[str], object]
    _there: set[str] = field(factory=set, init=False)

    def run(self) -> None:
        # The heads first: whatever an entry up to there names had been written before it, so it is among the versions read after.
        heads = tuple(heads_of(self.source, self.tenant))
        self._refuse_strangers(heads)
        self._versions()
        for head in heads:
            self._journal(head)

    def _refuse_strangers(self, heads: Iterable[JournalHead]) -> None:
        known = {head.name: head.position for head in heads}
        for head in heads_of(self.target, self.tenant):
            position = known.get(head.name, 0)
            if head.position > position:
                raise diverged(self.tenant, f"journal {head.name}", f"position {position + 1} is in the target only")

    def _versions(self) -> None:
        there = versions_of(self.target, self.tenant)
        for version in versions_of(self.source, self.tenant):
            copied = next(there, None)
            if copied is None:
                self._add(version)
            elif not same_version(version, copied):
                raise self._other(version, copied)
        if (stranger := next(there, None)) is not None:
            raise diverged(self.tenant, f"model {stranger.model}", f"version {stranger.version} is in the target only")

    def _add(self, version: ModelVersion) -> None:
        self.said(f"{self.tenant}: {version.model} {version.version}")
        try:
            for blob in version.blobs():
                self._bring(blob)
            added = self.target.add_version(version)
        except ArtifactError:
            # A sweep of the target may have taken what an earlier call had put there: what is put now stays for its grace.
            for blob in version.blobs():
                self._put(blob)
            added = self.target.add_version(version)
        if placeless(added) != version:
            raise self._other(version, added)

    def _other(self, version: ModelVersion, copied: ModelVersion) -> VersioningError:
        same = (version.model, version.version) == (copied.model, copied.version)
        place = "its place" if same else f"the place of {copied.model} {copied.version}"
        return diverged(self.tenant, f"model {version.model}", f"version {version.version} has another content in the target, or {place}")

    def _journal(self, head: JournalHead) -> None:
        there = entries_of(self.target, self.tenant, head.name)
        for entry in entries_of(self.source, self.tenant, head.name, until=head.position):
            copied = next(there, None) or self._append(head.name, entry)
            if copied != entry:
                raise diverged(self.tenant, f"journal {head.name}", f"position {entry.position} is another entry in the target")

    def _append(self, journal: str, entry: Entry) -> Entry:
        self.said(f"{self.tenant}: {journal} {entry.position}")
        for blob in named_blobs(entry):
            if blob.sha256 not in self._there and holds(self.source, self.tenant, blob):
                self._bring(blob)
        new = NewEntry(entry.at, entry.kind, entry.key, entry.change, entry.state)
        if (retired := self._retired_by(journal, entry)) is None:
            return self.target.append(self.tenant, journal, entry.position - 1, new)
        # The tombstone goes in with the retirement: a version that was copied as a living one is retired as it was in the source.
        self.target.retire_version(self.tenant, retired.model, retired.version, new)
        return self.target.read(self.tenant, journal, limit=1, newest_first=True)[0]

    def _retired_by(self, journal: str, entry: Entry) -> ModelVersion | None:
        """The target's living version that this entry of the source retires."""
        name = entry.change.get("version")
        if not journal.startswith(_TOMBSTONES) or not isinstance(name, str):
            return None
        model = journal.removeprefix(_TOMBSTONES)
        given, copied = (store.get_version(self.tenant, model, name) for store in (self.source, self.target))
        return copied if given is not None and given.retired and copied is not None and not copied.retired else None

    def _bring(self, blob: Blob) -> None:
        if blob.sha256 not in self._there:
            if not holds(self.target, self.tenant, blob):
                self._put(blob)
            self._there.add(blob.sha256)

    def _put(self, blob: Blob) -> None:
        try:
            with closing(self.source.open_artifact(self.tenant, blob)) as stream:
                if blob.size >= 0:
                    self.target.put_artifact(self.tenant, stream, size=blob.size, sha256=blob.sha256)
                else:
                    self._put_measured(stream, blob.sha256)
        except ArtifactError as error:
            raise ArtifactError(f"copy: tenant {self.tenant}: blob {blob.sha256}: {error.message}") from error
        except OSError as error:
            raise MLOpsError(f"copy: tenant {self.tenant}: blob {blob.sha256}: {error.strerror or error}") from error

    def _put_measured(self, stream: BinaryIO, sha256: str) -> None:
        """A store wants to know the size, and not every entry tells it."""
        with tempfile.TemporaryFile() as measured:
            while chunk := stream.read(_CHUNK):
                measured.write(chunk)
            size = measured.tell()
            measured.seek(0)
            self.target.put_artifact(self.tenant, measured, size=size, sha256=sha256)
