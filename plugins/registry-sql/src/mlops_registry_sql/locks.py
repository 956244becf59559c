"""Exclusive locks on open files, which the system releases when their process ends, however it ends."""

from __future__ import annotations

import os
import sys

__all__ = ["lock", "try_lock"]

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
