"""Exclusive locks on open files, which the system releases when their process ends, however it ends.

Closing a file gives its lock up only where no forked child has the file open as well: ``release`` does so in any case.
"""

from __future__ import annotations

import os
import sys

__all__ = ["lock", "release", "try_lock"]

if sys.platform == "win32":  # pragma: no cover  another system's branch
    import msvcrt
    import time

    _FAR = 1 << 40  # locks are mandatory there: lock a byte that nobody reads

    def try_lock(descriptor: int) -> bool:
        """Take the lock, unless another open of the file has it."""
        at = os.lseek(descriptor, 0, os.SEEK_CUR)
        os.lseek(descriptor, _FAR, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        finally:
            os.lseek(descriptor, at, os.SEEK_SET)
        return True

    def lock(descriptor: int) -> None:
        """Wait for the lock."""
        while not try_lock(descriptor):
            time.sleep(0.005)

    def release(descriptor: int) -> None:
        """Close the file, and the lock with it: no child inherits files there."""
        os.close(descriptor)

else:
    import fcntl

    def try_lock(descriptor: int) -> bool:
        """Take the lock, unless another open of the file has it."""
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def lock(descriptor: int) -> None:
        """Wait for the lock; the kernel queues those who wait."""
        fcntl.flock(descriptor, fcntl.LOCK_EX)

    def release(descriptor: int) -> None:
        """Give up the lock, also where a child that was forked meanwhile has the file open, and close the file."""
        try:
            fcntl.flock(descriptor, fcntl.LOCK_UN)
        finally:
            os.close(descriptor)
