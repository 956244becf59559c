"""Private temporary folders that a crash leaves behind for no longer than until the next use."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mlops_core.exceptions import ArtifactError

if TYPE_CHECKING:
    from collections.abc import Iterator

if sys.platform != "win32":  # folders cannot be locked there, so none is swept
    import fcntl

__all__ = ["scratch"]

_PREFIX: Final = "scratch-"


@contextlib.contextmanager
def scratch(parent: Path) -> Iterator[Path]:
    """A new folder in ``parent`` that only this user can enter; gone afterwards.

    Its owner holds a lock on it, so the folders of dead processes are told apart from those in use, and removed here.
    """
    try:
        parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _sweep(parent)
        folder, handle = _locked(parent)
    except OSError as error:
        raise ArtifactError(f"artifacts: cannot write in {parent} ({error.strerror}) - make it writable") from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if handle is not None:
            os.close(handle)


def _locked(parent: Path) -> tuple[Path, int | None]:
    while True:
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
        if sys.platform == "win32":
            return folder, None
        with contextlib.suppress(FileNotFoundError):  # swept between the two calls: take another
            handle = os.open(folder, os.O_RDONLY)
            fcntl.flock(handle, fcntl.LOCK_EX)
            if folder.exists():
                return folder, handle
            os.close(handle)


def _sweep(parent: Path) -> None:
    if sys.platform == "win32":
        return
    for folder in parent.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):  # in use, or just removed by somebody else
            handle = os.open(folder, os.O_RDONLY | os.O_NOFOLLOW)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder)
            finally:
                os.close(handle)
