"""What crashes left in the bucket, and its removal in two steps: mark, and once every writer that saw no mark has ended, delete."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from attrs import define

from mlops_core.records import Leftover
from mlops_registry_s3.generations import Generations
from mlops_registry_s3.journals import Journals
from mlops_registry_s3.keys import part
from mlops_registry_s3.search import Search
from mlops_registry_s3.tombstones import Tombstones

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mlops_registry_s3.generations import Generation, Held

__all__ = ["Sweep"]

_SECOND: Final = 1.0  # a listing tells whole seconds, cut off: nothing may seem older than it is
_BLOB: Final = re.compile(r"([^/]+)/([0-9a-f]{64})/([0-9a-f]{32})", re.ASCII)
_TOMBSTONE: Final = re.compile(r"([^/]+)/([^/]+)/([^/]+)")
_UPLOAD: Final = re.compile(r"([^/]+/b/[0-9a-f]{2}/[0-9a-f]{64}/[0-9a-f]{32})\?uploadId=(.+)", re.ASCII)


@define(eq=False)
class Sweep:
    """``settle``: seconds between mark and removal, longer than any writer takes between its look at the marks and its commit."""

    generations: Generations
    journals: Journals
    search: Search
    tombstones: Tombstones
    settle: float

    def leftovers(self, grace: float) -> Iterator[Leftover]:
        """Reads only."""
        for tenant in map(unquote, self.search.log.bucket.folders("")):
            yield from self._blobs(tenant, grace)
            for model in self.search.models(tenant):
                for found in self.tombstones.pending(tenant, model):
                    if (age := self._age(found.modified)) >= grace:
                        yield Leftover("tombstone", f"{part(tenant)}/{part(model)}/{found.key.rpartition('/')[2]}", found.size, age, tenant)
        for upload in self.generations.blobs.unfinished():
            location = f"{upload.key}?uploadId={upload.upload_id}"
            if _UPLOAD.fullmatch(location) and (age := self._age(upload.modified)) >= grace:
                yield Leftover("upload", location, upload.size, age, unquote(upload.key.partition("/")[0]))

    def _age(self, modified: float) -> float:
        return max(0.0, self.generations.blobs.client.now() - modified - _SECOND)

    def _blobs(self, tenant: str, grace: float) -> Iterator[Leftover]:
        """Generations that nothing names, those beside a better one, and marks that stand on nothing or on what is in use."""
        old = [
            (held, one, age)
            for held in self.generations.all(tenant)
            for one in (*held.generations, *held.lost)
            if (age := self._age(held.modified(one))) >= grace
        ]
        used = self.named(tenant, {held.sha256 for held, _, _ in old})
        for held, one, age in old:
            kind = "mark" if one in held.lost else "blob"
            if held.sha256 in used and one in held.generations and not _spare(held, one):
                if one.marked is None:
                    continue
                kind = "mark"
            yield Leftover(kind, f"{part(tenant)}/{held.sha256}/{one.nonce}", one.size, age, tenant)

    def named(self, tenant: str, digests: set[str]) -> set[str]:
        """Those of the digests that a version or a journal names, as of now or later."""
        used: set[str] = set()
        for found in self._names(tenant) if digests else ():
            used |= digests & found
            if len(used) == len(digests):
                break
        return used

    def _names(self, tenant: str) -> Iterable[set[str]]:
        log = self.search.log
        for model in self.search.models(tenant):
            yield log.digests(log.history(tenant, model))
        for journal in self.journals.names(tenant):
            yield self.journals.digests(tenant, journal)

    def discard(self, leftover: Leftover) -> bool:
        """One step of its removal."""
        match leftover.kind:
            case "blob" | "mark" if place := _BLOB.fullmatch(leftover.location):
                tenant, sha256, nonce = unquote(place[1]), place[2], place[3]
                held = self.generations.held(tenant, sha256)
                return self._unmark(tenant, held, nonce) if leftover.kind == "mark" else self._remove(tenant, held, nonce, leftover.age)
            case "upload" if place := _UPLOAD.fullmatch(leftover.location):
                return self._abort(place[1], place[2], leftover.age)
            case "tombstone" if place := _TOMBSTONE.fullmatch(leftover.location):
                return self.tombstones.complete(unquote(place[1]), unquote(place[2]), place[3])
        return False

    def _remove(self, tenant: str, held: Held, nonce: str, age: float) -> bool:
        one = held.named(nonce)
        if one is None or self._age(held.modified(one)) < age:
            return False
        spare = _spare(held, one)
        if one.marked is None:
            if spare or held.sha256 not in self.named(tenant, {held.sha256}):
                self.generations.mark(tenant, held.sha256, nonce)
            return False
        if self._age(one.marked) < self.settle:
            return False
        if not spare and held.sha256 in self.named(tenant, {held.sha256}):
            self.generations.unmark(tenant, held.sha256, nonce)
            return False
        self.generations.remove(tenant, held, nonce)
        return True

    def _unmark(self, tenant: str, held: Held, nonce: str) -> bool:
        """Take back a mark of what is gone, or of the only generation of what is in use."""
        one = held.named(nonce)
        lost = any(mark.nonce == nonce for mark in held.lost)
        used = one is not None and one.marked is not None and not _spare(held, one) and bool(self.named(tenant, {held.sha256}))
        if lost or used:
            self.generations.unmark(tenant, held.sha256, nonce)
        return lost or used

    def _abort(self, key: str, upload_id: str, age: float) -> bool:
        for upload in self.generations.blobs.unfinished(key):
            if upload.upload_id == upload_id and self._age(upload.modified) >= age:
                return self.generations.blobs.abort(key, upload_id)
        return False


def _spare(held: Held, one: Generation) -> bool:
    """Whether another generation stands for this one: of those without a mark, the first stays."""
    return any(other.nonce != one.nonce and (one.marked is not None or other.nonce < one.nonce) for other in held.usable)
