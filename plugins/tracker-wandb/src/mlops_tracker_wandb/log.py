"""W&B's log of a run, the ``.wandb`` file: a LevelDB log of protobuf records, read as far as it is complete."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from attrs import define, field
from wandb.proto.wandb_internal_pb2 import Record  # type: ignore[attr-defined]  # the classes of messages are made at import

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Log"]

_FILE_HEADER: Final = 7
_BLOCK: Final = 32 * 1024
_HEADER: Final = struct.Struct("<IHB")  # crc, length, kind of the chunk
_FULL, _LAST = 1, 4


@define
class Log:
    """Reads a log from where it stopped the last time, also while W&B appends to it."""

    path: Path
    _at: int = field(default=_FILE_HEADER, init=False)

    def records(self) -> Iterator[Any]:
        """Every complete ``Record`` since the last call; a torn or damaged one ends the log for now."""
        try:
            with self.path.open("rb") as file:
                start = file.seek(self._at)
                data = file.read()
        except FileNotFoundError:
            return
        parts: list[bytes] = []
        for kind, payload, end in _chunks(data, start):
            parts.append(payload)
            if kind in {_FULL, _LAST}:
                record = Record()
                record.ParseFromString(b"".join(parts))
                parts, self._at = [], end
                yield record


def _chunks(data: bytes, start: int) -> Iterator[tuple[int, bytes, int]]:
    """Kind, payload and end (in the file) of each chunk; ``data`` begins at ``start`` in the file."""
    at = start
    while True:
        left = _BLOCK - at % _BLOCK
        if left < _HEADER.size:  # the end of a block that has no room for a header is padding
            at += left
        begin = at - start + _HEADER.size
        if begin > len(data):
            return
        crc, length, kind = _HEADER.unpack_from(data, begin - _HEADER.size)
        payload = data[begin : begin + length]
        if len(payload) < length or kind == 0 or zlib.crc32(payload, zlib.crc32(bytes([kind]))) != crc:
            return
        at += _HEADER.size + length
        yield kind, payload, at
