"""The server of a registry is lost, hangs, is full, or its answer is lost: one line within the timeout, and nothing half."""

from __future__ import annotations

import io
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import psycopg
import pytest
from botocore.retries.standard import ExponentialBackoff

from mlops_core.exceptions import MLOpsError
from mlops_core.journal import Journal
from mlops_core.records import File, ModelVersion, NewEntry, Query
from mlops_core.testing.registry_samples import sample_entry, sample_version
from mlops_registry_s3.registry import S3Registry
from mlops_registry_sql.postgres import PostgresRegistry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from mlops_core.roles import RegistryStore
    from mlops_core.testing.servers import PostgresServer, S3Server

    from .conftest import Proxy

PATIENCE = 2.0  # seconds; a busy machine answers within them
CALLS = 2  # of boto3, for each request that it cannot get through
FULL = """
CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = 'disk_full'; END $$;
CREATE CONSTRAINT TRIGGER full_disk AFTER INSERT ON mlops.model_version {when} FOR EACH ROW EXECUTE FUNCTION full_disk();
"""


def register(store: RegistryStore, key: str, data: bytes = b"weights") -> ModelVersion:
    """A version with a file, numbered."""
    blob = store.put_artifact("acme", io.BytesIO(data), size=len(data))

    def make(number: int) -> ModelVersion:
        return sample_version(str(number), key=key, number=number, files=(File("a", blob),))

    return store.add_next_version("acme", "m", make, key=key)


def check_whole(store: RegistryStore, keys: list[str]) -> None:
    """These versions are there, gapless, with every byte; a sweep leaves nothing else."""
    found = store.find_versions("acme", Query()).items
    assert [(one.number, one.key) for one in found] == list(enumerate(keys, 1))
    for leftover in list(store.leftovers(timedelta(0))):
        store.discard(leftover)
    for one in found:
        with closing(store.open_artifact("acme", one.files[0].blob)) as stream:
            assert len(stream.read()) == one.files[0].blob.size


def refused(act: Callable[[], object], *said: str) -> float:
    """It raises one line of ours that says so; the seconds that it took."""
    began = time.monotonic()
    with pytest.raises(MLOpsError) as error:
        act()
    assert "\n" not in error.value.message
    assert any(one in error.value.message for one in said), error.value.message
    return time.monotonic() - began


class TestPostgres:
    @pytest.fixture
    def url(self, postgres: PostgresServer) -> str:
        return postgres.database()

    @pytest.fixture
    def between(self, url: str, proxy: Callable[[int], Proxy]) -> Proxy:
        return proxy(urlsplit(url).port or 0)

    @pytest.fixture
    def store(self, url: str, between: Proxy, tmp_path: Path) -> Iterator[PostgresRegistry]:
        through = url.replace(f":{urlsplit(url).port}", f":{between.port}")
        store = PostgresRegistry(through, tmp_path / "artifacts", busy_timeout=PATIENCE)
        store.check()
        yield store
        store.close()

    @pytest.mark.parametrize("act", ["write", "statement", "search", "connect"])
    def test_a_server_that_hangs_is_given_up(self, store: PostgresRegistry, between: Proxy, act: str) -> None:
        register(store, "first")
        acts: dict[str, Callable[[], object]] = {
            "write": lambda: register(store, "second"),
            "statement": lambda: store.append("acme", "j", 0, sample_entry()),
            "read": lambda: store.read("acme", "j"),
            "search": lambda: store.find_versions("acme", Query()),
            "put": lambda: store.put_artifact("acme", io.BytesIO(b"other"), size=5),
            "connect": store.check,
        }
        if act == "connect":
            store.close()
        between.hang()
        taken = refused(acts[act], "the server was silent for 3 s", "timeout expired")
        assert taken < 30  # not the minutes that it would wait otherwise
        between.recover()
        register(store, "second")
        check_whole(store, ["first", "second"])

    def test_one_that_is_lost_is_one_line_and_used_again(self, store: PostgresRegistry, between: Proxy) -> None:
        register(store, "first")
        between.cut()
        for act in (lambda: register(store, "second"), lambda: store.read("acme", "j"), lambda: store.find_versions("acme", Query())):
            refused(act, "registry.postgres: postgresql://127.0.0.1")
        between.recover()
        register(store, "second")
        check_whole(store, ["first", "second"])

    def test_a_commit_whose_answer_was_lost_is_found_by_its_key(self, store: PostgresRegistry, between: Proxy) -> None:
        register(store, "first")
        between.lose_answer(b"COMMIT")
        refused(lambda: store.put_artifact("acme", io.BytesIO(b"other"), size=5), "check the server")
        blob = store.put_artifact("acme", io.BytesIO(b"other"), size=5)

        def make(number: int) -> ModelVersion:
            return sample_version(str(number), key="second", number=number, files=(File("a", blob),))

        between.lose_answer(b"COMMIT")
        refused(lambda: store.add_next_version("acme", "m", make, key="second"), "check the server")
        assert store.get_version("acme", "m", "2") == store.add_next_version("acme", "m", make, key="second")
        check_whole(store, ["first", "second"])

    def test_an_entry_whose_answer_was_lost_is_found_by_its_key(self, store: PostgresRegistry, between: Proxy) -> None:
        journal = Journal(store, "acme", "aliases/m/champion")

        def point(_: Any) -> NewEntry:
            return NewEntry(datetime.now(UTC), "set", state={"version": "1"})

        journal.update(point, key="before")
        between.lose_answer(b"INSERT INTO journal_entry")
        refused(lambda: journal.update(point, key="mine"), "check the server")
        again = journal.update(point, key="mine")
        assert again is not None
        assert (again.position, again.key) == (2, "mine")
        assert len(store.read("acme", "aliases/m/champion")) == 2

    @pytest.mark.parametrize("when", ["", "DEFERRABLE INITIALLY DEFERRED"])
    def test_a_full_disk_of_the_server_is_one_line_and_half_of_nothing(self, store: PostgresRegistry, url: str, when: str) -> None:
        """While the statement runs, or at its commit."""
        register(store, "first")
        with psycopg.connect(url) as connection:
            connection.execute(FULL.format(when=when))
        refused(lambda: register(store, "second"), "could not extend file: No space left on device")
        assert store.get_version("acme", "m", "2") is None
        with psycopg.connect(url) as connection:
            connection.execute("DROP TRIGGER full_disk ON mlops.model_version")
        register(store, "second")
        check_whole(store, ["first", "second"])


class TestS3:
    @pytest.fixture
    def between(self, bucket_server: S3Server, proxy: Callable[[int], Proxy]) -> Proxy:
        return proxy(urlsplit(bucket_server.url).port or 0)

    @pytest.fixture
    def store(self, bucket_server: S3Server, between: Proxy, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Registry]:
        monkeypatch.setattr("mlops_registry_s3.client._READ", 1.5 * PATIENCE)
        monkeypatch.setattr("mlops_registry_s3.client._ATTEMPTS", CALLS)
        monkeypatch.setattr(ExponentialBackoff, "delay_amount", lambda *_: 0)
        keys: dict[str, Any] = {
            "region": bucket_server.region,
            "access_key": bucket_server.access_key,
            "secret_key": bucket_server.secret_key,
        }
        bucket = bucket_server.bucket()
        with closing(bucket_server.client()) as client:
            client.put_object(Bucket=bucket, Key="other", Body=b"")  # the first object takes the server longest
        store = S3Registry(bucket, endpoint_url=f"http://127.0.0.1:{between.port}", settle=-1e9, **keys)
        store.check()
        yield store
        store.close()

    @pytest.mark.parametrize("act", ["write", "lease", "read"])
    def test_a_server_that_hangs_is_given_up(self, store: S3Registry, between: Proxy, act: str) -> None:
        blob = register(store, "first").files[0].blob
        acts: dict[str, Callable[[], object]] = {
            "write": lambda: register(store, "second"),
            "append": lambda: store.append("acme", "j", 0, sample_entry()),
            "read": lambda: store.open_artifact("acme", blob).read(),
            "lease": lambda: store.lease("acme", "watch", "a", timedelta(hours=1)),
            "search": lambda: store.find_versions("acme", Query()),
        }
        between.hang()
        assert refused(acts[act], "cannot be reached (ReadTimeoutError)") < 30  # not the minutes that it would wait otherwise
        between.recover()
        register(store, "second")
        check_whole(store, ["first", "second"])

    def test_one_that_is_lost_is_one_line_and_used_again(self, store: S3Registry, between: Proxy) -> None:
        register(store, "first")
        between.cut()
        for act in (lambda: register(store, "second"), lambda: store.read("acme", "j"), lambda: store.find_versions("acme", Query())):
            refused(act, "cannot be reached")
        between.recover()
        register(store, "second")
        check_whole(store, ["first", "second"])

    @pytest.mark.parametrize("status", [500, 503, 507])
    def test_one_that_is_full_or_fails_half_way_leaves_no_half(self, store: S3Registry, between: Proxy, status: int) -> None:
        """At each of the requests that a registration makes."""
        keys: list[str] = []
        for after in range(100):
            key = f"{status} after {after}"
            between.answer(status, after=after)
            keys.append(key)
            try:
                register(store, key, key.encode())
            except MLOpsError as error:
                assert str(status) in error.message or "Refused" in error.message, error.message  # noqa: PT017  until one gets through
                assert "\n" not in error.message  # noqa: PT017  the same
                between.recover()
                register(store, key, key.encode())
            else:
                break
        assert 4 < len(keys) < 40
        between.recover()
        check_whole(store, keys)

    def test_a_write_whose_answer_was_lost_is_found_by_its_key(self, store: S3Registry, between: Proxy) -> None:
        keys = ["first"]
        register(store, "first")
        for turn, method in enumerate((b"PUT /", b"POST /")):
            between.lose_answer(method)
            keys.append(f"lost {turn}")
            register(store, keys[-1])
        check_whole(store, keys)
