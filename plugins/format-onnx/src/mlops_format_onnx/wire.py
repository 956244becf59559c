"""Telling ONNX models from other files: they are protocol buffers without magic bytes, so their outer fields are walked."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, BinaryIO, Final

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["is_model"]

_NUMBER, _BYTES = 0, 2
_FIELDS: Final = {1: _NUMBER, 2: _BYTES, 3: _BYTES, 4: _BYTES, 5: _NUMBER, 6: _BYTES, 7: _BYTES, 8: _BYTES, 14: _BYTES}
_FIELDS_OF_LATER_VERSIONS: Final = {20: _BYTES, 25: _BYTES, 26: _BYTES}
_NEEDED: Final = frozenset({1, 7})  # the version of the format, and the graph
_MOST: Final = 10_000  # outer fields: of those that repeat (functions, notes) a model has few
_LONGEST: Final = 10  # bytes of a number


def is_model(path: Path) -> bool:
    """Whether a file's outer fields are those of a ``ModelProto`` and end where the file ends.

    A field's content is stepped over, so that little is read of a file of any size; nothing is parsed further.
    """
    if not path.is_file():
        return False
    known = _FIELDS | _FIELDS_OF_LATER_VERSIONS
    with path.open("rb") as stream:
        size = stream.seek(0, os.SEEK_END)
        stream.seek(0)
        seen: set[int] = set()
        for _ in range(_MOST):
            if stream.tell() == size:
                return seen >= _NEEDED
            tag = _number(stream)
            if tag is None or known.get(tag >> 3) != tag & 7:
                return False
            value = _number(stream)
            if value is None or (tag & 7 == _BYTES and stream.tell() + value > size):
                return False
            if tag & 7 == _BYTES:
                stream.seek(value, os.SEEK_CUR)
            seen.add(tag >> 3)
    return False


def _number(stream: BinaryIO) -> int | None:
    """A base-128 number; None where the file ends in it, or it is too long."""
    value = 0
    for place in range(_LONGEST):
        byte = stream.read(1)
        if not byte:
            return None
        value |= (byte[0] & 0x7F) << (7 * place)
        if byte[0] < 0x80:  # noqa: PLR2004  the highest bit says that more follows
            return value
    return None
