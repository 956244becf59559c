"""The log of a model's versions: dense, and written by compare-and-swap at its end.

A writer knows the whole log before it writes the next place, so that names and keys are unique and numbers dense. Each place tells in
brief what stands in those before it: a writer that was overtaken a few times reads one object to know all.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, Final, NamedTuple

from attrs import define, evolve, field, frozen

from mlops_core.exceptions import VersioningError
from mlops_core.records import ModelVersion
from mlops_registry_s3.bucket import Bucket
from mlops_registry_s3.cache import Cache
from mlops_registry_s3.keys import envelope, log, number_key, number_of, opened
from mlops_registry_s3.segments import LARGE, SMALL, Segments

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["Added", "Brief", "History", "VersionLog"]

_BODIES: Final = 32 << 20  # bytes of versions, as they are stored
_MODELS: Final = 256
_FEW: Final = 8  # versions that are read one by one rather than by segments
_RECENT: Final = 31  # places before it that a place tells in brief


class Brief(NamedTuple):
    """What a writer must know of a place."""

    order: int
    version: str
    key: str
    number: int | None


@frozen
class Added:
    """A version's place in the log. ``order`` grows with each version of the tenant: microseconds of the server's time, told apart.

    ``recent`` are the places before it, the nearest last; only the log itself keeps them.
    """

    seq: int
    order: int
    nonce: str
    version: ModelVersion
    recent: tuple[Brief, ...] = ()

    def body(self) -> bytes:
        """As it is stored."""
        what = f"version {self.version.version!r} of {self.version.model!r}"
        try:
            plain = self.version.to_dict()
        except ValueError as error:
            raise VersioningError(f"registry.s3: {what} holds what JSON cannot: {error}") from error
        return envelope(what, nonce=self.nonce, seq=self.seq, order=self.order, recent=self.recent, version=plain)

    @classmethod
    def read(cls, body: bytes, what: str) -> Added:
        """The place that was stored; raises ``VersioningError``."""
        content = opened(body, what)
        try:
            recent = tuple(Brief(*brief) for brief in content["recent"])
            return cls(content["seq"], content["order"], content["nonce"], ModelVersion.from_dict(content["version"]), recent)
        except (KeyError, TypeError, ValueError) as error:
            raise VersioningError(f"registry.s3: {what} holds no version: {error} - restore the object from a backup") from error

    def again(self) -> Added:
        """As it will be read."""
        return Added.read(self.body(), "the version")

    @property
    def brief(self) -> Brief:
        """What the next places tell of it."""
        return Brief(self.order, self.version.version, self.version.key, self.version.number)


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
    recent: deque[Brief] = field(factory=lambda: deque(maxlen=_RECENT))
    digests: set[str] = field(factory=set)
    scanned: int = 0  # how far ``digests`` were gathered
    lock: threading.RLock = field(factory=threading.RLock)

    def fold(self, briefs: Iterable[Brief]) -> None:
        """Go on by these places."""
        for brief in briefs:
            self.seq, self.order = self.seq + 1, brief.order
            self.number = max(self.number, brief.number or 0)
            self.names[brief.version] = self.keys[brief.key] = self.seq
            self.recent.append(brief)


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

    def catch_up(self, history: History) -> History:
        """Read what was added since: in brief by the newest place, where that tells it all."""
        with history.lock:
            last = self.newest(history.tenant, history.model)
            if 0 < last - history.seq <= _RECENT:
                newest = self._read(history.tenant, history.model, last)
                briefs = (*newest.recent, newest.brief)
                if len(briefs) >= last - history.seq:
                    history.fold(briefs[history.seq - last :])
            while history.seq < last:
                end = min(last, (history.seq // LARGE + 1) * LARGE)
                history.fold(added.brief for added in self.places(history.tenant, history.model, history.seq + 1, end))
        return history

    def digests(self, history: History) -> set[str]:
        """Every digest that a version names."""
        last = self.catch_up(history).seq
        with history.lock:
            while history.scanned < last:
                end = min(last, (history.scanned // LARGE + 1) * LARGE)
                for added in self.places(history.tenant, history.model, history.scanned + 1, end):
                    history.digests.update(blob.sha256 for blob in added.version.blobs())
                history.scanned = end
        return history.digests

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
        each = self.bucket.client.pool.map if len(rest) > 1 else map
        for added in each(lambda seq: self._read(tenant, model, seq), rest):
            found[added.seq] = added
        if len(missing) > _FEW:
            self.segments.fill(tenant, model, found, known)
        return [found[seq] for seq in wanted]

    def _read(self, tenant: str, model: str, seq: int) -> Added:
        body = self.bucket.need(log(tenant, model) + number_key(seq))
        added = Added.read(body, f"a version of {model!r}")
        self._keep(tenant, model, added, len(body))
        return added

    def keep(self, tenant: str, model: str, body: bytes) -> Added:
        """A place that was read, for the next who asks."""
        return self._keep(tenant, model, Added.read(body, f"a version of {model!r}"), len(body))

    def _keep(self, tenant: str, model: str, added: Added, weight: int) -> Added:
        return self._bodies.put((tenant, model, added.seq), evolve(added, recent=()), weight)

    def place(self, tenant: str, model: str, seq: int) -> Added:
        """One place."""
        return self._bodies.get((tenant, model, seq)) or self._read(tenant, model, seq)

    def add(self, history: History, order: int, nonce: str, version: ModelVersion) -> bool:
        """Write the place behind the last one that the history knows; False if another was faster."""
        body = Added(history.seq + 1, order, nonce, version, tuple(history.recent)).body()
        added = Added.read(body, "the version")
        if self.bucket.create(log(history.tenant, history.model) + number_key(added.seq), body) is not None:
            return False
        self._keep(history.tenant, history.model, added, len(body))
        history.fold([added.brief])
        return True

    def gather(self, tenant: str, model: str, seq: int) -> None:
        """Write the segments that end here, if this process has nearly all of their places: otherwise the next who searches does."""
        for size in (SMALL, LARGE):
            wanted = range(seq - size + 1, seq + 1)
            if seq % size == 0 and sum(self._bodies.get((tenant, model, one)) is None for one in wanted) <= _FEW:
                places = self.places(tenant, model, wanted[0], seq)
                self.segments.fill(tenant, model, {one.seq: one for one in places}, set())
