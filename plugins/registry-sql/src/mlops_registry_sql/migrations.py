"""How the schema of each release becomes that of the next: each step is one function of Alembic's operations. None is changed later."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Column, inspect

from mlops_core.exceptions import VersioningError
from mlops_registry_sql.schema import METADATA, NAME, VERSION, info

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy import Connection

    from mlops_registry_sql.statements import Statements

__all__ = ["STEPS", "create", "migrate", "pending", "stored_version"]


def _blobs_have_a_location(operations: Any) -> None:
    operations.add_column("blob", Column("location", NAME, nullable=False, server_default=""))


STEPS: Final[dict[int, tuple[str, Callable[[Any], None]]]] = {
    2: ("blobs have a location", _blobs_have_a_location),
}
"""By the schema version that each step leads to: what it does, in words and in fact."""


def create(connection: Connection, statements: Statements) -> None:
    """Make all tables of this release."""
    METADATA.create_all(connection)
    connection.execute(statements.set_schema_version, {"value": str(VERSION)})


def stored_version(connection: Connection, statements: Statements) -> int | None:
    """The schema version of the database; None where it has no registry yet.

    Raises:
        VersioningError: It is that of a later release; nothing was changed.
    """
    if not inspect(connection).has_table(info.name):
        return None
    stored = int(connection.execute(statements.schema_version).scalar() or 0)
    if stored > VERSION:
        raise VersioningError(
            f"registry: the database has schema {stored}, this release knows {VERSION} - upgrade motadata-mlops-registry-sql"
        )
    return stored


def pending(stored: int) -> Sequence[str]:
    """What has to be done to a database of this schema version, in order."""
    return [f"schema {version}: {words}" for version, (words, _) in sorted(STEPS.items()) if version > stored]


def migrate(connection: Connection, statements: Statements, stored: int) -> None:
    """Take every pending step, in the transaction of the connection: all of them or none."""
    from alembic.migration import MigrationContext
    from alembic.operations import Operations

    operations = Operations(MigrationContext.configure(connection))
    for version, (_, step) in sorted(STEPS.items()):
        if version > stored:
            step(operations)
            connection.execute(statements.set_schema_version, {"value": str(version)})
