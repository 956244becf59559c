"""Where the bytes of artifacts lie: which of them count is the database's word."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, BinaryIO, Protocol

from attrs import define, frozen

from mlops_core.exceptions import ArtifactError
from mlops_registry_sql.owner import Marked

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from mlops_core.records import Blob
    from mlops_core.roles import Progress

__all__ = ["BlobPlace", "Found", "Written", "check_blob"]


_DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII)
_TENANT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}", re.ASCII)


def check_blob(tenant: str, sha256: str) -> None:
    """Refuse what could name something else.

    Raises:
        ArtifactError: The tenant is no name, or the digest no digest.
    """
    if not _TENANT.fullmatch(tenant) or not _DIGEST.fullmatch(sha256):
        raise ArtifactError(f"registry: {sha256[:80]!r} of tenant {tenant[:80]!r} is no blob - give 64 hex digits")


@define
class Written:
    """Bytes that are complete and power-safe, under a name that nobody knows yet. ``location`` is what the database is to keep of it."""

    name: str
    sha256: str
    size: int
    location: str = ""
    placed: bool = False


@frozen
class Found:
    """Bytes that lie in the place; ``age`` in seconds."""

    tenant: str
    sha256: str
    location: str
    size: int
    age: float


class BlobPlace(Marked, Protocol):
    """Bytes by tenant and digest. Every method raises ``ArtifactError``, or an error that the database's ``errors`` translates."""

    @property
    def named_anew(self) -> bool:
        """Whether each upload gets a location of its own, that the database must tell; else the digest says it all."""

    def writing(
        self, tenant: str, source: BinaryIO, size: int, sha256: str | None, progress: Progress | None
    ) -> AbstractContextManager[Written]:
        """Stream the source to the place. What was not placed when the block ends is removed."""

    def place(self, written: Written, tenant: str) -> None:
        """Keep what was written; called while the database's row is held."""

    def holds(self, tenant: str, blob: Blob, location: str) -> bool:
        """Whether the blob is there with all its bytes."""

    def open(self, tenant: str, blob: Blob, location: str, offset: int) -> BinaryIO:
        """A stream from ``offset``."""

    def remove(self, tenant: str, sha256: str, location: str) -> None:
        """Delete a blob; one that is gone already is fine."""

    def remove_older(self, tenant: str, sha256: str, location: str, age: float) -> bool:
        """Delete what has lain there for at least ``age`` seconds; False if it has not, or is not there."""

    def abandoned(self) -> Iterator[tuple[str, int, float]]:
        """What dead writers left on the way: location, size, age in seconds."""

    def drop_abandoned(self, location: str) -> bool:
        """Delete it if its writer is dead."""

    def close(self) -> None:
        """Close what this process holds open."""

    def sweep(self) -> None:
        """Delete at once what is certainly a dead writer's."""

    def files(self) -> Iterator[Found]:
        """Every blob there is."""
