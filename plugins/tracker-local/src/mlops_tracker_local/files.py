"""Artifacts as files: each as it was stored last, or not there; none ever in part, none outside its run's folder."""

from __future__ import annotations

import shutil
import time
import uuid
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Final

from mlops_core.exceptions import ExperimentError
from mlops_tracker_local.database import NAME

__all__ = ["store"]

_INCOMING: Final = ".incoming"
_ABANDONED: Final = 86400.0  # seconds
_REFUSED: Final = (FileExistsError, NotADirectoryError, shutil.SpecialFileError)


def store(root: Path, run: PurePosixPath, name: str, source: Path) -> None:
    """Copy a file or directory to ``root/run/name`` in place of what is there.

    A directory goes in place of another in two steps, between which there is none; a delivery that is cut off there is repeated.

    Raises:
        ExperimentError: It is or holds a link, or the name leads out of the run's folder, or below a file.
    """
    target = root / run / name
    if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts or target == root / run:
        raise ExperimentError(f"{NAME}: {name!r} does not name an artifact - use a relative name without '..'")
    incoming = root / _INCOMING
    incoming.mkdir(parents=True, exist_ok=True)
    _sweep(incoming)
    private = incoming / uuid.uuid4().hex
    private.mkdir()
    try:
        copy = _copy(source, private / "new", name)
        if not target.parent.resolve().is_relative_to(root.resolve() / run):
            raise ExperimentError(f"{NAME}: {target.parent} leads out of {root / run} - remove the link")
        _place(copy, target, private / "old")
    except _REFUSED as error:
        raise ExperimentError(f"{NAME}: artifact {name!r} cannot be stored: {error.strerror or error} - use another name") from error
    finally:
        shutil.rmtree(private, ignore_errors=True)


def _copy(source: Path, copy: Path, name: str) -> Path:
    """A private copy; looked at only then, as nobody can change it any more."""
    if source.is_dir() and not source.is_symlink():
        shutil.copytree(source, copy, symlinks=True)
    else:
        shutil.copy2(source, copy, follow_symlinks=False)
    link = next((found for found in (copy, *copy.rglob("*")) if found.is_symlink()), None)
    if link is not None:
        place = source / link.relative_to(copy)
        raise ExperimentError(f"{NAME}: artifact {name!r}: {place} is a symbolic link - give the file itself")
    return copy


def _place(copy: Path, target: Path, old: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.is_symlink() or target.is_file() or not target.exists():
        if copy.is_dir():
            target.unlink(missing_ok=True)
        copy.replace(target)
        return
    target.rename(old)
    copy.replace(target)


def _sweep(incoming: Path) -> None:
    """What a process left that died as it copied."""
    for left in incoming.iterdir():
        with suppress(FileNotFoundError):  # another process sweeps too
            if time.time() - left.stat().st_mtime > _ABANDONED:
                shutil.rmtree(left, ignore_errors=True)
