"""Everything of a registry store, page by page: what copying and comparing go through."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from attrs import evolve

from mlops_core.exceptions import ArtifactError
from mlops_core.records import ArtifactRef, Blob, Entry, File, JournalHead, ModelVersion, Query
from mlops_core.stack.sealed import is_seal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlops_core.roles import RegistryStore

__all__ = ["entries_of", "heads_of", "holds", "named_blobs", "placeless", "tenants_of", "versions_of"]

_PAGE: Final = 500


def tenants_of(store: RegistryStore) -> Iterator[str]:
    """Tenants with a record."""
    cursor = None
    while True:
        page = store.tenants(cursor=cursor)
        yield from page.items
        if page.cursor is None:
            return
        cursor = page.cursor


def versions_of(store: RegistryStore, tenant: str) -> Iterator[ModelVersion]:
    """Every version, retired ones too, in the order in which they were added, without the store's own places of blobs."""
    query = Query(limit=_PAGE)
    while True:
        page = store.find_versions(tenant, query, retired=True)
        yield from map(placeless, page.items)
        if page.cursor is None:
            return
        query = evolve(query, cursor=page.cursor)


def heads_of(store: RegistryStore, tenant: str) -> Iterator[JournalHead]:
    """Every journal by name, but for the seal."""
    cursor = None
    while True:
        page = store.journals(tenant, "", cursor=cursor, limit=_PAGE)
        yield from (head for head in page.items if not is_seal(tenant, head.name))
        if page.cursor is None:
            return
        cursor = page.cursor


def entries_of(store: RegistryStore, tenant: str, journal: str, *, until: int | None = None) -> Iterator[Entry]:
    """Every entry of a journal, oldest first; up to a position."""
    after = 0
    while page := store.read(tenant, journal, after=after, limit=_PAGE):
        for entry in page:
            if until is not None and entry.position > until:
                return
            yield entry
        after = page[-1].position


def named_blobs(entry: Entry) -> Iterator[Blob]:
    """What an entry names by sha256. It may be no blob, as the digest of a folder is none; a size of -1 was not told."""
    yield from _named((entry.change, entry.state))


def _named(value: Any) -> Iterator[Blob]:
    if isinstance(value, Mapping):
        digest, size = value.get("sha256"), value.get("size")
        if isinstance(digest, str):
            yield Blob(digest, size if isinstance(size, int) and not isinstance(size, bool) else -1)
        for inner in value.values():
            yield from _named(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _named(inner)


def holds(store: RegistryStore, tenant: str, blob: Blob) -> bool:
    """Whether the store has the blob."""
    try:
        with contextlib.closing(store.open_artifact(tenant, blob)):
            return True
    except ArtifactError:
        return False


def placeless(version: ModelVersion) -> ModelVersion:
    """The version without ``location``: where its bytes lie is each store's own word."""
    if not any(blob.location for blob in version.blobs()):
        return version
    artifacts: dict[str, ArtifactRef] = {name: evolve(one, files=_placeless(one.files)) for name, one in version.artifacts.items()}
    return evolve(version, files=_placeless(version.files), artifacts=artifacts)


def _placeless(files: tuple[File, ...]) -> tuple[File, ...]:
    return tuple(evolve(file, blob=Blob(file.blob.sha256, file.blob.size)) for file in files)
