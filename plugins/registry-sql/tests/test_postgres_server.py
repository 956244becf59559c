"""What is PostgreSQL's own: its address, its connections, its crashes."""

from __future__ import annotations

import socket
import sys
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from importlib.metadata import entry_points
from typing import TYPE_CHECKING

import psycopg
import pytest

from mlops_core.exceptions import VersioningError
from mlops_core.records import File, Query
from mlops_core.testing.registry_samples import put, sample_entry, sample_version
from mlops_core.testing.servers import PostgresServer, free_ports
from mlops_registry_sql.postgres import PostgresRegistry

from .conftest import interrupted, many_files

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mlops_core.records import ModelVersion


@pytest.fixture
def url(postgres: PostgresServer) -> str:
    return postgres.database()


@pytest.fixture
def store(url: str, tmp_path: Path) -> Iterator[PostgresRegistry]:
    store = PostgresRegistry(url, tmp_path / "artifacts")
    yield store
    store.close()


def connections(url: str) -> int:
    with psycopg.connect(url) as connection:
        counted = connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'mlops'"
        ).fetchone()
    assert counted is not None
    return int(counted[0])


def fallen(url: str, most: int) -> bool:
    """Whether there are no more connections than that, soon: the server's side of one ends a moment after the client's."""
    deadline = time.monotonic() + 30
    while (found := connections(url)) > most and time.monotonic() < deadline:
        time.sleep(0.01)
    return found <= most


class TestAddress:
    def test_the_entry_point_hands_over_the_class(self) -> None:
        (point,) = entry_points(group="mlops_core.registry", name="postgres")
        assert point.load().mlops_registry_store(name="postgres") is PostgresRegistry

    def test_the_password_is_in_no_repr_and_no_error(self, tmp_path: Path) -> None:
        (port,) = free_ports(1)
        store = PostgresRegistry(f"postgresql://me:hunter2@127.0.0.1:{port}/models", tmp_path)
        with pytest.raises(VersioningError) as refused:
            store.check()
        assert "hunter2" not in repr(store) + repr(store.database) + refused.value.message
        assert refused.value.message.startswith(f"registry.postgres: postgresql://127.0.0.1:{port}/models: connection failed")
        assert "\n" not in refused.value.message

    @pytest.mark.parametrize("address", ["me:hun@ter2@host/models", "me:hunter2@host:ter2/models", "me@host:hunter2"])
    def test_a_password_that_is_not_escaped_is_not_told(self, tmp_path: Path, address: str) -> None:
        with pytest.raises(VersioningError, match="of the password written as %40 %3A %2F") as refused:
            PostgresRegistry(f"postgresql://{address}", tmp_path)
        assert "ter2" not in refused.value.message
        assert refused.value.__context__ is None  # a traceback would tell what is in that

    @pytest.mark.parametrize(
        ("url", "said"),
        [("models", "not a database URL"), ("mysql://host/models", "'mysql' is another kind of database"), ("", "not a database URL")],
    )
    def test_what_is_no_postgres_url_is_refused(self, tmp_path: Path, url: str, said: str) -> None:
        with pytest.raises(VersioningError, match=rf"registry\.postgres: url: {said}.* - give postgresql://"):
            PostgresRegistry(url, tmp_path)

    @pytest.mark.parametrize("schema", ["Mine", "a b", "a;drop", "", "a" * 64])
    def test_a_schema_is_a_plain_name(self, tmp_path: Path, schema: str) -> None:
        with pytest.raises(VersioningError, match=r"registry\.postgres: schema: .* is no plain name"):
            PostgresRegistry("postgresql://host/models", tmp_path, schema=schema)

    def test_two_schemas_are_two_registries(self, url: str, store: PostgresRegistry, tmp_path: Path) -> None:
        store.append("acme", "j", 0, sample_entry())
        other = PostgresRegistry(url, tmp_path / "other", schema="other")
        assert other.read("acme", "j") == ()
        other.close()

    def test_a_database_that_is_not_there_is_one_line(self, url: str, tmp_path: Path) -> None:
        store = PostgresRegistry(f"{url}_not", tmp_path)
        with pytest.raises(VersioningError, match=r'database ".*_not" does not exist') as refused:
            store.check()
        assert "\n" not in refused.value.message

    def test_without_the_driver_the_remedy_is_named(self, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "psycopg", None)
        store = PostgresRegistry(url, tmp_path)
        with pytest.raises(VersioningError, match=r"needs psycopg - run `pip install 'motadata-mlops-registry-sql\[postgres\]'`"):
            store.check()

    @pytest.mark.parametrize("driver", ["postgres", "postgresql+psycopg", "postgresql+asyncpg"])
    def test_psycopg_is_the_driver_whatever_the_url_names(self, url: str, tmp_path: Path, driver: str) -> None:
        store = PostgresRegistry(url.replace("postgresql", driver), tmp_path)
        assert store.append("acme", "j", 0, sample_entry()).position == 1
        store.close()

    def test_building_connects_to_nothing(self, tmp_path: Path) -> None:
        PostgresRegistry("postgresql://127.0.0.1:1/nowhere", tmp_path / "artifacts").close()
        assert not (tmp_path / "artifacts").exists()


class TestConnections:
    def test_each_write_is_on_the_disk(self, tmp_path: Path) -> None:
        """By a server as it is installed: that of the other tests syncs nothing."""
        with PostgresServer() as server, closing(PostgresRegistry(server.database(), tmp_path / "artifacts")) as store:
            store.check()
            self._is_synced(store)

    def _is_synced(self, store: PostgresRegistry) -> None:
        with store.database.write() as transaction:
            raw = transaction._session.raw  # noqa: SLF001  only the writer's connection knows its settings
            names = ("synchronous_commit", "transaction_isolation", "fsync", "lock_timeout")
            settings = {name: raw.execute(f"SHOW {name}").fetchone()[0] for name in names}
        assert settings == {"synchronous_commit": "on", "transaction_isolation": "read committed", "fsync": "on", "lock_timeout": "1min"}

    def test_connections_end_with_their_threads_and_with_the_store(self, store: PostgresRegistry, url: str) -> None:
        for i in range(5):
            thread = threading.Thread(target=store.append, args=("acme", f"j/{i}", 0, sample_entry()))
            thread.start()
            thread.join()
        store.check()
        assert fallen(url, 4)
        store.close()
        assert fallen(url, 0)

    def test_a_fresh_database_is_opened_by_many_at_once(self, url: str, tmp_path: Path) -> None:
        stores = [PostgresRegistry(url, tmp_path / "artifacts") for _ in range(6)]
        with ThreadPoolExecutor(6) as pool:
            list(pool.map(PostgresRegistry.check, stores))
        for one in stores:
            one.close()

    def test_a_connection_that_the_server_closed_is_replaced_unseen(self, store: PostgresRegistry, url: str) -> None:
        store.append("acme", "j", 0, sample_entry())
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE application_name = 'mlops'")
        assert store.append("acme", "j", 1, sample_entry()).position == 2
        assert len(store.read("acme", "j")) == 2

    def test_a_writer_waits_no_longer_than_its_patience(self, store: PostgresRegistry, url: str, tmp_path: Path) -> None:
        store.add_next_version("acme", "m", lambda number: sample_version(str(number), number=number))
        other = PostgresRegistry(url, tmp_path / "artifacts", busy_timeout=0.2)
        with psycopg.connect(url) as connection:
            connection.execute("LOCK TABLE mlops.model IN ACCESS EXCLUSIVE MODE")
            with pytest.raises(VersioningError, match="canceling statement due to lock timeout"):
                other.add_next_version("acme", "m", lambda number: sample_version(str(number), number=number))
            connection.rollback()
        assert other.add_next_version("acme", "m", lambda number: sample_version(str(number), number=number)).number == 2
        other.close()

    def test_descriptors_may_have_long_numbers(self, store: PostgresRegistry) -> None:
        """``select`` takes those below 1024 only."""
        with many_files():
            for position in range(2):
                store.append("acme", "j", position, sample_entry())

    def test_an_interrupted_write_leaves_a_store_that_can_be_used(self, store: PostgresRegistry, url: str) -> None:
        store.add_next_version("acme", "m", lambda number: sample_version(str(number), number=number))
        with psycopg.connect(url) as connection:
            connection.execute("LOCK TABLE mlops.model IN ACCESS EXCLUSIVE MODE")
            with interrupted(), pytest.raises(KeyboardInterrupt):
                store.add_next_version("acme", "m", lambda number: sample_version(str(number), number=number))
            connection.rollback()
        assert store.add_next_version("acme", "m", lambda number: sample_version(str(number), number=number)).number == 2
        assert fallen(url, 1)

    def test_texts_are_unicode_whatever_the_environment_says(self, store: PostgresRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PGCLIENTENCODING", "LATIN1")
        store.append("acme", "j", 0, sample_entry(change={"city": "Łódź"}))
        assert store.read("acme", "j")[0].change == {"city": "Łódź"}

    def test_a_server_that_does_not_answer_is_given_up_within_the_patience(self, tmp_path: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            store = PostgresRegistry(f"postgresql://127.0.0.1:{silent.getsockname()[1]}/models", tmp_path, busy_timeout=2)
            began = time.monotonic()
            with pytest.raises(VersioningError, match="timeout"):
                store.check()
            assert time.monotonic() - began < 9  # libpq's own would be longer, and without end by default

    def test_a_schema_that_another_made_is_enough(self, url: str, tmp_path: Path) -> None:
        """Whoever administers the database may give a registry one schema, and no right to make others."""
        role = f"r{uuid.uuid4().hex}"
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(f"CREATE ROLE {role} LOGIN")
            connection.execute(f"CREATE SCHEMA given AUTHORIZATION {role}")
        limited = url.replace("postgres@", f"{role}@")
        with closing(PostgresRegistry(limited, tmp_path, schema="given")) as store:
            assert store.append("acme", "j", 0, sample_entry()).position == 1
        with (
            closing(PostgresRegistry(limited, tmp_path, schema="other")) as store,
            pytest.raises(VersioningError, match="permission denied"),
        ):
            store.check()


class TestCollisions:
    def test_one_key_makes_one_version_however_many_register_at_once(self, store: PostgresRegistry) -> None:
        """Explicit names and automatic numbers, which do not queue at the same row."""

        def register(i: int) -> ModelVersion:
            if i % 2:
                return store.add_version(sample_version(f"v{i}", key="run/stage"))
            return store.add_next_version("acme", "m", lambda n: sample_version(str(n), key="run/stage", number=n), key="run/stage")

        for turn in range(10):
            with ThreadPoolExecutor(8) as pool:
                versions = {one.version for one in pool.map(register, range(8))}
            assert len(versions) == 1, turn
        assert len(store.find_versions("acme", Query()).items) == 1

    def test_versions_of_one_model_are_retired_at_once(self, store: PostgresRegistry) -> None:
        for number in range(12):
            store.add_version(sample_version(f"v{number}"))
        with ThreadPoolExecutor(6) as pool:
            list(pool.map(lambda number: store.retire_version("acme", "m", f"v{number}", sample_entry("retired")), range(12)))
        assert store.find_versions("acme", Query()).items == ()
        assert [entry.position for entry in store.read("acme", "versions/m")] == list(range(1, 13))

    def test_a_sweep_waits_for_a_version_that_claims_the_blob(self, store: PostgresRegistry) -> None:
        """And leaves the blob to it, though nothing named it when the sweep looked."""
        blob = put(store, b"weights")
        (found,) = store.leftovers(timedelta(0))
        entered, answers = threading.Event(), []

        def slow(number: int) -> ModelVersion:
            entered.set()
            return sample_version(str(number), number=number, files=(File("a", blob),))

        with store.database.write() as transaction:
            use = {"tenant": "acme", "sha256": blob.sha256, "holder": "versions/m/1"}
            transaction.run(store.statements.use_blob, use)
            sweeping = threading.Thread(target=lambda: answers.append(store.discard(found)))
            sweeping.start()
            sweeping.join(0.3)
            assert sweeping.is_alive()
        sweeping.join(30)
        assert answers == [False]
        assert store.add_next_version("acme", "m", slow).files[0].blob == blob
        assert entered.is_set()


def test_a_server_that_dies_is_one_line_and_loses_nothing(tmp_path: Path) -> None:
    with PostgresServer() as server:
        store = PostgresRegistry(server.database(), tmp_path / "artifacts")
        blob = put(store, b"weights")
        for position in range(5):
            store.append("acme", "j", position, sample_entry())
        server.kill()
        for act in (
            lambda: store.append("acme", "j", 5, sample_entry()),
            lambda: store.read("acme", "j"),
            lambda: store.add_version(sample_version(files=(File("a", blob),))),
        ):
            with pytest.raises(VersioningError, match=r"^registry\.postgres: postgresql://127.*: .* - check the server") as refused:
                act()
            assert "\n" not in refused.value.message
        server.start()
        assert [entry.position for entry in store.read("acme", "j")] == [1, 2, 3, 4, 5]
        assert store.get_version("acme", "m", "1.0.0") is None
        store.add_version(sample_version(files=(File("a", blob),)))
        assert store.append("acme", "j", 5, sample_entry()).position == 6
        store.close()
