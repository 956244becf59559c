"""Both databases with their artifacts in a bucket: the same suite, and what only a bucket can do wrong."""

from __future__ import annotations

import sys
import time
from contextlib import closing
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from mlops_core.exceptions import ArtifactError, MLOpsError, VersioningError
from mlops_core.records import Blob, File
from mlops_core.testing.registry_artifact_suite import ArtifactSuite
from mlops_core.testing.registry_samples import put, sample_version
from mlops_core.testing.registry_suite import Opener, SharedRegistryStoreSuite
from mlops_registry_sql.choice import S3Options
from mlops_registry_sql.postgres import PostgresRegistry
from mlops_registry_sql.sqlite import SqliteRegistry

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mlops_core.roles import RegistryStore
    from mlops_core.testing.servers import PostgresServer, S3Server


@pytest.fixture
def s3(bucket_server: S3Server) -> S3Options:
    return S3Options(bucket_server.url, bucket_server.region, bucket_server.access_key, bucket_server.secret_key)


@pytest.fixture
def bucket(bucket_server: S3Server) -> str:
    return bucket_server.bucket()


class TestSqlite(ArtifactSuite):
    """The rest of the suite touches no artifact."""

    shortest_grace = timedelta(seconds=1)

    @pytest.fixture
    def store(self, tmp_path: Path, bucket: str, s3: S3Options) -> Iterator[RegistryStore]:
        store = SqliteRegistry(tmp_path / "registry.db", f"s3://{bucket}/models", s3=s3)
        yield store
        store.close()


class TestPostgres(SharedRegistryStoreSuite):
    shortest_grace = timedelta(seconds=1)

    @pytest.fixture
    def store(self, opener: Opener) -> Iterator[RegistryStore]:
        store = opener()
        yield store
        store.close()

    @pytest.fixture
    def opener(self, postgres: PostgresServer, bucket: str, s3: S3Options) -> Opener:
        return partial(PostgresRegistry, postgres.database(), f"s3://{bucket}", s3=s3)


@pytest.fixture
def store(tmp_path: Path, bucket: str, s3: S3Options) -> Iterator[SqliteRegistry]:
    store = SqliteRegistry(tmp_path / "registry.db", f"s3://{bucket}/a/prefix/", s3=s3)
    yield store
    store.close()


def keys(server: S3Server, bucket: str) -> list[str]:
    with closing(server.client()) as client:
        found = [one["Key"] for one in client.list_objects_v2(Bucket=bucket).get("Contents", ())]
    return [key for key in found if not key.endswith("/.registry")]  # the mark of whose artifacts they are


def test_each_upload_has_a_key_of_its_own_below_the_prefix(store: SqliteRegistry, bucket_server: S3Server, bucket: str) -> None:
    blob = put(store, b"weights")
    (key,) = keys(bucket_server, bucket)
    assert key.startswith(f"a/prefix/acme/{blob.sha256[:2]}/{blob.sha256}/")
    put(store, b"weights")
    assert keys(bucket_server, bucket) == [key]


def test_an_object_that_is_gone_makes_no_version_and_is_uploaded_anew(store: SqliteRegistry, bucket_server: S3Server, bucket: str) -> None:
    blob = put(store, b"weights")
    (key,) = keys(bucket_server, bucket)
    with closing(bucket_server.client()) as client:
        client.delete_object(Bucket=bucket, Key=key)
    with pytest.raises(ArtifactError, match="no blob"):
        store.add_version(sample_version(files=(File("a", blob),)))
    with pytest.raises(ArtifactError, match="no blob"):
        store.open_artifact("acme", blob)
    put(store, b"weights")
    assert store.add_version(sample_version(files=(File("a", blob),))).files[0].blob == blob
    assert keys(bucket_server, bucket) != [key]


def test_an_upload_that_no_transaction_recorded_is_left_over(store: SqliteRegistry, bucket_server: S3Server, bucket: str) -> None:
    blob = put(store, b"weights")
    with closing(bucket_server.client()) as client:
        (key,) = keys(bucket_server, bucket)
        client.copy_object(Bucket=bucket, Key=key[:-32] + "f" * 32, CopySource={"Bucket": bucket, "Key": key})
        client.put_object(Bucket=bucket, Key="a/prefix/notes.txt", Body=b"not ours")
    store.add_version(sample_version(files=(File("a", blob),)))
    time.sleep(2)  # the server tells whole seconds
    (found,) = store.leftovers(timedelta(0))
    assert (found.kind, found.size, found.tenant) == ("file", 7, "acme")
    assert list(store.leftovers(timedelta(hours=1))) == []
    assert store.discard(found)
    assert not store.discard(found)
    assert sorted(keys(bucket_server, bucket)) == [key, "a/prefix/notes.txt"]


def test_an_upload_in_parts_that_a_dead_writer_began_is_left_over(store: SqliteRegistry, bucket_server: S3Server, bucket: str) -> None:
    with closing(bucket_server.client()) as client:
        begun = client.create_multipart_upload(Bucket=bucket, Key=f"a/prefix/acme/aa/{'a' * 64}/{'b' * 32}")
        client.upload_part(Bucket=bucket, Key=begun["Key"], UploadId=begun["UploadId"], PartNumber=1, Body=b"half")
        store.check()
        put(store, b"tells the server's time")
        time.sleep(2)
        found = [one for one in store.leftovers(timedelta(0)) if one.kind == "temporary"]
        assert len(found) == 1
        assert store.discard(found[0])
        assert not store.discard(found[0])
        assert "Uploads" not in client.list_multipart_uploads(Bucket=bucket)


def test_an_upload_in_parts_of_others_is_theirs(store: SqliteRegistry, bucket_server: S3Server, bucket: str) -> None:
    with closing(bucket_server.client()) as client:
        begun = client.create_multipart_upload(Bucket=bucket, Key="a/prefix/backups/archive.tar")
        store.check()
        put(store, b"tells the server's time")
        time.sleep(2)
        assert [one for one in store.leftovers(timedelta(0)) if one.kind == "temporary"] == []
        client.abort_multipart_upload(Bucket=bucket, Key=begun["Key"], UploadId=begun["UploadId"])


def test_a_failing_database_leaves_no_upload(store: SqliteRegistry, bucket_server: S3Server, bucket: str, monkeypatch: Any) -> None:
    store.check()

    def broken(self: Any, raw: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(type(store.database), "begin", broken)
    with pytest.raises(VersioningError, match="No space left"):
        put(store, b"weights")
    assert keys(bucket_server, bucket) == []


@pytest.mark.parametrize(("place", "said"), [("s3://", "names no bucket"), ("s3:///a", "names no bucket")])
def test_a_url_without_a_bucket_is_refused(tmp_path: Path, place: str, said: str) -> None:
    with pytest.raises(VersioningError, match=rf"^registry\.sqlite: artifacts: .*{said}"):
        SqliteRegistry(tmp_path / "registry.db", place)


def test_a_bucket_that_is_not_there_is_one_line(tmp_path: Path, s3: S3Options) -> None:
    store = SqliteRegistry(tmp_path / "registry.db", "s3://nobodys-bucket", s3=s3)
    with pytest.raises(MLOpsError, match=r"^registry\.sqlite: .*bucket") as refused:
        put(store, b"weights")
    assert "\n" not in refused.value.message
    with pytest.raises(MLOpsError):
        store.open_artifact("acme", Blob("a" * 64, 1))
    store.close()


def test_without_the_extra_the_remedy_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mlops_registry_s3.client", None)
    with pytest.raises(VersioningError, match=r"run `pip install 'motadata-mlops-registry-sql\[s3\]'`"):
        SqliteRegistry(tmp_path / "registry.db", "s3://bucket")
