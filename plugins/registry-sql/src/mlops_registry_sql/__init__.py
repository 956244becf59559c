"""Model registry in SQLite through SQLAlchemy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlops_core.hookspecs import hookimpl

if TYPE_CHECKING:
    from mlops_core.roles import RegistryStore

__all__ = ["mlops_registry_store"]


@hookimpl
def mlops_registry_store() -> type[RegistryStore]:
    """Hand over the store; SQLAlchemy is loaded with it."""
    from mlops_registry_sql.sqlite import SqliteRegistry

    return SqliteRegistry
