"""A queue of the writers of one host before a compare-and-swap: a courtesy, so that none of many loses for ever.

What is written is right without it; where there is no gate, writers go on. It is an flock on a file of the temporary folder.
"""

from __future__ import annotations

import os
import sys
import tempfile
import threading
import zlib
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from attrs import define, field

if sys.platform != "win32":
    import fcntl

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["gate"]

_FILES: Final = 256
_PATIENCE: Final = 30.0  # seconds: whoever holds it longer is stopped, or far slower than those who wait


@contextmanager
def gate(name: str) -> Iterator[None]:
    """Wait for the turn among those who named the same, but not for ever."""
    descriptor = _open(name)
    held = descriptor is not None and _take(descriptor)
    try:
        yield
    finally:
        if held and descriptor is not None:
            _release(descriptor)


def _open(name: str) -> int | None:
    """A file of one's own user's folder, opened anew for each turn; None where there can be none."""
    if sys.platform == "win32":  # pragma: no cover
        return None
    folder = Path(tempfile.gettempdir()) / f"mlops-registry-s3-{os.geteuid()}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        if folder.is_symlink() or folder.stat().st_uid != os.geteuid():
            return None
        number = zlib.crc32(name.encode()) % _FILES
        return os.open(folder / f"{number:03d}.lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    except OSError:
        return None


def _take(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return _Waiter(descriptor).wait()
    except OSError:
        os.close(descriptor)
        return False
    return True


def _release(descriptor: int) -> None:
    """Also where a child that was forked meanwhile has the file open."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_UN)
    finally:
        os.close(descriptor)


@define(eq=False)
class _Waiter:
    """Blocks in a thread, since the kernel queues those who wait but gives them no timeout. Whoever comes last closes the file."""

    descriptor: int
    _lock: threading.Lock = field(factory=threading.Lock, init=False)
    _answered: threading.Event = field(factory=threading.Event, init=False)
    _taken: bool = field(default=False, init=False)
    _left: bool = field(default=False, init=False)

    def wait(self) -> bool:
        threading.Thread(target=self._block, name="mlops-s3-gate", daemon=True).start()
        try:
            self._answered.wait(_PATIENCE)
        except BaseException:  # interrupted: nobody will end a turn that came meanwhile
            self._leave()
            if self._taken:
                _release(self.descriptor)
            raise
        self._leave()
        return self._taken

    def _leave(self) -> None:
        with self._lock:
            self._left = not self._taken

    def _block(self) -> None:
        fcntl.flock(self.descriptor, fcntl.LOCK_EX)
        with self._lock:
            self._taken = not self._left
            if self._left:
                _release(self.descriptor)
        self._answered.set()
