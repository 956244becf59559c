"""A histogram as bytes: the letter of the counts' width, all buckets as 16-bit integers, all counts; little-endian."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["pack", "unpack"]

_WIDTHS: Final = {"B": 1, "H": 2, "I": 4, "Q": 8}
_PLACE: Final = 2


def pack(histogram: Mapping[int, int]) -> bytes:
    """Bytes of a histogram.

    Raises:
        ValueError: A bucket is beyond 16 bits, a count beyond 64 or below zero.
    """
    if not histogram:
        return b""
    most = max(histogram.values())
    letter = next((one for one, width in _WIDTHS.items() if most < 1 << 8 * width), "Q")
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
