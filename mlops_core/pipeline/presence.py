"""Whether the process that runs a pipeline still lives, told by a lock on a file of its own.

A lease passes only after its time; the system releases a lock at the moment its process dies. So on the same machine a run that was killed
is known as interrupted, and can be resumed, at once. Where nothing can be told (another machine, Windows) the lease decides.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from pathlib import Path
from typing import Final

from attrs import define, field

from mlops_core.exceptions import PipelineError

if sys.platform != "win32":  # there the lease decides
    import fcntl

__all__ = ["Presence", "dead_owner", "forget", "is_dead"]

_SUFFIX: Final = ".lock"
_STALE: Final = 86_400.0  # seconds after which nobody asks about a dead owner any more


@define(eq=False)
class Presence:
    """Held from ``show`` to ``hide``, or to the death of the process. ``holds`` is the name of the lease that the owner is after."""

    folder: Path
    owner: str
    holds: str
    _handle: int | None = field(default=None, init=False, repr=False)

    def show(self) -> None:
        """Take the lock, and remove what dead processes left behind long ago, or before they said what they are after.

        Raises:
            PipelineError: The folder cannot be used.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._sweep()
            self._handle = os.open(self.folder / f"{self.owner}{_SUFFIX}", os.O_RDWR | os.O_CREAT, 0o600)
            _lock(self._handle)
            os.write(self._handle, self.holds.encode())
        except OSError as error:
            self.hide()
            raise PipelineError(
                f"pipeline: the folder of locks {self.folder} cannot be used: {error.strerror} - mend or remove it"
            ) from error

    def _sweep(self) -> None:
        for path in self.folder.glob(f"*{_SUFFIX}"):
            with contextlib.suppress(OSError):  # somebody else was first
                told = path.stat()
                useless = told.st_size == 0 or time.time() - told.st_mtime > _STALE
                if useless and is_dead(self.folder, path.name.removesuffix(_SUFFIX)):
                    path.unlink()

    def follow(self) -> None:
        """Forget the dead who were after the same lease, which is now this owner's."""
        while (dead := dead_owner(self.folder, self.holds)) is not None:
            forget(self.folder, dead)

    def hide(self) -> None:
        """Remove the file and give up the lock. Idempotent."""
        if self._handle is not None:
            forget(self.folder, self.owner)
            os.close(self._handle)
            self._handle = None


def is_dead(folder: Path, owner: str) -> bool:
    """True only if the owner ran here and its process has ended."""
    try:
        handle = os.open(folder / f"{owner}{_SUFFIX}", os.O_RDWR)
    except OSError:
        return False
    try:
        return _lock(handle)
    finally:
        _unlock(handle)
        os.close(handle)


def dead_owner(folder: Path, holds: str) -> str | None:
    """Who was after this lease, ran here and has died; None if nobody was, or is known to be dead."""
    for path in folder.glob(f"*{_SUFFIX}"):
        with contextlib.suppress(OSError):  # its owner has just left
            owner = path.name.removesuffix(_SUFFIX)
            if path.read_text() == holds and is_dead(folder, owner):
                return owner
    return None


def forget(folder: Path, owner: str) -> None:
    """Remove the file of an owner that is dead."""
    (folder / f"{owner}{_SUFFIX}").unlink(missing_ok=True)


if sys.platform == "win32":  # pragma: no cover  another system's branch

    def _lock(handle: int) -> bool:
        del handle
        return False

else:

    def _lock(handle: int) -> bool:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True


def _unlock(handle: int) -> None:
    """By name, since a child that is forked meanwhile holds the file open, and with it the lock."""
    if sys.platform != "win32":
        fcntl.flock(handle, fcntl.LOCK_UN)
