"""The header of safetensors files: its length in eight bytes, then JSON that says where each array lies."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from mlops_core.exceptions import ArtifactError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["check_header", "has_header"]

_LENGTH: Final = 8  # bytes of the number before the header
_LONGEST: Final = 16 << 20  # some hundred thousand arrays; the library itself allows 100 MB
_HEAD: Final = 64 << 10


def has_header(path: Path) -> bool:
    """Whether a file begins with a header of safetensors that the file has room for; at most 64 KiB of it are read."""
    if not path.is_file():
        return False
    length, size, head = _begin(path)
    return 2 <= length <= min(_LONGEST, size - _LENGTH) and head[:1] == b"{" and b'"data_offsets"' in head  # noqa: PLR2004  the shortest is {}


def check_header(path: Path) -> None:
    """Refuse a header that promises more than it may before the library takes memory for it.

    Raises:
        ArtifactError: It is longer than 16 MiB, or than the file.
    """
    length, size, _ = _begin(path)
    if not 2 <= length <= min(_LONGEST, size - _LENGTH):  # noqa: PLR2004  the shortest is {}
        raise ArtifactError(f"format safetensors: {path.name} has {size} bytes, and says that its header has {length} - restore the file")


def _begin(path: Path) -> tuple[int, int, bytes]:
    """Length of the header, size of the file, beginning of the header."""
    with path.open("rb") as stream:
        length = int.from_bytes(stream.read(_LENGTH), "little")
        head = stream.read(max(0, min(length, _HEAD)))
        return length, stream.seek(0, os.SEEK_END), head
