"""A histogram as bytes: the letter of the counts' width, all buckets as 16-bit integers, all counts; little-endian."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from mlops_core.records.histogram import merge_counts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["pack", "unpack", "unpack_sum"]

_WIDTHS: Final = {"B": 1, "H": 2, "I": 4, "q": 8}
_PLACE: Final = 2
_MANY: Final = 16  # from here on numpy is faster
_KINDS: Final = {"B": "u1", "H": "<u2", "I": "<u4", "q": "<i8"}


def pack(histogram: Mapping[int, int]) -> bytes:
    """Bytes of a histogram.

    Raises:
        ValueError: A bucket is beyond 16 bits, a count beyond 63 or below zero.
    """
    if not histogram:
        return b""
    most = max(histogram.values())
    letter = next((one for one, width in _WIDTHS.items() if most < 1 << 8 * width), "q")
    size = len(histogram)
    try:
        return struct.pack(f"<c{size}h{size}{letter}", letter.encode(), *histogram, *histogram.values())
    except struct.error as error:
        raise ValueError(f"a histogram cannot be kept: {error}") from error


def unpack(packed: bytes) -> dict[int, int]:
    """The histogram of these bytes."""
    if not packed:
        return {}
    letter = chr(packed[0])
    size = (len(packed) - 1) // (_PLACE + _WIDTHS[letter])
    numbers = struct.unpack_from(f"<{size}h{size}{letter}", packed, 1)
    return dict(zip(numbers[:size], numbers[size:], strict=True))


def unpack_sum(packed: Sequence[bytes]) -> dict[int, int]:
    """The sum of many."""
    if len(packed) < _MANY:
        return merge_counts(unpack(one) for one in packed)
    import numpy as np

    given: dict[int, list[bytes]] = {}
    for one in packed:
        if one:
            given.setdefault(one[0], []).append(one)
    if not given:
        return {}
    places, counts = [], []
    for letter, alike in given.items():
        each = _PLACE + _WIDTHS[chr(letter)]
        ends = [1 + (len(one) - 1) // each * _PLACE for one in alike]
        places.append(np.frombuffer(b"".join([one[1:end] for one, end in zip(alike, ends, strict=True)]), "<i2"))
        counts.append(np.frombuffer(b"".join([one[end:] for one, end in zip(alike, ends, strict=True)]), _KINDS[chr(letter)]))
    where = np.concatenate(places).astype(np.intp)
    least = int(where.min())
    total = np.zeros(int(where.max()) - least + 1, dtype=np.int64)
    np.add.at(total, where - least, np.concatenate(counts, dtype=np.int64))
    (filled,) = total.nonzero()
    return dict(zip((filled + least).tolist(), total[filled].tolist(), strict=True))
