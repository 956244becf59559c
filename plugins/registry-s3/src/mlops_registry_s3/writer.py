"""Add a version by the one write that makes it visible, and find it by its name."""

from __future__ import annotations

import functools
import threading
import time
import uuid
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from attrs import define, evolve, field

from mlops_core.exceptions import ConflictError, MLOpsError
from mlops_core.records import ModelVersion
from mlops_registry_s3.gate import gate
from mlops_registry_s3.generations import Generations
from mlops_registry_s3.keys import by_name, log
from mlops_registry_s3.segments import SMALL
from mlops_registry_s3.tombstones import Tombstones
from mlops_registry_s3.versions import Added, VersionLog

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlops_registry_s3.versions import History

__all__ = ["Writer"]

_SHARE: Final = 4  # a look at the marks of blobs holds for this part of the settling time
_MICROSECONDS: Final = 1_000_000


@define(eq=False)
class Writer:
    """Versions of all tenants."""

    log: VersionLog
    tombstones: Tombstones
    generations: Generations
    settle: float
    _order: int = field(default=0, init=False)
    _lock: threading.Lock = field(factory=threading.Lock, init=False)

    def add(self, tenant: str, model: str, make: Callable[[int], ModelVersion], key: str | None) -> ModelVersion:
        """Add what ``make`` makes of the next number, behind everything that was added before; a known key answers the stored version."""
        history, bucket = self.log.history(tenant, model), self.log.bucket
        if not history.seq:
            _prepare()
        with history.lock, gate(f"{bucket.client.place} {bucket.name} {bucket.path(log(tenant, model))}"):
            seq, new = self._commit(history, make, key)
        version = self.log.place(tenant, model, seq).version
        if not new:
            return self._as_it_is(version)
        self._finish(tenant, model, seq)
        return version

    def _commit(self, history: History, make: Callable[[int], ModelVersion], key: str | None) -> tuple[int, bool]:
        """The version's place, and whether it was added now."""
        seen = _Seen()
        while True:
            self.log.catch_up(history)
            if key in history.keys:
                return history.keys[key], False
            version = make(history.number + 1)
            if version.key in history.keys:
                return history.keys[version.key], False
            if version.version in history.names:
                raise ConflictError(f"registry.s3: version {version.version!r} of {history.model!r} is taken - give another version")
            self._look(seen, version)
            if self.log.add(history, self._following(history), uuid.uuid4().hex, version):
                return history.seq, True

    def _look(self, seen: _Seen, version: ModelVersion) -> None:
        """See the blobs, right before the write."""
        if seen.version != version or time.monotonic() - seen.at > self.settle / _SHARE:
            at = time.monotonic()
            self.generations.require(version.tenant, version.blobs(), f"{version.model} {version.version}")
            seen.version, seen.at = version, at

    def _following(self, history: History) -> int:
        """The order of the next version: the server's time, and greater than any that this process knows."""
        with self._lock:
            now = int(self.log.bucket.client.now() * _MICROSECONDS)
            self._order = max(now, self._order + 1, history.order + 1)
            return self._order

    def _finish(self, tenant: str, model: str, seq: int) -> None:
        """Leave what makes it quick to find: its name, and a segment where it filled one.

        The version is there already: a caller who is told of an error here would add it once more.
        """
        added = self.log.place(tenant, model, seq)
        with suppress(MLOpsError):
            self.log.bucket.put(by_name(tenant, model, added.version.version), added.body())
            if seq % SMALL == 0:
                self.log.gather(tenant, model, seq)

    def _as_it_is(self, version: ModelVersion) -> ModelVersion:
        gone = not version.retired and self.tombstones.hide(version.tenant, version.model, version.version)
        return evolve(version, retired=True) if gone else version

    def get(self, tenant: str, model: str, version: str) -> ModelVersion | None:
        """The version, retired or not."""
        hidden = self.log.bucket.client.pool.submit(self.tombstones.hide, tenant, model, version)
        added = self.place_of(tenant, model, version)
        gone = hidden.result()
        if added is None or added.version.retired or not gone:
            return None if added is None else added.version
        return evolve(added.version, retired=True)

    def place_of(self, tenant: str, model: str, version: str) -> Added | None:
        """A version's place in the log, by its name. A crash may have come before the name was written: then by the log."""
        history = self.log.history(tenant, model)
        if (seq := history.names.get(version)) is not None:
            return self.log.place(tenant, model, seq)
        key = by_name(tenant, model, version)
        if (stored := self.log.bucket.get(key)) is not None:
            return self.log.keep(tenant, model, stored.body)
        if (seq := self.log.catch_up(history).names.get(version)) is None:
            return None
        added = self.log.place(tenant, model, seq)
        with suppress(MLOpsError):  # whoever may only read goes without
            self.log.bucket.put(key, added.body())
        return added


@functools.cache
def _prepare() -> None:
    """The first use of a record builds what writes and reads it, which takes a third of a second: not while others queue."""
    at = datetime.fromtimestamp(0, UTC)
    Added(1, 1, "", ModelVersion("tenant", "model", "1", "key", "digest", (), at)).again()


@define(eq=False)
class _Seen:
    version: ModelVersion | None = None
    at: float = 0.0
