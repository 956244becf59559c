"""One connection to one file, across threads, processes and forks."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
import weakref
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from attrs import define, field

from mlops_core.exceptions import ExperimentError, MLOpsError
from mlops_tracker_local.schema import bring_schema

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["NAME", "Database", "errors"]

NAME: Final = "tracker.local"
_PAUSE: Final = 0.01  # seconds


@contextmanager
def errors(place: Path) -> Iterator[None]:
    """What can never be kept is an ``ExperimentError``, which is final; what the disk or SQLite raise an outage, which is tried again."""
    try:
        yield
    except (UnicodeError, OverflowError, sqlite3.DataError) as error:
        raise ExperimentError(f"{NAME}: {_cause(error)}") from error
    except OSError as error:
        raise MLOpsError(f"{NAME}: {error.filename or place}: {error.strerror or error} - check the folder and the free space") from error
    except sqlite3.Error as error:
        raise MLOpsError(f"{NAME}: {place}: {_cause(error)} - check the file, its folder and the free space") from error


@define(eq=False)
class Database:
    """Opens nothing before the first use. Threads take turns, processes too when they write.

    SQLite keeps what it knows of its locks per process, and a fork copies that but not the locks: a child that opens a file which its
    parent had open at that moment loses writes, even on a connection of its own. So a fork waits for the transaction that runs and closes
    the connection; parent and child open one when they next need it. A file that was put in the place of the one that is open is opened
    too, since nobody else would ever see what is written to the one before.
    """

    path: Path
    timeout: float
    _connection: sqlite3.Connection | None = field(default=None, init=False, repr=False)
    _identity: tuple[int, int] | None = field(default=None, init=False, repr=False)
    _lock: threading.Lock = field(factory=threading.Lock, init=False, repr=False)
    _guarded: bool = field(default=False, init=False, repr=False)

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A transaction whose statements all see one moment."""
        with self._transaction("BEGIN") as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction: kept whole, or not at all if the block raises. It has its turn at once, so that it cannot fail half way for it."""
        with self._transaction("BEGIN IMMEDIATE") as connection:
            yield connection

    def close(self) -> None:
        """Close the connection once nobody uses it. Idempotent; a later use opens again."""
        with self._lock:
            self._disconnect()

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[sqlite3.Connection]:
        with self._lock, errors(self.path):
            connection = self._opened()
            try:
                connection.execute(begin)
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                self._disconnect()  # which undoes the transaction, whatever it was amid
                raise

    def _opened(self) -> sqlite3.Connection:
        if self._connection is not None and self._identity != _identity(self.path):
            self._disconnect()
        if self._connection is None:
            self._guard()
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = _connect(self.path, self.timeout)
            self._identity = _identity(self.path)
        return self._connection

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _guard(self) -> None:
        if not self._guarded and hasattr(os, "register_at_fork"):
            self._guarded = True
            before, parent, child = (_weakly(hook) for hook in (self._before_fork, self._after_fork, self._in_child))
            os.register_at_fork(before=before, after_in_parent=parent, after_in_child=child)

    def _before_fork(self) -> None:
        self._lock.acquire()
        self._disconnect()

    def _after_fork(self) -> None:
        self._lock.release()

    def _in_child(self) -> None:
        self._lock = threading.Lock()


def _connect(path: Path, timeout: float) -> sqlite3.Connection:
    """A connection to a file that has the schema. Of many that make a file at once SQLite turns some away, whatever its own patience."""
    deadline = time.monotonic() + timeout
    while True:
        connection = sqlite3.connect(path, timeout=timeout, isolation_level=None, check_same_thread=False)  # BEGIN is ours
        try:
            bring_schema(connection, f"{NAME}: {path}")
            # NORMAL: a killed process loses nothing, a power cut may lose the last moments.
            for pragma in ("journal_mode = WAL", "synchronous = NORMAL", "foreign_keys = ON"):
                connection.execute(f"PRAGMA {pragma}")
        except BaseException as error:
            connection.close()
            if not _is_busy(error) or time.monotonic() > deadline:
                raise
            time.sleep(_PAUSE)
        else:
            return connection


def _is_busy(error: BaseException) -> bool:
    return isinstance(error, sqlite3.OperationalError) and getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def _cause(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _weakly(method: Callable[[], None]) -> Callable[[], None]:
    """Hooks of a fork cannot be removed, so they must keep nothing alive."""
    held = weakref.WeakMethod(method)

    def call() -> None:
        if (living := held()) is not None:
            living()

    return call
