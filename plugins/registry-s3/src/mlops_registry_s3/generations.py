"""Bytes by sha256, each upload of them under a key of its own, so that a sweep can remove one while a writer brings another.

Below ``{tenant}/b/{2 digits}/{sha256}/``::

    {nonce}         a generation: the bytes
    {nonce}.mark    a sweep will remove it: no writer relies on it any more
    touch           written when the bytes were put again: grace counts from here

A writer that finds a generation without a mark may rely on it for as long as a sweep waits between mark and removal.
"""

from __future__ import annotations

import re
import uuid
from itertools import groupby
from typing import TYPE_CHECKING, BinaryIO, Final

from attrs import define, frozen

from mlops_core.exceptions import ArtifactError
from mlops_registry_s3.blobs import COPY_LIMIT, S3Blobs
from mlops_registry_s3.keys import part

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from mlops_core.records import Blob
    from mlops_registry_s3.bucket import Found

__all__ = ["Generation", "Generations", "Held", "is_digest"]

_DIGEST: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)
_OBJECT: Final = re.compile(r"([0-9a-f]{32})(\.mark)?", re.ASCII)
_TOUCH: Final = "touch"


@frozen
class Generation:
    """One upload of some bytes. ``marked``: when a sweep marked it, by the server's clock."""

    nonce: str
    size: int
    modified: float
    marked: float | None = None


@frozen
class Held:
    """All that is held of one digest. ``lost`` are marks whose generation is gone."""

    sha256: str
    generations: tuple[Generation, ...] = ()
    touched: float = 0.0
    lost: tuple[Generation, ...] = ()

    @property
    def usable(self) -> tuple[Generation, ...]:
        """Those without a mark."""
        return tuple(one for one in self.generations if one.marked is None)

    def modified(self, one: Generation) -> float:
        """When somebody last brought these bytes."""
        return max(one.modified, self.touched)

    def named(self, nonce: str) -> Generation | None:
        """The generation, or None."""
        return next((one for one in self.generations if one.nonce == nonce), None)


@define(eq=False)
class Generations:
    """The bytes of all tenants."""

    blobs: S3Blobs

    def held(self, tenant: str, sha256: str) -> Held:
        """All that is held of a digest: one listing."""
        return _held(sha256, self.blobs.listing(_folder(tenant, sha256)))

    def all(self, tenant: str) -> Iterator[Held]:
        """All that is held of each digest."""
        found = (one for one in self.blobs.listing(f"{part(tenant)}/b/") if one.key.count("/") == part(tenant).count("/") + 4)
        for sha256, objects in groupby(found, lambda one: one.key.split("/")[-2]):
            if is_digest(sha256):
                yield _held(sha256, objects)

    def place(self, tenant: str, sha256: str) -> str | None:
        """Where these bytes go; None where they are already, and have now been put again."""
        if self.held(tenant, sha256).usable:
            self.blobs.objects.put(_folder(tenant, sha256) + _TOUCH, uuid.uuid4().hex.encode())
            return None
        return _folder(tenant, sha256) + uuid.uuid4().hex

    def open(self, tenant: str, blob: Blob, offset: int) -> BinaryIO:
        """A stream of the bytes; raises ``ArtifactError`` if there are none."""
        held = self.held(tenant, blob.sha256) if is_digest(blob.sha256) else Held(blob.sha256)
        for one in (*held.usable, *held.generations):
            return self.blobs.open(_folder(tenant, blob.sha256) + one.nonce, one.size, offset)
        raise ArtifactError(f"registry.s3: no blob {blob.sha256[:80]} in the store")

    def require(self, tenant: str, blobs: Iterable[Blob], what: str) -> None:
        """See that all are there to rely on; raises ``ArtifactError``."""
        sizes = {(blob.sha256, blob.size) for blob in blobs}
        for digest, held in self._each(tenant, [digest for digest, _ in sizes]):
            fits = [one for one in held.generations if (digest, one.size) in sizes]
            if not fits or len({size for known, size in sizes if known == digest}) > 1 or not self._rely(tenant, held):
                raise ArtifactError(f"registry.s3: {what}: no blob {digest[:80]} in the store - put it first")

    def keep(self, tenant: str, digests: Iterable[str]) -> None:
        """See that those of the digests that are here can be relied on."""
        for digest, held in self._each(tenant, digests):
            if held.generations and not self._rely(tenant, held):
                raise ArtifactError(f"registry.s3: blob {digest} is being swept - put it again")

    def _each(self, tenant: str, digests: Iterable[str]) -> Iterator[tuple[str, Held]]:
        wanted = sorted(set(digests))
        ours = [digest for digest in wanted if is_digest(digest)]
        each = self.blobs.client.pool.map if len(ours) > 1 else map
        yield from zip(ours, each(lambda digest: self.held(tenant, digest), ours), strict=True)
        yield from ((digest, Held(digest)) for digest in wanted if not is_digest(digest))

    def _rely(self, tenant: str, held: Held) -> bool:
        """Where a sweep has marked all there is, make a new generation inside the server."""
        folder = _folder(tenant, held.sha256)
        small = [one for one in held.generations if one.size <= COPY_LIMIT]
        return bool(held.usable) or any(self.blobs.copy(folder + one.nonce, folder + uuid.uuid4().hex) for one in small)

    def mark(self, tenant: str, sha256: str, nonce: str) -> None:
        """Say that the generation will be removed."""
        self.blobs.objects.put(f"{_folder(tenant, sha256)}{nonce}.mark", b"")

    def unmark(self, tenant: str, sha256: str, nonce: str) -> None:
        """Take it back."""
        self.blobs.delete(f"{_folder(tenant, sha256)}{nonce}.mark")

    def remove(self, tenant: str, held: Held, nonce: str) -> None:
        """Delete a marked generation; its mark last, so that a sweep which is cut off is seen."""
        if len(held.generations) == 1 and held.touched:
            self.blobs.delete(_folder(tenant, held.sha256) + _TOUCH)
        self.blobs.delete(_folder(tenant, held.sha256) + nonce)
        self.unmark(tenant, held.sha256, nonce)


def is_digest(text: str) -> bool:
    """Whether it is 64 hex digits: anything else names nothing, least of all a key."""
    return _DIGEST.fullmatch(text) is not None


def _folder(tenant: str, sha256: str) -> str:
    return f"{part(tenant)}/b/{sha256[:2]}/{sha256}/"


def _held(sha256: str, objects: Iterable[Found]) -> Held:
    sizes: dict[str, Found] = {}
    marks: dict[str, float] = {}
    touched = 0.0
    for one in objects:
        name = one.key.rpartition("/")[2]
        if name == _TOUCH:
            touched = one.modified
        elif (match := _OBJECT.fullmatch(name)) is not None:
            if match[2]:
                marks[match[1]] = one.modified
            else:
                sizes[name] = one
    generations = tuple(Generation(nonce, one.size, one.modified, marks.get(nonce)) for nonce, one in sorted(sizes.items()))
    lost: Sequence[str] = sorted(marks.keys() - sizes.keys())
    return Held(sha256, generations, touched, tuple(Generation(nonce, 0, marks[nonce], marks[nonce]) for nonce in lost))
