"""``model.tar.gz``, as SageMaker unpacks it to ``/opt/ml/model``: the same files make the same bytes."""

from __future__ import annotations

import gzip
import hashlib
import tarfile
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["pack"]

_LEVEL: Final = 6
_CHUNK: Final = 1 << 20


def pack(folder: Path, target: Path) -> str:
    """Write the files of a folder, by name, and answer the sha256 of the archive. Owners, modes and times are left out."""
    with (
        target.open("wb") as raw,
        gzip.GzipFile("", "wb", _LEVEL, raw, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                entry = tarfile.TarInfo(path.relative_to(folder).as_posix())
                entry.size, entry.mode = path.stat().st_size, 0o644
                with path.open("rb") as source:
                    archive.addfile(entry, source)
    digest = hashlib.sha256()
    with target.open("rb") as written:
        while chunk := written.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
