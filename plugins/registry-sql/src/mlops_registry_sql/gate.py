"""A fair queue of writers, in this process and in others: an flock taken before BEGIN.

SQLite's own busy handler polls, so that one of many writers can starve for seconds.
"""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import define, field

from mlops_core.exceptions import VersioningError
from mlops_registry_sql.locks import lock, release, try_lock

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["FileGate"]


@define(eq=False)
class FileGate:
    """``path`` is a lock file beside the database, created when missing; ``timeout`` in seconds."""

    path: Path
    timeout: float

    @contextmanager
    def __call__(self) -> Iterator[None]:
        """Wait for the turn; it ends with the context.

        Raises:
            VersioningError: Another writer held it for the whole timeout.
        """
        # Opened anew for each turn: then threads of one process exclude each other too.
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666)
        if not self._take(descriptor):
            raise VersioningError(
                f"registry.sqlite: another writer held {self.path.name} for {self.timeout:g} s - is a process stopped in a write?"
            )
        try:
            yield
        finally:
            release(descriptor)

    def _take(self, descriptor: int) -> bool:
        try:
            return try_lock(descriptor) or _Waiter(descriptor).wait(self.timeout)
        except OSError:
            os.close(descriptor)
            raise


@define(eq=False)
class _Waiter:
    """Blocks in a helper thread, since the kernel queues waiters but gives them no timeout. Whoever comes last closes the descriptor."""

    descriptor: int
    _lock: threading.Lock = field(factory=threading.Lock, init=False)
    _answered: threading.Event = field(factory=threading.Event, init=False)
    _taken: bool = field(default=False, init=False)
    _left: bool = field(default=False, init=False)

    def wait(self, timeout: float) -> bool:
        threading.Thread(target=self._block, name="registry-gate", daemon=True).start()
        try:
            self._answered.wait(timeout)
        except BaseException:  # interrupted: nobody will end a turn that came meanwhile
            self._leave()
            if self._taken:
                release(self.descriptor)
            raise
        self._leave()
        return self._taken

    def _leave(self) -> None:
        with self._lock:
            self._left = not self._taken

    def _block(self) -> None:
        lock(self.descriptor)
        with self._lock:
            self._taken = not self._left
            if self._left:
                release(self.descriptor)
        self._answered.set()
