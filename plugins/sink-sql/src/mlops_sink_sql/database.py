"""What differs between the databases."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from sqlalchemy import Connection, Table

__all__ = ["Database"]


class Database(Protocol):
    """Connections, opened at the first use, to a database that has the schema. What goes wrong is a ``MonitoringError`` of one line."""

    def reading(self) -> AbstractContextManager[Connection]:
        """A connection to read with."""

    def writing(self) -> AbstractContextManager[Connection]:
        """A transaction: kept whole, or not at all if the block raises."""

    def insert(self, table: Table) -> Any:
        """The dialect's INSERT, which knows ON CONFLICT."""

    def queue(self, connection: Connection, name: str) -> None:
        """Wait until no other transaction holds this name; it is held until the end of this one."""

    def settle(self) -> None:
        """Make sure, as far as the database can, that what was erased is gone."""

    def close(self) -> None:
        """Close the connections that are not in use. Idempotent."""
