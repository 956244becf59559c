"""What was read and cannot change, the latest uses of it, up to a weight."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

from attrs import define, field

__all__ = ["Cache"]

V = TypeVar("V")


@define(eq=False)
class Cache(Generic[V]):
    """Any thread may use it. ``limit`` is in the unit of the weights."""

    limit: int
    _held: OrderedDict[Hashable, tuple[V, int]] = field(factory=OrderedDict, init=False, repr=False)
    _weight: int = field(default=0, init=False)
    _lock: threading.Lock = field(factory=threading.Lock, init=False, repr=False)

    def get(self, key: Hashable) -> V | None:
        """The value, if it is still here."""
        with self._lock:
            if (held := self._held.get(key)) is None:
                return None
            self._held.move_to_end(key)
            return held[0]

    def put(self, key: Hashable, value: V, weight: int) -> V:
        """Keep the value in place of those not used for longest; of two that are put, the first stays and is answered."""
        with self._lock:
            if (held := self._held.get(key)) is not None:
                return held[0]
            self._held[key] = (value, weight)
            self._weight += weight
            while self._weight > self.limit and len(self._held) > 1:
                self._weight -= self._held.popitem(last=False)[1][1]
        return value
