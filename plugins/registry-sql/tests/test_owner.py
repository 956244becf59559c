"""A place of artifacts belongs to one registry: the sweep of another would take its blobs for leftovers."""

from __future__ import annotations

import shutil
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select

from mlops_core.exceptions import VersioningError
from mlops_core.testing.registry_samples import put
from mlops_registry_sql.blobs import BlobFolder
from mlops_registry_sql.choice import S3Options
from mlops_registry_sql.postgres import PostgresRegistry
from mlops_registry_sql.schema import info
from mlops_registry_sql.sqlite import SqliteRegistry

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mlops_core.testing.servers import PostgresServer, S3Server
    from mlops_registry_sql.registry import SqlRegistry

    Open = Callable[[str], SqlRegistry]


@pytest.fixture(params=["folder", "bucket", "postgres"])
def sharing(request: pytest.FixtureRequest, tmp_path: Path) -> Open:
    """Opens a registry by its name; all have one place for their artifacts."""
    if request.param == "postgres":
        server: PostgresServer = request.getfixturevalue("postgres")
        databases: dict[str, str] = {}
        return lambda name: PostgresRegistry(databases.setdefault(name, server.database()), tmp_path / "artifacts")
    if request.param == "folder":
        return lambda name: SqliteRegistry(tmp_path / f"{name}.db", tmp_path / "artifacts")
    s3: S3Server = request.getfixturevalue("bucket_server")
    options, place = S3Options(s3.url, s3.region, s3.access_key, s3.secret_key), f"s3://{s3.bucket()}/models"
    return lambda name: SqliteRegistry(tmp_path / f"{name}.db", place, s3=options)


def test_another_registry_is_kept_out(sharing: Open) -> None:
    with closing(sharing("one")) as one, closing(sharing("other")) as other:
        blob = put(one, b"weights")
        with pytest.raises(
            VersioningError, match=r"these artifacts are another registry's - give a folder or prefix of its own"
        ) as refused:
            put(other, b"weights")
        assert "\n" not in refused.value.message
        with pytest.raises(VersioningError, match="another registry's"):
            list(other.leftovers(timedelta(0)))
        with closing(one.open_artifact("acme", blob)) as stream:
            assert stream.read() == b"weights"


def test_the_same_registry_comes_back(sharing: Open) -> None:
    with closing(sharing("one")) as one:
        put(one, b"weights")
    with closing(sharing("one")) as again:
        put(again, b"other weights")
        assert isinstance(list(again.leftovers(timedelta(0))), list)


def test_looking_marks_nothing(sharing: Open) -> None:
    with closing(sharing("one")) as one, closing(sharing("other")) as other:
        assert list(one.leftovers(timedelta(0))) == []
        assert one.blobs.marker() is None
        assert one.database.read(select(info.c.value).where(info.c.name == "registry")) == []
        put(other, b"weights")


def test_a_mark_that_was_deleted_hands_the_place_on(tmp_path: Path) -> None:
    with closing(SqliteRegistry(tmp_path / "one.db", tmp_path / "artifacts")) as one:
        put(one, b"weights")
    (tmp_path / "artifacts" / ".registry").unlink()
    with closing(SqliteRegistry(tmp_path / "other.db", tmp_path / "artifacts")) as other:
        put(other, b"weights")
        assert other.blobs.marker() is not None


def test_the_folder_beside_the_file_needs_no_mark(tmp_path: Path) -> None:
    """A file that was deleted and made anew finds it again."""
    for _ in range(2):
        with closing(SqliteRegistry(tmp_path / "registry.db")) as store:
            put(store, b"weights")
            assert store.blobs.marker() is None
        (tmp_path / "registry.db").unlink()


def test_a_restored_database_is_the_same_registry(tmp_path: Path) -> None:
    with closing(SqliteRegistry(tmp_path / "one.db", tmp_path / "artifacts")) as one:
        put(one, b"weights")
    with closing(sqlite3.connect(tmp_path / "one.db")) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    shutil.copy(tmp_path / "one.db", tmp_path / "restored.db")
    with closing(SqliteRegistry(tmp_path / "restored.db", tmp_path / "artifacts")) as restored:
        put(restored, b"other weights")


def test_the_first_of_many_marks_it(tmp_path: Path) -> None:
    folder = BlobFolder(tmp_path / "artifacts")
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: folder.mark(f"registry {number}"), range(8)))
    first = folder.marker()
    folder.mark("late")
    assert folder.marker() == first
    assert list(folder.temporary.iterdir()) == []
