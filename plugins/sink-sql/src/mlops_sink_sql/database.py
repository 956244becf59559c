"""Connections and transactions of one database, whichever it is, across threads and forks."""

from __future__ import annotations

import os
import threading
import weakref
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, Protocol

from attrs import define, field, frozen
from sqlalchemy import Engine
from sqlalchemy.exc import DataError, SQLAlchemyError

from mlops_core.exceptions import MonitoringError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from sqlalchemy import Connection, Table

__all__ = ["WRITES", "Database", "Source"]

WRITES: Final = "mlops_writes"
"""The execution option of a transaction that writes."""


class Source(Protocol):
    """What is one database's own."""

    @property
    def label(self) -> str:
        """The plugin and the place, for messages."""

    @property
    def remedy(self) -> str:
        """What to check when the driver raises."""

    @property
    def snapshot(self) -> Mapping[str, Any]:
        """Execution options of a transaction whose statements all see one moment."""

    def open(self) -> Engine:
        """An engine over a database that has the schema."""

    def insert(self, table: Table) -> Any:
        """The dialect's INSERT, which knows ON CONFLICT."""

    def queue(self, connection: Connection, name: str) -> None:
        """Wait until no other transaction holds this name; it is held until the end of this one."""

    def settle(self, engine: Engine) -> None:
        """Make sure, as far as the database can, that what was erased is gone."""


@frozen
class _Engines:
    """Two views of one pool."""

    reading: Engine
    writing: Engine


@define(eq=False)
class Database:
    """Connections, opened at the first use. An outage is a ``MonitoringError`` of one line; data that cannot be kept a ``ValueError``.

    SQLite keeps what it knows of its locks per process, and a fork copies that but not the locks: a child that opens a file which its
    parent had open at that moment loses writes, even on a connection of its own; a server's connection would be two processes'. So a fork
    waits for running transactions and closes the connections; parent and child open new ones when they next need them.
    """

    source: Source
    _engines: _Engines | None = field(default=None, init=False, repr=False)
    _active: int = field(default=0, init=False)
    _forking: int = field(default=0, init=False)
    _guarded: bool = field(default=False, init=False)
    _changed: threading.Condition = field(factory=threading.Condition, init=False, repr=False)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction to read in, which sees one moment."""
        with self._used() as engines, engines.reading.begin() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction: kept whole, or not at all if the block raises."""
        with self._used() as engines, engines.writing.begin() as connection:
            yield connection

    def settle(self) -> None:
        """Make sure, as far as the database can, that what was erased is gone."""
        with self._used() as engines:
            self.source.settle(engines.writing)

    def close(self) -> None:
        """Close the connections that are not in use. Idempotent."""
        with self._changed:
            engines, self._engines = self._engines, None
        if engines is not None:
            engines.writing.dispose()

    @contextmanager
    def _used(self) -> Iterator[_Engines]:
        """The engines, kept from being forked away while it is used."""
        with self._changed:
            self._changed.wait_for(lambda: not self._forking)
            self._active += 1
        try:
            yield self._opened()
        except DataError as error:
            raise ValueError(f"{self.source.label}: {_cause(error)}") from error
        except SQLAlchemyError as error:
            raise MonitoringError(f"{self.source.label}: {_cause(error)} - {self.source.remedy}") from error
        finally:
            with self._changed:
                self._active -= 1
                self._changed.notify_all()

    def _opened(self) -> _Engines:
        with self._changed:
            if not self._guarded and hasattr(os, "register_at_fork"):
                self._guarded = True
                hooks = (_weakly(self._before_fork), _weakly(self._after_fork), _weakly(self._in_child))
                os.register_at_fork(before=hooks[0], after_in_parent=hooks[1], after_in_child=hooks[2])
            if self._engines is None:
                engine = self.source.open()
                options = (self.source.snapshot, {WRITES: True})
                self._engines = _Engines(*(engine.execution_options(**one) for one in options))
            return self._engines

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


def _cause(error: SQLAlchemyError) -> str:
    """The driver's first line."""
    raised = getattr(error, "orig", None) or error
    return (str(raised).strip().splitlines() or [type(raised).__name__])[0]


def _weakly(method: Callable[[], None]) -> Callable[[], None]:
    """Hooks of a fork cannot be removed, so they must keep nothing alive."""
    held = weakref.WeakMethod(method)

    def call() -> None:
        if (living := held()) is not None:
            living()

    return call
