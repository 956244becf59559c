"""Connections, transactions and prebuilt statements over one database file or server.

Statements are SQLAlchemy's, compiled once; they go to the driver's own connection, since what SQLAlchemy does around each call costs more
than the call. A connection is in autocommit mode, and its thread's alone: it serves reads, and writes between BEGIN and COMMIT.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol

from attrs import define, field, frozen
from sqlalchemy import ClauseElement, Connection, Dialect, Engine, Select
from sqlalchemy.exc import SQLAlchemyError

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

    @property
    def begin(self) -> str:
        """The statement that begins a transaction that writes."""

    def prepare(self) -> None:
        """Make the place, before the first turn; raises ``VersioningError``."""

    def gate(self) -> AbstractContextManager[None]:
        """Wait for a writer's turn; it ends with the context."""

    def open(self) -> Engine:
        """With the turn: an engine whose connections are in autocommit mode, over a database that has the schema."""

    def is_current(self) -> bool:
        """Whether what was opened is still what is in its place."""

    def is_alive(self, raw: Any) -> bool:
        """Whether a connection that was opened before can be used, as far as can be told without asking the other side."""

    def batch(self, raw: Any) -> AbstractContextManager[Any]:
        """Where the driver can: what is sent inside, and whose answer nobody waits for, travels with the next statement."""


@frozen
class _Prebuilt:
    """A statement as its driver takes it, and the values that are written in it."""

    text: str
    constants: Mapping[str, Any]
    returns_rows: bool

    @classmethod
    def of(cls, statement: ClauseElement, dialect: Dialect) -> _Prebuilt:
        compiled = statement.compile(dialect=dialect)
        constants = {name: value for name, value in compiled.params.items() if value is not None}
        returns = isinstance(statement, Select) or bool(getattr(compiled, "effective_returning", ()))
        return cls(compiled.string, constants, returns)


@define(eq=False)
class _Session:
    """The connection of one thread, and the driver's below it."""

    connection: Connection
    raw: Any = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.raw = self.connection.connection.driver_connection

    def close(self) -> None:
        self.connection.close()


@define(eq=False)
class Transaction:
    """Statements of one transaction."""

    _database: Database
    _session: _Session
    is_open: bool = field(default=True, init=False)

    def run(self, statement: ClauseElement, parameters: Mapping[str, Any] | None = None) -> Sequence[Any]:
        """Rows of a prebuilt statement; none for one that returns none."""
        return self._database.run(self._session, statement, parameters)

    def undo(self) -> None:
        """Roll back; no statement may follow."""
        self._session.raw.execute("ROLLBACK")
        self.is_open = False

    def run_many(self, statement: ClauseElement, parameters: Sequence[Mapping[str, Any]]) -> None:
        """One statement for each mapping."""
        if parameters:
            known = self._database.prebuilt(statement, self._session)
            self._session.raw.cursor().executemany(known.text, [{**known.constants, **one} for one in parameters])


@define(eq=False)
class Database:
    """Opens nothing before the first use, disconnects before a fork and connects again after it: a connection is one thread's.

    What was put in the database's place meanwhile is opened too, since nobody else would ever see what is written to the one before.
    """

    source: Source
    _engine: Engine | None = field(default=None, init=False)
    _forks: ForkGuard = field(init=False)
    _lock: threading.Lock = field(factory=threading.Lock, init=False)  # held only where no fork happens
    _local: threading.local = field(factory=threading.local, init=False)
    _sessions: weakref.WeakSet[_Session] = field(factory=weakref.WeakSet, init=False)
    _prebuilt: dict[ClauseElement, _Prebuilt] = field(factory=dict, init=False)

    def __attrs_post_init__(self) -> None:
        self._forks = ForkGuard(self._disconnect)

    def read(self, statement: ClauseElement, parameters: Mapping[str, Any] | None = None) -> Sequence[Any]:
        """Rows as committed now."""
        with self.errors(), self._connected(self._open()) as session:
            return self.run(session, statement, parameters)

    def select(self, statement: Select[Any]) -> Sequence[Any]:
        """Rows of a statement that was built for this call."""
        with self.errors(), self._connected(self._open()) as session:
            return session.connection.execute(statement).fetchall()

    def write_one(self, statement: ClauseElement, parameters: Mapping[str, Any]) -> Sequence[Any]:
        """A transaction of one prebuilt statement."""
        with self.errors():
            engine = self._open()
            with self.source.gate(), self._connected(engine) as session:
                return self.run(session, statement, parameters)

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        """A transaction that commits when the block ends, and rolls back when it raises."""
        with self.errors():
            engine = self._open()
            # The turn first: a fork waits for all who are connected, and they must not wait for one that the fork keeps out.
            with self.source.gate(), self._connected(engine) as session:
                try:
                    with self.source.batch(session.raw):
                        self.begin(session.raw)
                        transaction = Transaction(self, session)
                        yield transaction
                        if transaction.is_open:
                            self.commit(session.raw)
                except BaseException:
                    self._roll_back(session)
                    raise

    def begin(self, raw: Any) -> None:
        """Begin a transaction."""
        raw.execute(self.source.begin)

    def commit(self, raw: Any) -> None:
        """Commit it."""
        raw.execute("COMMIT")

    def _roll_back(self, session: _Session) -> None:
        """A connection that cannot even do that is given up."""
        try:
            session.raw.rollback()
        except Exception:  # noqa: BLE001  whatever ails it, the error before it is the one to tell
            self._forget(session)

    def run(self, session: _Session, statement: ClauseElement, parameters: Mapping[str, Any] | None) -> Sequence[Any]:
        """Rows of a prebuilt statement on this connection; none for one that returns none."""
        known = self.prebuilt(statement, session)
        cursor = session.raw.execute(known.text, {**known.constants, **(parameters or {})})
        rows: Sequence[Any] = cursor.fetchall() if known.returns_rows else ()
        return rows

    def prebuilt(self, statement: ClauseElement, session: _Session) -> _Prebuilt:
        """The statement in the driver's own words."""
        known = self._prebuilt.get(statement)
        if known is None:
            known = self._prebuilt[statement] = _Prebuilt.of(statement, session.connection.dialect)
        return known

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Turn what the driver or the disk raises into a ``VersioningError`` of one line."""
        label, remedy = self.source.label, self.source.remedy
        try:
            yield
        except OSError as error:
            place = f" ({error.filename})" if error.filename else ""
            raise VersioningError(f"{label}: {error.strerror or error}{place} - {remedy}") from error
        except Exception as error:
            # A driver's errors have no common class: the standard of Python's database interfaces (PEP 249) names them only.
            names = {kind.__name__ for kind in type(error).__mro__}
            if isinstance(error, SQLAlchemyError):
                names |= {kind.__name__ for kind in type(getattr(error, "orig", None)).__mro__}
            elif "DatabaseError" not in names and "InterfaceError" not in names:
                raise
            cause = (str(getattr(error, "orig", None) or error).strip().splitlines() or [type(error).__name__])[0]
            kind = CollisionError if "IntegrityError" in names else VersioningError
            raise kind(f"{label}: {cause} - {remedy}") from error

    def open(self) -> None:
        """Connect this thread; raises ``VersioningError``."""
        with self.errors(), self._connected(self._open()):
            pass

    def close(self) -> None:
        """Close every connection, once no other thread uses one: that ends a process, not a call. A later use opens again."""
        with self._forks.alone():
            self._engine = None
            self._disconnect()

    def _disconnect(self) -> None:
        with self._lock:
            mine, self._sessions, self._local = list(self._sessions), weakref.WeakSet(), threading.local()
        for session in mine:
            session.close()

    @contextmanager
    def _connected(self, engine: Engine) -> Iterator[_Session]:
        """The connection of this thread; no fork happens meanwhile.

        One that is interrupted, as by Ctrl-C, may be amid anything, and is given up.
        """
        with self._forks.using():
            session = self._session(engine)
            try:
                yield session
            except BaseException as error:
                if not isinstance(error, Exception):
                    self._forget(session)
                raise

    def _session(self, engine: Engine) -> _Session:
        session: _Session | None = getattr(self._local, "session", None)
        if session is not None and not self.source.is_alive(session.raw):
            self._forget(session)
            session = None
        if session is None:
            session = _Session(engine.connect())
            with self._lock:
                self._local.session = session
                self._sessions.add(session)
        return session

    def _forget(self, session: _Session) -> None:
        with self._lock:
            known = session in self._sessions
            self._sessions.discard(session)
            self._local.session = None
        if known:
            session.connection.invalidate()
            session.close()

    def _open(self) -> Engine:
        """The engine; it survives a fork, since it keeps no connection."""
        if (known := self._engine) is not None:
            if self.source.is_current():
                return known
            self.close()
        self.source.prepare()
        with self.source.gate(), self._forks.using():
            opened = self._engine or self.source.open()  # another thread may have had the turn before
            self._engine = opened
        return opened
