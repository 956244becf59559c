"""Telling pickles from other files by their first bytes, compressed or not, without unpickling anything."""

from __future__ import annotations

import bz2
import io
import lzma
import pickletools
import re
import zlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["is_pickle"]

_HEAD: Final = 256 * 1024
_NEWEST: Final = 10  # protocol 5 is the newest today; later ones are pickles too
_MEMORY: Final = 128 << 20
_IMPORT: Final = re.compile(r"[A-Za-z_][\w.]* [A-Za-z_][\w.]*")


def is_pickle(path: Path) -> bool:
    """Whether a file is a pickle of any protocol, bare or compressed with zlib, gzip, bz2, xz or lzma, as joblib writes it.

    At most 256 KiB are read and unpacked. Protocols 0 and 1 have no magic bytes: their opcodes are walked to the end, or to the first that
    imports a name (joblib puts the bytes of arrays between them).
    """
    if not path.is_file():
        return False
    with path.open("rb") as stream:
        head = stream.read(_HEAD)
    return _looks_pickled(head) or any(_looks_pickled(_unpacked(head, unpack)) for magic, unpack in _PACKERS if head.startswith(magic))


def _looks_pickled(head: bytes) -> bool:
    if head[:1] == b"\x80":
        return len(head) > 2 and head[1] <= _NEWEST  # noqa: PLR2004  the two bytes just looked at
    try:
        for number, (code, argument, _) in enumerate(pickletools.genops(io.BytesIO(head))):
            if number == 0 and (code.stack_before or code.name == "PERSID"):
                return False  # nothing loads a persistent id first, and a zip archive begins like one
            if code.name == "GLOBAL":
                return _IMPORT.fullmatch(str(argument)) is not None
            if code.name == "STOP":
                return True
    except (ValueError, DeprecationWarning):  # text that looks like an opcode with a bad escape, where warnings are errors
        return False
    return False


def _unpacked(head: bytes, unpack: Callable[[bytes], bytes]) -> bytes:
    try:
        return unpack(head)
    except (OSError, ValueError, EOFError, zlib.error, lzma.LZMAError):
        return b""


def _inflate(head: bytes) -> bytes:
    return zlib.decompressobj(wbits=47).decompress(head, _HEAD)  # 47: the header says whether it is zlib or gzip


def _unbzip(head: bytes) -> bytes:
    return bz2.BZ2Decompressor().decompress(head, _HEAD)


def _unxz(head: bytes) -> bytes:
    return lzma.LZMADecompressor(memlimit=_MEMORY).decompress(head, _HEAD)


_PACKERS: Final = (
    (b"\x78", _inflate),
    (b"\x1f\x8b", _inflate),
    (b"BZh", _unbzip),
    (b"\xfd7zXZ", _unxz),
    (b"\x5d\x00", _unxz),
)
