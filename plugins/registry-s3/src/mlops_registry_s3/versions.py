"""The log of a model's versions: dense, and written by compare-and-swap at its end.

A writer has read the whole log before it writes the next place, so that names and keys are unique and numbers dense.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

from attrs import define, field, frozen

from mlops_core.exceptions import VersioningError
from mlops_core.records import ModelVersion
from mlops_registry_s3.bucket import Bucket
from mlops_registry_s3.cache import Cache
from mlops_registry_s3.keys import envelope, log, number_key, number_of, opened
from mlops_registry_s3.segments import LARGE, SMALL, Segments

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["Added", "History", "VersionLog"]

_BODIES: Final = 32 << 20  # bytes of versions, as they are stored
_MODELS: Final = 256
_FEW: Final = 8  # versions that are read one by one rather than by segments


@frozen
class Added:
    """A version's place in the log. ``order`` grows with each version of the tenant: microseconds of the server's time, told apart."""

    seq: int
    order: int
    nonce: str
    version: ModelVersion

    def body(self) -> bytes:
        """As it is stored."""
        what = f"version {self.version.version!r} of {self.version.model!r}"
        try:
            plain = self.version.to_dict()
        except ValueError as error:
            raise VersioningError(f"registry.s3: {what} holds what JSON cannot: {error}") from error
        return envelope(what, nonce=self.nonce, seq=self.seq, order=self.order, version=plain)

    @classmethod
    def read(cls, body: bytes, what: str) -> Added:
        """The place that was stored; raises ``VersioningError``."""
        content = opened(body, what)
        try:
            return cls(content["seq"], content["order"], content["nonce"], ModelVersion.from_dict(content["version"]))
        except (KeyError, ValueError) as error:
            raise VersioningError(f"registry.s3: {what} holds no version: {error} - restore the object from a backup") from error


@define(eq=False)
class History:
    """What a process knows of a model's log up to ``seq``. Its lock keeps the threads of the process in a row."""

    tenant: str
    model: str
    seq: int = 0
    order: int = 0
    number: int = 0
    names: dict[str, int] = field(factory=dict)
    keys: dict[str | None, int] = field(factory=dict)
    retired: set[str] = field(factory=set)  # those that came retired, as copies do
    digests: set[str] = field(factory=set)
    lock: threading.RLock = field(factory=threading.RLock)

    def fold(self, added: Iterable[Added]) -> None:
        """Go on by these places."""
        for one in added:
            version = one.version
            self.seq, self.order = one.seq, one.order
            self.number = max(self.number, version.number or 0)
            self.names[version.version] = self.keys[version.key] = one.seq
            self.digests.update(blob.sha256 for blob in version.blobs())
            if version.retired:
                self.retired.add(version.version)


@define(eq=False)
class VersionLog:
    """Places of the log, read by number and kept."""

    bucket: Bucket
    segments: Segments = field(init=False)
    _bodies: Cache[Added] = field(factory=lambda: Cache(_BODIES), init=False)
    _histories: Cache[History] = field(factory=lambda: Cache(_MODELS), init=False)

    def __attrs_post_init__(self) -> None:
        self.segments = Segments(self.bucket)

    def newest(self, tenant: str, model: str) -> int:
        """The last place, 0 in an empty log: one listing."""
        found = next(self.bucket.listing(log(tenant, model), limit=1), None)
        return 0 if found is None else number_of(found.key)

    def history(self, tenant: str, model: str) -> History:
        """What this process knows of the log, perhaps nothing yet."""
        known = self._histories.get((tenant, model))
        return known or self._histories.put((tenant, model), History(tenant, model), 1)

    def catch_up(self, history: History, newest: int | None = None) -> History:
        """Read what was added since."""
        with history.lock:
            last = self.newest(history.tenant, history.model) if newest is None else newest
            while history.seq < last:
                end = min(last, (history.seq // LARGE + 1) * LARGE)
                history.fold(self.places(history.tenant, history.model, history.seq + 1, end))
        return history

    def places(self, tenant: str, model: str, first: int, last: int) -> Sequence[Added]:
        """The places ``first`` to ``last``, which are there. What is read in bulk is left in segments for others."""
        wanted = range(first, last + 1)
        found = {seq: held for seq in wanted if (held := self._bodies.get((tenant, model, seq))) is not None}
        missing = [seq for seq in wanted if seq not in found]
        known = self.segments.known(tenant, model) if len(missing) > _FEW else set()
        for body in self.segments.bodies(tenant, model, missing, known):
            added = self.keep(tenant, model, body)
            found[added.seq] = added
        rest = [seq for seq in missing if seq not in found]
        for added in self.bucket.client.pool.map(lambda seq: self._place(tenant, model, seq), rest):
            found[added.seq] = added
        if len(missing) > _FEW:
            self.segments.fill(tenant, model, found, known)
        return [found[seq] for seq in wanted]

    def _place(self, tenant: str, model: str, seq: int) -> Added:
        return self.keep(tenant, model, self.bucket.need(log(tenant, model) + number_key(seq)))

    def keep(self, tenant: str, model: str, body: bytes) -> Added:
        """A place that was read or written, for the next who asks."""
        added = Added.read(body, f"a version of {model!r}")
        return self._bodies.put((tenant, model, added.seq), added, len(body))

    def cached(self, tenant: str, model: str, seq: int) -> Added:
        """One place."""
        return self._bodies.get((tenant, model, seq)) or self._place(tenant, model, seq)

    def add(self, history: History, added: Added) -> bool:
        """Write the place behind the last one that the history knows; False if another was faster."""
        body = added.body()
        kept = Added.read(body, "the version")
        if self.bucket.create(log(history.tenant, history.model) + number_key(added.seq), body) is not None:
            return False
        kept = self._bodies.put((history.tenant, history.model, added.seq), kept, len(body))
        history.fold([kept])
        return True

    def gather(self, tenant: str, model: str, seq: int) -> None:
        """Write the segments that end here, from what is at hand: without them a search would read place by place."""
        for size in (SMALL, LARGE):
            if seq % size == 0:
                places = self.places(tenant, model, seq - size + 1, seq)
                self.segments.fill(tenant, model, {one.seq: one for one in places}, self.segments.known(tenant, model))
