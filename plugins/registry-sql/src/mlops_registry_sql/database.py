"""Connections, transactions and prebuilt statements over one database file or server."""

from __future__ import annotations

import sqlite3
import threading
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol

from attrs import define, field
from sqlalchemy import ClauseElement, Connection, Dialect, Engine, RootTransaction, Select
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from mlops_core.exceptions import VersioningError
from mlops_registry_sql.forks import ForkGuard

__all__ = ["CollisionError", "Database", "Source", "Transaction"]


class CollisionError(VersioningError):
    """A unique name is taken, or a row is claimed, by a transaction that this one could not see when it looked."""


class Source(Protocol):
    """What is one database's own: where it is, how it is opened, how its writers queue."""

    @property
    def label(self) -> str:
        """The plugin and the place, for messages."""

    @property
    def remedy(self) -> str:
        """What to check when the driver raises."""

    def prepare(self) -> None:
        """Make the place, before the first turn; raises ``VersioningError``."""

    def gate(self) -> AbstractContextManager[None]:
        """Wait for a writer's turn; it ends with the context."""

    def open(self) -> tuple[Engine, Engine]:
        """With the turn: an engine for reads (autocommit) and one for writes, over a database that has the schema."""

    def is_current(self) -> bool:
        """Whether what was opened is still what is in its place."""

    def is_alive(self, connection: Connection) -> bool:
        """Whether a connection that was opened before can be used, as far as can be told without asking the other side."""


@define(eq=False)
class _Session:
    """The connections of one thread."""

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
        text, constants = self._database.prebuilt(statement, self._connection.dialect)
        result = self._connection.exec_driver_sql(text, {**constants, **(parameters or {})})
        return result.fetchall() if result.returns_rows else ()

    def undo(self) -> None:
        """Roll back; no statement may follow."""
        if self._running is not None:
            self._running.rollback()

    def run_many(self, statement: ClauseElement, parameters: Sequence[Mapping[str, Any]]) -> None:
        """One statement for each mapping."""
        if parameters:
            text, constants = self._database.prebuilt(statement, self._connection.dialect)
            self._connection.exec_driver_sql(text, [{**constants, **one} for one in parameters])


@define(eq=False)
class Database:
    """Opens nothing before the first use, disconnects before a fork and connects again after it: a connection is one thread's.

    What was put in the database's place meanwhile is opened too, since nobody else would ever see what is written to the one before.
    """

    source: Source
    _engines: tuple[Engine, Engine] | None = field(default=None, init=False)
    _forks: ForkGuard = field(init=False)
    _lock: threading.Lock = field(factory=threading.Lock, init=False)  # held only where no fork happens
    _local: threading.local = field(factory=threading.local, init=False)
    _sessions: weakref.WeakSet[_Session] = field(factory=weakref.WeakSet, init=False)
    _texts: dict[ClauseElement, tuple[str, Mapping[str, Any]]] = field(factory=dict, init=False)

    def __attrs_post_init__(self) -> None:
        self._forks = ForkGuard(self._disconnect)

    def read(self, statement: ClauseElement, parameters: Mapping[str, Any] | None = None) -> Sequence[Any]:
        """Rows as committed now."""
        with self.errors(), self._connected(self._open()) as session:
            return Transaction(self, session.reader).run(statement, parameters)

    def select(self, statement: Select[Any]) -> Sequence[Any]:
        """Rows of a statement that was built for this call."""
        with self.errors(), self._connected(self._open()) as session:
            return session.reader.execute(statement).fetchall()

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        """A transaction that commits when the block ends, and rolls back when it raises."""
        with self.errors():
            engines = self._open()
            # The turn first: a fork waits for all who are connected, and they must not wait for one that the fork keeps out.
            with self.source.gate(), self._connected(engines) as session, session.writer.begin() as running:
                yield Transaction(self, session.writer, running)

    def prebuilt(self, statement: ClauseElement, dialect: Dialect) -> tuple[str, Mapping[str, Any]]:
        """The statement in the driver's own words, and the values that are written in it."""
        known = self._texts.get(statement)
        if known is None:
            compiled = statement.compile(dialect=dialect)
            constants = {name: value for name, value in compiled.params.items() if value is not None}
            known = self._texts[statement] = (compiled.string, constants)
        return known

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Turn what the driver or the disk raises into a ``VersioningError`` of one line."""
        label, remedy = self.source.label, self.source.remedy
        try:
            yield
        except (SQLAlchemyError, sqlite3.Error) as error:  # the second: from a listener of a new connection
            cause = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
            kind = CollisionError if isinstance(error, IntegrityError) else VersioningError
            raise kind(f"{label}: {cause} - {remedy}") from error
        except OSError as error:
            place = f" ({error.filename})" if error.filename else ""
            raise VersioningError(f"{label}: {error.strerror or error}{place} - {remedy}") from error

    def open(self) -> None:
        """Connect this thread; raises ``VersioningError``."""
        with self.errors(), self._connected(self._open()):
            pass

    def close(self) -> None:
        """Close every connection. A later use opens again."""
        with self._forks.using():
            self._engines = None
            self._disconnect()

    def _disconnect(self) -> None:
        with self._lock:
            mine, self._sessions, self._local = list(self._sessions), weakref.WeakSet(), threading.local()
        for session in mine:
            session.close()

    @contextmanager
    def _connected(self, engines: tuple[Engine, Engine]) -> Iterator[_Session]:
        """The connections of this thread; no fork happens meanwhile."""
        with self._forks.using():
            yield self._session(*engines)

    def _session(self, reader: Engine, writer: Engine) -> _Session:
        session: _Session | None = getattr(self._local, "session", None)
        if session is not None and not self._is_usable(session):
            with self._lock:
                self._sessions.discard(session)
            session.close()
            session = None
        if session is None:
            session = _Session(reader.connect(), writer.connect())
            with self._lock:
                self._local.session = session
                self._sessions.add(session)
        return session

    def _is_usable(self, session: _Session) -> bool:
        """Whether neither an error nor the other side has ended the connections."""
        both = (session.reader, session.writer)
        return not any(one.invalidated or one.closed for one in both) and all(map(self.source.is_alive, both))

    def _open(self) -> tuple[Engine, Engine]:
        """The engines; they survive a fork, since they keep no connection."""
        if (known := self._engines) is not None:
            if self.source.is_current():
                return known
            self.close()
        self.source.prepare()
        with self.source.gate(), self._forks.using():
            opened = self._engines or self.source.open()  # another thread may have had the turn before
            self._engines = opened
        return opened
