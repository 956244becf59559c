"""A database of an earlier release becomes one of this release, and nothing in it changes."""

from __future__ import annotations

import sqlite3
import warnings
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, inspect, text
from sqlalchemy.exc import SAWarning

from mlops_core.exceptions import VersioningError
from mlops_core.records import Query
from mlops_core.testing.registry_samples import put, sample_entry, sample_version
from mlops_registry_sql.migrations import STEPS
from mlops_registry_sql.postgres import PostgresRegistry
from mlops_registry_sql.schema import METADATA, VERSION
from mlops_registry_sql.sqlite import SqliteRegistry

if TYPE_CHECKING:
    from mlops_core.testing.servers import PostgresServer

FIRST = Path(__file__).with_name("data") / "schema_1.sql"  # as the first release wrote it: two versions, two blobs, one journal


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "registry.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(FIRST.read_text(encoding="utf-8"))
    return path


def schema_of(path: Path) -> str | None:
    with closing(sqlite3.connect(path)) as connection:
        found: tuple[str] | None = connection.execute("SELECT value FROM registry_info WHERE name = 'schema'").fetchone()
    return None if found is None else found[0]


def tables(path: Path) -> dict[str, object]:
    """Columns, keys and indexes."""
    engine = create_engine(f"sqlite:///{path}")
    with engine.connect() as connection, warnings.catch_warnings():
        warnings.simplefilter("ignore", SAWarning)  # an index by an expression is not told
        found = inspect(connection)
        return {
            name: [
                [(one["name"], str(one["type"]), one["nullable"], one["default"]) for one in found.get_columns(name)],
                found.get_pk_constraint(name),
                found.get_foreign_keys(name),
                sorted(found.get_unique_constraints(name), key=str),
                sorted(str(one["name"]) for one in found.get_indexes(name)),
            ]
            for name in sorted(found.get_table_names())
        }


def test_there_is_a_step_to_every_schema() -> None:
    assert sorted(STEPS) == list(range(2, VERSION + 1))


def test_a_file_of_the_first_release_is_brought_up_to_date(path: Path) -> None:
    store = SqliteRegistry(path)
    steps = list(store.migrate(dry_run=True))
    assert [step.partition(":")[0] for step in steps] == [f"schema {version}" for version in range(2, VERSION + 1)]
    assert schema_of(path) == "1"
    assert list(store.migrate(dry_run=False)) == steps
    assert schema_of(path) == str(VERSION)
    assert list(store.migrate(dry_run=True)) == []
    store.close()


def test_its_first_use_does_the_same_and_loses_nothing(path: Path) -> None:
    store = SqliteRegistry(path)
    assert [one.version for one in store.find_versions("acme", Query()).items] == ["2.0.0-rc.1", "1"]
    assert [(entry.position, entry.state) for entry in store.read("acme", "aliases/m/champion")] == [(1, {"version": "1"})]
    assert store.add_next_version("acme", "m", lambda number: sample_version(str(number), number=number)).number == 2
    put(store, b"weights")
    store.close()
    fresh = SqliteRegistry(path.with_name("fresh.db"))
    fresh.check()
    fresh.close()
    assert tables(path) == tables(fresh.path)


def test_a_new_database_has_the_tables_of_this_release(postgres: PostgresServer, tmp_path: Path) -> None:
    url = postgres.database()
    store = PostgresRegistry(url, tmp_path)
    store.check()
    store.close()
    engine = create_engine(url.replace("postgresql", "postgresql+psycopg"), connect_args={"options": "-c search_path=mlops"})
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), METADATA) == []
    engine.dispose()


def test_a_server_of_an_earlier_release_is_changed_when_told(postgres: PostgresServer, tmp_path: Path) -> None:
    url = postgres.database()
    store = PostgresRegistry(url, tmp_path)
    assert list(store.migrate(dry_run=False)) == []  # there is nothing yet
    store.append("acme", "j", 0, sample_entry())
    store.close()
    engine = create_engine(url.replace("postgresql", "postgresql+psycopg"))
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE mlops.blob DROP COLUMN location"))
        connection.execute(text("UPDATE mlops.registry_info SET value = '1' WHERE name = 'schema'"))
    with pytest.raises(
        VersioningError, match=r"registry\.postgres: postgresql://.* earlier release .* - run `mlops registry migrate` once"
    ):
        store.read("acme", "j")
    steps = list(store.migrate(dry_run=True))
    assert len(steps) == VERSION - 1
    with pytest.raises(VersioningError, match="earlier release"):
        store.check()
    assert list(store.migrate(dry_run=False)) == steps
    assert list(store.migrate(dry_run=False)) == []
    assert len(store.read("acme", "j")) == 1
    put(store, b"weights")
    store.close()
    with engine.begin() as connection:
        connection.execute(text("UPDATE mlops.registry_info SET value = :later WHERE name = 'schema'"), {"later": str(VERSION + 1)})
    engine.dispose()
    with pytest.raises(VersioningError, match=f"has schema {VERSION + 1}, this release knows {VERSION} - upgrade"):
        store.append("acme", "j", 1, sample_entry())
    with pytest.raises(VersioningError, match="upgrade"):
        store.migrate(dry_run=False)
