"""What an artifact is made of: its files by relative path, size and sha256.

A single file is a path without ``/``. The paths of a directory all begin with its name, so ``model/weights.bin`` is a file of the directory
``model`` even where it is the only one.
"""

from __future__ import annotations

import hashlib
import os
import stat
from typing import TYPE_CHECKING, BinaryIO, Final

from mlops_core.exceptions import ArtifactError, CorruptArtifactError
from mlops_core.records import digest_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from mlops_core.records import File

__all__ = ["CHUNK", "check_names", "check_paths", "content_digest", "hash_file", "layout_digest", "open_plain", "root_of", "scan", "verify"]

CHUNK: Final = 1 << 20
_PATH_LIMIT: Final = 1024
_SHOWN: Final = 60


def scan(path: Path, root: str) -> list[tuple[str, Path]]:
    """The regular files at ``path`` with their paths below ``root``, sorted.

    Raises:
        ArtifactError: There is nothing there, or a link, a device or another thing that is neither file nor folder.
    """
    found = sorted(_walk(path, root))
    if not found:
        raise ArtifactError(f"artifact {path.name}: the folder holds no file - give a file, or a folder with at least one")
    return found


def _walk(path: Path, relative: str) -> Iterator[tuple[str, Path]]:
    try:
        mode = path.lstat().st_mode
    except (OSError, ValueError) as error:
        raise ArtifactError(f"artifact {_short(str(path))}: cannot be read ({_cause(error)}) - give an existing file or folder") from error
    if stat.S_ISDIR(mode):
        try:
            names = sorted(child.name for child in path.iterdir())
        except OSError as error:
            raise ArtifactError(f"artifact {_short(str(path))}: cannot be read ({_cause(error)})") from error
        for name in names:
            yield from _walk(path / name, f"{relative}/{name}")
    elif stat.S_ISREG(mode):
        yield relative, path
    else:
        what = "a symbolic link" if stat.S_ISLNK(mode) else "neither a file nor a folder"
        raise ArtifactError(f"artifact {_short(str(path))}: is {what} - store a copy of what it stands for")


def open_plain(path: Path) -> BinaryIO:
    """Open a regular file for reading without following a link that was put there since it was scanned."""
    try:
        return os.fdopen(os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)), "rb")
    except OSError as error:
        raise ArtifactError(f"artifact {path.name}: cannot be read ({_cause(error)})") from error


def hash_file(path: Path) -> str:
    """sha256 of a file in hex, in constant memory."""
    digest = hashlib.sha256()
    with open_plain(path) as stream:
        while chunk := stream.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def check_paths(files: Sequence[File], name: str) -> None:
    """Refuse a manifest that would write outside its folder, or twice to one place.

    Raises:
        CorruptArtifactError: Naming the path.
    """
    seen: set[str] = set()
    for file in files:
        parts = file.path.split("/")
        if not _portable(file.path):
            raise CorruptArtifactError(f"artifact {name}: the path {_short(file.path)} leaves its folder - the artifact cannot be used")
        above = {"/".join(parts[:end]) for end in range(1, len(parts))}
        if file.path in seen or above & seen:
            raise CorruptArtifactError(f"artifact {name}: the path {_short(file.path)} is there twice - the artifact cannot be used")
        seen.add(file.path)
    if not files:
        raise CorruptArtifactError(f"artifact {name}: it lists no file - the artifact cannot be used")


def check_names(paths: Sequence[str], name: str) -> None:
    """Refuse to store what ``check_paths`` would refuse to fetch.

    Raises:
        ArtifactError: Naming the path.
    """
    for path in paths:
        if not _portable(path):
            raise ArtifactError(
                f"artifact {_short(name)}: the name {_short(path)} cannot be kept on every system"
                f" - rename it: UTF-8, no ':' and no backslash, {_PATH_LIMIT} characters at most"
            )


def _portable(path: str) -> bool:
    """Whether the relative path stays in its folder and can be written on every system."""
    try:
        path.encode()
    except UnicodeEncodeError:  # bytes of a file system that are no text
        return False
    plain = 0 < len(path) <= _PATH_LIMIT and not any(mark in path for mark in "\0\\:")
    return plain and not any(part in {"", ".", ".."} for part in path.split("/"))


def root_of(files: Sequence[File]) -> str | None:
    """The one name that all paths begin with, or None for files that lie side by side."""
    tops = {file.path.partition("/")[0] for file in files}
    return tops.pop() if len(tops) == 1 else None


def content_digest(files: Sequence[File]) -> str:
    """A file's sha256; for a directory that of its manifest, the sorted (path below it, sha256, size). The name does not count."""
    if len(files) == 1 and "/" not in files[0].path:
        return files[0].blob.sha256
    skip = 0 if (root := root_of(files)) is None else len(root) + 1
    return digest_of(sorted([file.path[skip:], file.blob.sha256, file.blob.size] for file in files))


def layout_digest(files: Sequence[File]) -> str:
    """Like the content's digest, but of the whole paths: what a fetched copy is filed under."""
    return digest_of(sorted([file.path, file.blob.sha256, file.blob.size] for file in files))


def verify(folder: Path, files: Sequence[File], name: str) -> None:
    """Hash a fetched copy again.

    Raises:
        CorruptArtifactError: A file changed, is missing, or is there without being listed.
    """
    expected = {file.path: file.blob for file in files}
    try:
        found = {path.removeprefix("./"): at for path, at in scan(folder, ".")}
    except ArtifactError as error:
        raise CorruptArtifactError(f"artifact {name}: the copy on disk is not what was stored ({error.message})") from error
    for path in sorted(expected.keys() ^ found.keys()):
        raise CorruptArtifactError(f"artifact {name}: {_short(path)} is {'missing' if path in expected else 'not part of it'}")
    for path, blob in expected.items():
        if found[path].stat().st_size != blob.size or hash_file(found[path]) != blob.sha256:
            raise CorruptArtifactError(f"artifact {name}: {_short(path)} does not match its sha256")


def _short(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else f"...{text[-_SHOWN:]}")


def _cause(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
