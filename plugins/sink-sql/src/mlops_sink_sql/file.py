"""One SQLite file: its connections, transactions and the version of its schema."""

from __future__ import annotations

import os
import threading
import weakref
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from attrs import define, field
from sqlalchemy import Connection, Engine, Table, create_engine, event
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.engine import URL
from sqlalchemy.exc import SQLAlchemyError

from mlops_core.exceptions import MonitoringError
from mlops_sink_sql.migrations import bring_schema

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["DatabaseFile"]

_NAME: Final = "sink.sqlite"
_IMMEDIATE: Final = "mlops_immediate"


@define(eq=False)
class DatabaseFile:
    """Connections to the file, opened at the first use.

    SQLite keeps what it knows of its locks per process, and a fork copies that but not the locks: a child that opens a file which its
    parent had open at that moment loses writes, even on a connection of its own. So a fork waits for running transactions and closes the
    file; parent and child open it again when they next need it.
    """

    path: Path
    timeout: float
    _engine: Engine | None = field(default=None, init=False, repr=False)
    _active: int = field(default=0, init=False)
    _forking: int = field(default=0, init=False)
    _guarded: bool = field(default=False, init=False)
    _changed: threading.Condition = field(factory=threading.Condition, init=False, repr=False)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A snapshot."""
        with self._used() as engine, engine.begin() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that takes the write lock at once, so that it cannot fail half way for want of it."""
        with self._used() as engine, engine.execution_options(**{_IMMEDIATE: True}).begin() as connection:
            yield connection

    def insert(self, table: Table) -> Any:
        """SQLite's INSERT."""
        return insert(table)

    def queue(self, connection: Connection, name: str) -> None:
        """Nothing: there is one writer at a time."""

    def settle(self) -> None:
        """Empty the write-ahead log, which still holds what was erased, as far as no reader needs it."""
        with self._used() as engine:
            raw = engine.raw_connection()
            try:
                raw.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            finally:
                raw.close()

    def close(self) -> None:
        """Close the connections that are not in use. Idempotent."""
        with self._changed:
            engine, self._engine = self._engine, None
        if engine is not None:
            engine.dispose()

    @contextmanager
    def _used(self) -> Iterator[Engine]:
        """The engine, kept from being forked away while it is used."""
        with self._changed:
            self._changed.wait_for(lambda: not self._forking)
            self._active += 1
        try:
            yield self._opened()
        except SQLAlchemyError as error:
            cause = getattr(error, "orig", None) or error
            raise MonitoringError(f"{_NAME}: {self.path}: {cause} - check the file, its folder and the free space") from error
        finally:
            with self._changed:
                self._active -= 1
                self._changed.notify_all()

    def _opened(self) -> Engine:
        with self._changed:
            if not self._guarded and hasattr(os, "register_at_fork"):
                self._guarded = True
                hooks = (_weakly(self._before_fork), _weakly(self._after_fork), _weakly(self._in_child))
                os.register_at_fork(before=hooks[0], after_in_parent=hooks[1], after_in_child=hooks[2])
            if self._engine is None:
                self._engine = self._open()
            return self._engine

    def _before_fork(self) -> None:
        with self._changed:
            self._forking += 1  # several threads may fork at once
            self._changed.wait_for(lambda: self._active == 0)
        self.close()

    def _after_fork(self) -> None:
        with self._changed:
            self._forking -= 1
            self._changed.notify_all()

    def _in_child(self) -> None:
        self._changed = threading.Condition()
        self._forking = 0

    def _open(self) -> Engine:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise MonitoringError(f"{_NAME}: {self.path.parent} cannot be made: {error.strerror} - check 'path'") from error
        engine = create_engine(
            URL.create("sqlite", database=str(self.path)), connect_args={"timeout": self.timeout, "check_same_thread": False}
        )
        event.listen(engine, "connect", _configure)
        event.listen(engine, "begin", _begin)
        try:
            with engine.execution_options(**{_IMMEDIATE: True}).begin() as connection:
                bring_schema(connection, f"{_NAME}: {self.path}")
        except BaseException:
            engine.dispose()
            raise
        return engine


def _configure(connection: Any, record: object) -> None:
    del record
    connection.isolation_level = None  # BEGIN is ours: the driver's own would come too late and would not be IMMEDIATE
    # NORMAL: a killed process loses nothing, a power cut may lose the last moments. secure_delete: what is purged is gone from the file.
    for pragma in ("journal_mode = WAL", "synchronous = NORMAL", "foreign_keys = ON", "secure_delete = ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: Connection) -> None:
    immediate = connection.get_execution_options().get(_IMMEDIATE, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")


def _weakly(method: Callable[[], None]) -> Callable[[], None]:
    """Hooks of a fork cannot be removed, so they must keep nothing alive."""
    held = weakref.WeakMethod(method)

    def call() -> None:
        if (living := held()) is not None:
            living()

    return call
