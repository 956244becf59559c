"""Which units have failed in a rollout: a filter of fixed size beside the records, so that every server counts alike."""

from __future__ import annotations

import hashlib
import struct
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import mmap

__all__ = ["UnitFilter"]

_SLOTS: Final = 2**19
_HASHES: Final = struct.Struct("<4I")


class UnitFilter:
    """A Bloom filter (Bloom 1970, Communications of the ACM 13) over ``SIZE`` bytes, which processes may share.

    A slot holds the mark of the rollout that set it last, so that the next rollout finds it free and nobody has to clear the memory, nor to
    agree on when. Of 10,000 units that failed one in 30,000 others is taken for one of them, of 50,000 one in 100: on whichever version it
    is, so that what is lost favours none. Stale marks of a rollout before are taken for its own with probability 1 / 65,535.
    Nothing is locked: of two processes that see a unit fail for the first time in the same instant, both count it.
    """

    SIZE: Final = 2 * _SLOTS

    def __init__(self, memory: bytearray | mmap.mmap, salt: str) -> None:
        """Keep the units of the rollout that ``salt`` tells from every other in ``memory``, all zero or as another filter left it."""
        self._marks = memoryview(memory).cast("H")
        self._salt = hashlib.blake2b(salt.encode(), digest_size=32).digest()
        self._mark = int.from_bytes(self._salt[:4], "little") % 65_535 + 1

    def add(self, unit: str) -> bool:
        """Take in a unit; answers whether it was there before."""
        digest = hashlib.blake2b(unit.encode(), key=self._salt, digest_size=_HASHES.size).digest()
        slots = [one % _SLOTS for one in _HASHES.unpack(digest)]
        if all(self._marks[slot] == self._mark for slot in slots):
            return True
        for slot in slots:
            self._marks[slot] = self._mark
        return False
