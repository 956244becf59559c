"""Model registry in SQLite or PostgreSQL through SQLAlchemy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlops_core.hookspecs import hookimpl

if TYPE_CHECKING:
    from mlops_core.roles import RegistryStore

__all__ = ["mlops_registry_store"]


@hookimpl
def mlops_registry_store(name: str) -> type[RegistryStore]:
    """Hand over the store of this name; SQLAlchemy is loaded with it."""
    if name == "postgres":
        from mlops_registry_sql.postgres import PostgresRegistry

        return PostgresRegistry
    from mlops_registry_sql.sqlite import SqliteRegistry

    return SqliteRegistry
