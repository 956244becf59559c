"""Connections, transactions and prebuilt statements over one database file or server."""

from __future__ import annotations

import os
import sqlite3
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol

from attrs import define, field
from sqlalchemy import ClauseElement, Connection, Engine, RootTransaction, Select
from sqlalchemy.exc import SQLAlchemyError

from mlops_core.exceptions import VersioningError

__all__ = ["Database", "Gate", "Transaction", "wrapped"]


class Gate(Protocol):
    """What a writer passes before it begins: the database's own way to queue writers."""

    def __call__(self) -> AbstractContextManager[None]:
        """Wait for the turn; the turn ends with the context."""


@define(eq=False)
class _Session:
    """The connections of one thread of one process."""

    pid: int
    reader: Connection
    writer: Connection

    def close(self) -> None:
        self.reader.close()
        self.writer.close()


@define(eq=False)
class Transaction:
    """Statements of one transaction."""

    _database: Database
    _connection: Connection
    _running: RootTransaction | None = None

    def run(self, statement: ClauseElement, parameters: Mapping[str, Any] | None = None) -> Sequence[Any]:
        """Rows of a prebuilt statement; none for one that returns none."""
        text, constants = self._database.prebuilt(statement)
        result = self._connection.exec_driver_sql(text, {**constants, **(parameters or {})})
        return result.fetchall() if result.returns_rows else ()

    def undo(self) -> None:
        """Roll back; no statement may follow."""
        if self._running is not None:
            self._running.rollback()

    def run_many(self, statement: ClauseElement, parameters: Sequence[Mapping[str, Any]]) -> None:
        """One statement for each mapping."""
        if parameters:
            text, constants = self._database.prebuilt(statement)
            self._connection.exec_driver_sql(text, [{**constants, **one} for one in parameters])


@define(eq=False)
class Database:
    """Opens nothing before the first use, and opens again after a fork: a connection belongs to one thread of one process.

    ``open_engines`` answers an engine for reads (autocommit) and one for writes; it runs once per process and brings the schema.
    """

    name: str
    open_engines: Callable[[], tuple[Engine, Engine]]
    gate: Gate
    _engines: tuple[Engine, Engine] | None = field(default=None, init=False)
    _pid: int = field(default=0, init=False)
    _lock: threading.Lock = field(factory=threading.Lock, init=False)
    _local: threading.local = field(factory=threading.local, init=False)
    _sessions: weakref.WeakSet[_Session] = field(factory=weakref.WeakSet, init=False)
    _texts: dict[ClauseElement, tuple[str, Mapping[str, Any]]] = field(factory=dict, init=False)

    def read(self, statement: ClauseElement, parameters: Mapping[str, Any] | None = None) -> Sequence[Any]:
        """Rows as committed now."""
        with wrapped(self.name):
            return Transaction(self, self._session().reader).run(statement, parameters)

    def select(self, statement: Select[Any]) -> Sequence[Any]:
        """Rows of a statement that was built for this call."""
        with wrapped(self.name):
            return self._session().reader.execute(statement).fetchall()

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        """A transaction that commits when the block ends, and rolls back when it raises."""
        with wrapped(self.name):
            session = self._session()
            with self.gate(), session.writer.begin() as running:
                yield Transaction(self, session.writer, running)

    def prebuilt(self, statement: ClauseElement) -> tuple[str, Mapping[str, Any]]:
        """The statement in the driver's own words, and the values that are written in it."""
        known = self._texts.get(statement)
        if known is None:
            compiled = statement.compile(self._open()[0])
            constants = {name: value for name, value in compiled.params.items() if value is not None}
            known = self._texts[statement] = (compiled.string, constants)
        return known

    def open(self) -> None:
        """Connect this thread; raises ``VersioningError``."""
        with wrapped(self.name):
            self._session()

    def close(self) -> None:
        """Close every connection of this process. A later use opens again."""
        if self._pid != os.getpid():
            return
        with self._lock:
            mine, self._sessions, self._local = list(self._sessions), weakref.WeakSet(), threading.local()
            self._engines = None
        for session in mine:
            session.close()

    def _session(self) -> _Session:
        session: _Session | None = getattr(self._local, "session", None)
        if session is None or session.pid != os.getpid():
            reader, writer = self._open()
            session = _Session(os.getpid(), reader.connect(), writer.connect())
            with self._lock:
                self._local.session = session
                self._sessions.add(session)
        return session

    def _open(self) -> tuple[Engine, Engine]:
        if self._pid != os.getpid():
            self._after_fork()
        with self._lock:
            if self._engines is None:
                self._engines = self.open_engines()
            return self._engines

    def _after_fork(self) -> None:
        """Forget what the parent opened, without closing it, and locks that one of its threads may hold."""
        self._lock = threading.Lock()
        self._sessions = weakref.WeakSet()
        self._engines = None
        self._pid = os.getpid()


@contextmanager
def wrapped(name: str) -> Iterator[None]:
    """Turn what the driver or the disk raises into a ``VersioningError`` of one line."""
    try:
        yield
    except (SQLAlchemyError, sqlite3.Error) as error:  # the second: from a listener of a new connection
        cause = str(getattr(error, "orig", None) or error).splitlines()[0]
        raise VersioningError(f"{name}: {cause}") from error
    except OSError as error:
        raise VersioningError(f"{name}: {error.strerror or error}") from error
