"""What is SQLite's own: its file, its queue of writers, its temporary files."""

from __future__ import annotations

import hashlib
import io
import os
import resource
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from attrs import frozen

from mlops_core.exceptions import ArtifactError, VersioningError
from mlops_core.records import Blob, Comparison, File, Not, OrderBy, Query
from mlops_core.testing.registry_samples import put, sample_entry, sample_version
from mlops_registry_sql.blobs import BlobFolder
from mlops_registry_sql.database import Database
from mlops_registry_sql.gate import FileGate
from mlops_registry_sql.locks import lock
from mlops_registry_sql.mounts import network_file_system
from mlops_registry_sql.rows import field_rows, version_row
from mlops_registry_sql.schema import VERSION
from mlops_registry_sql.sqlite import SqliteRegistry

from .conftest import interrupted, many_files

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "er" / "registry.db"


@pytest.fixture
def store(path: Path) -> Iterator[SqliteRegistry]:
    store = SqliteRegistry(path)
    yield store
    store.close()


def folder(store: SqliteRegistry) -> BlobFolder:
    assert isinstance(store.blobs, BlobFolder)
    return store.blobs


class TestFile:
    def test_the_entry_point_hands_over_the_class(self) -> None:
        (point,) = entry_points(group="mlops_core.registry", name="sqlite")
        assert point.load().mlops_registry_store(name="sqlite") is SqliteRegistry

    def test_building_opens_nothing(self, store: SqliteRegistry, path: Path) -> None:
        assert not path.parent.exists()
        store.check()
        assert path.exists()

    def test_the_path_is_that_of_the_moment_it_was_named(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        store = SqliteRegistry("here.db", artifacts="files")
        (tmp_path / "elsewhere").mkdir()
        monkeypatch.chdir(tmp_path / "elsewhere")
        blob = put(store, b"weights")
        store.close()
        assert (tmp_path / "here.db").exists()
        assert (tmp_path / "files" / "acme" / blob.sha256[:2] / blob.sha256).read_bytes() == b"weights"
        assert list((tmp_path / "elsewhere").iterdir()) == []

    def test_each_write_is_on_the_disk(self, store: SqliteRegistry) -> None:
        store.check()
        with store.database.write() as transaction:
            raw = transaction._session.raw  # noqa: SLF001  only the writer's connection knows its settings
            names = ("journal_mode", "synchronous", "foreign_keys")
            settings = {name: raw.execute(f"PRAGMA {name}").fetchone()[0] for name in names}
        assert settings == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}

    def test_a_schema_of_a_later_release_is_refused(self, store: SqliteRegistry, path: Path) -> None:
        store.append("acme", "j", 0, sample_entry())
        store.close()
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("UPDATE registry_info SET value = ? WHERE name = 'schema'", (str(VERSION + 1),))
        later = SqliteRegistry(path)
        with pytest.raises(VersioningError, match=f"has schema {VERSION + 1}, this release knows {VERSION} - upgrade"):
            later.append("acme", "j", 1, sample_entry())
        with closing(sqlite3.connect(path)) as connection:
            assert connection.execute("SELECT count(*) FROM journal_entry").fetchone() == (1,)
        later.close()

    def test_a_file_that_is_no_database_is_refused(self, path: Path) -> None:
        path.parent.mkdir(parents=True)
        path.write_bytes(b"this is not a database, and must stay as it is" * 10)
        before = path.read_bytes()
        store = SqliteRegistry(path)
        with pytest.raises(VersioningError, match=r"registry\.sqlite: .*/registry\.db: file is not a database - check the file"):
            store.add_version(sample_version())
        assert path.read_bytes() == before
        store.close()

    @pytest.mark.parametrize("make", [Path.mkdir, Path.touch])
    def test_a_path_that_cannot_be_a_file_is_refused(self, tmp_path: Path, make: Any) -> None:
        make(tmp_path / "taken")
        where = tmp_path / "taken" if make is Path.mkdir else tmp_path / "taken" / "registry.db"
        store = SqliteRegistry(where)
        with pytest.raises(VersioningError, match=r"registry\.sqlite: /.* - check the file, its folder") as refused:
            store.get_version("acme", "m", "1")
        assert "\n" not in refused.value.message
        store.close()

    def test_connections_end_with_their_threads(self, store: SqliteRegistry) -> None:
        def use(threads: range) -> int:
            for i in threads:
                thread = threading.Thread(target=store.append, args=("acme", f"j/{i}", 0, sample_entry()))
                thread.start()
                thread.join()
            return len(list(Path("/dev/fd").iterdir()))

        first = use(range(5))  # SQLite keeps a few descriptors for the next connection
        assert use(range(5, 25)) <= first

    def test_what_is_written_goes_to_the_file_that_is_there(self, store: SqliteRegistry, path: Path) -> None:
        store.append("acme", "j", 0, sample_entry())
        shutil.rmtree(path.parent)
        assert store.read("acme", "j") == ()
        store.append("acme", "j", 0, sample_entry())
        put(store, b"weights")
        shutil.rmtree(path.parent)
        store.append("acme", "j", 0, sample_entry())
        other = SqliteRegistry(path)
        assert len(other.read("acme", "j")) == 1
        other.close()

    def test_descriptors_may_have_long_numbers(self, store: SqliteRegistry) -> None:
        with many_files():
            store.append("acme", "j", 0, sample_entry())
            assert len(store.read("acme", "j")) == 1

    def test_a_registry_that_was_restored_meanwhile_is_read(self, store: SqliteRegistry, path: Path) -> None:
        other = SqliteRegistry(path.with_name("backup.db"))
        other.append("acme", "j", 0, sample_entry("restored"))
        other.close()
        store.append("acme", "j", 0, sample_entry())
        for suffix in ("-wal", "-shm"):
            path.with_name(path.name + suffix).unlink()
        path.with_name("backup.db").replace(path)
        assert [entry.kind for entry in store.read("acme", "j")] == ["restored"]
        assert store.append("acme", "j", 1, sample_entry()).position == 2

    def test_closing_waits_for_the_calls_of_other_threads(self, store: SqliteRegistry) -> None:
        """To close a connection amid its thread's call ends the process."""
        inside, go_on = threading.Event(), threading.Event()

        def write() -> None:
            with store.database.write() as transaction:
                inside.set()
                go_on.wait(60)
                transaction.run(store.statements.head, {"tenant": "acme", "journal": "j"})

        with ThreadPoolExecutor(2) as pool:
            writing = pool.submit(write)
            inside.wait(60)
            closed = pool.submit(store.close)
            time.sleep(0.2)
            assert not closed.done()
            go_on.set()
            writing.result()
            closed.result()
        assert store.append("acme", "j", 0, sample_entry()).position == 1

    def test_an_error_without_words_is_told_by_its_name(self, store: SqliteRegistry) -> None:
        with pytest.raises(VersioningError, match=r"^registry\.sqlite: .*: OperationalError - "), store.database.errors():
            raise sqlite3.OperationalError("")

    def test_a_closed_store_opens_again(self, store: SqliteRegistry) -> None:
        store.append("acme", "j", 0, sample_entry())
        store.close()
        assert len(store.read("acme", "j")) == 1


class TestPages:
    """What a page costs is counted in the rows that are read for it."""

    @pytest.fixture
    def full(self, store: SqliteRegistry) -> SqliteRegistry:
        with store.database.write() as transaction:
            for i in range(600):
                version = sample_version(f"v{i}", key=f"k{i}", metadata={"a": i % 7, "b": "x" if i % 200 else "rare"})
                transaction.run(store.statements.add_version, version_row(version))
                transaction.run_many(store.statements.add_fields, list(field_rows(version)))
        return store

    @pytest.fixture
    def rows(self, monkeypatch: pytest.MonkeyPatch) -> list[int]:
        """The length of each answer of the database."""
        lengths: list[int] = []
        select = Database.select

        def counted(database: Database, statement: Any) -> Any:
            found = select(database, statement)
            lengths.append(len(found))
            return found

        monkeypatch.setattr(Database, "select", counted)
        return lengths

    def test_an_ordered_page_far_behind_costs_what_the_first_costs(self, full: SqliteRegistry, rows: list[int]) -> None:
        by_time = (OrderBy("metadata.a"), OrderBy("version"))
        for cursor in (None, "500"):
            assert len(full.find_versions("acme", Query(order_by=by_time, limit=10, cursor=cursor)).items) == 10
        assert rows[0] == rows[-1]
        assert len(rows) == 2

    def test_a_page_of_few_matches_is_found_in_few_looks(self, full: SqliteRegistry, rows: list[int]) -> None:
        rare = Comparison("metadata.b", "like", "ra%")
        for query in (Query(Not(Comparison("metadata.a", "<", 9)), limit=1), Query(Not(rare), (OrderBy("metadata.a"),), 1)):
            rows.clear()
            full.find_versions("acme", query)
            assert len(rows) < 15

    def test_the_pages_of_every_length_make_the_whole(self, full: SqliteRegistry) -> None:
        for order in ((), (OrderBy("metadata.a", descending=True), OrderBy("version"))):
            for where in (None, Comparison("metadata.b", "like", "ra%"), Comparison("metadata.a", "=", 3)):
                expected = full.find_versions("acme", Query(where, order)).items
                for limit in (7, 100):
                    page = full.find_versions("acme", Query(where, order, limit))
                    found = list(page.items)
                    while page.cursor is not None and len(found) < 200:
                        page = full.find_versions("acme", Query(where, order, limit, page.cursor))
                        found.extend(page.items)
                    assert found == list(expected[: len(found)])
                    assert len(found) >= min(len(expected), 200)


class TestMounts:
    MOUNTS = """\
/dev/vda / ext4 rw 0 0
proc /proc proc rw 0 0
server:/home /home nfs4 rw 0 0
/dev/vdb /home/local ext4 rw 0 0
//server/share /mnt/with\\040space cifs rw 0 0
server:/old /data nfs4 rw 0 0
/dev/vdc /data ext4 rw 0 0
/dev/vdd /models ext4 rw 0 0
server:/models /models nfs4 rw 0 0
"""

    @pytest.mark.parametrize(
        ("path", "kind"),
        [
            ("/var/registry.db", None),
            ("/home/me/registry.db", "nfs4"),
            ("/home/local/registry.db", None),
            ("/mnt/with space/registry.db", "cifs"),
            ("/homestead/registry.db", None),
            ("/data/registry.db", None),  # the later of two hides the earlier
            ("/models/registry.db", "nfs4"),
        ],
    )
    def test_the_innermost_mount_decides(self, tmp_path: Path, path: str, kind: str | None) -> None:
        (tmp_path / "mounts").write_text(self.MOUNTS)
        assert network_file_system(Path(path), tmp_path / "mounts") == kind

    def test_a_system_that_does_not_tell_is_trusted(self, tmp_path: Path) -> None:
        assert network_file_system(Path("/var/registry.db"), tmp_path / "missing") is None

    def test_a_registry_there_is_refused(self, store: SqliteRegistry, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("mlops_registry_sql.sqlite.network_file_system", lambda _: "nfs4")
        with pytest.raises(VersioningError, match=r"is on a network file system \(nfs4\)"):
            store.check()
        assert not path.exists()


@frozen
class _Child:
    """A forked process that does nothing, with every file of this one, until it is told to end."""

    pid: int
    tell: int

    def end(self) -> None:
        os.close(self.tell)
        os.waitpid(self.pid, 0)


def _idle_child() -> _Child:
    told, tell = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(tell)
        os.read(told, 1)
        os._exit(0)
    os.close(told)
    return _Child(pid, tell)


class TestGate:
    def test_a_writer_waits_no_longer_than_its_patience(self, tmp_path: Path) -> None:
        holder, waiter = FileGate(tmp_path / "lock", 60), FileGate(tmp_path / "lock", 0.1)
        with holder(), pytest.raises(VersioningError, match=r"another writer held lock for 0\.1 s"), waiter():
            raise AssertionError("both have the turn")
        with waiter():
            pass

    def test_one_that_gave_up_leaves_the_turn_to_others(self, tmp_path: Path) -> None:
        gates = [FileGate(tmp_path / "lock", patience) for patience in (60, 0.05, 60)]
        with gates[0](), pytest.raises(VersioningError), gates[1]():
            raise AssertionError("both have the turn")
        for _ in range(3):
            with gates[2]():
                pass

    def test_one_that_is_interrupted_leaves_the_turn_to_others(self, tmp_path: Path) -> None:
        holder, waiter = FileGate(tmp_path / "lock", 60), FileGate(tmp_path / "lock", 60)
        with holder(), interrupted(), pytest.raises(KeyboardInterrupt), waiter():
            raise AssertionError("both have the turn")
        for _ in range(3):
            with FileGate(tmp_path / "lock", 10)():
                pass

    def test_waiting_writers_come_in_one_by_one(self, tmp_path: Path) -> None:
        inside, most = [], []

        def enter(i: int) -> None:
            with FileGate(tmp_path / "lock", 60)():
                inside.append(i)
                most.append(len(inside))
                time.sleep(0.002)
                inside.remove(i)

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(enter, range(40)))
        assert (len(most), max(most)) == (40, 1)

    def test_a_turn_ends_though_a_forked_child_has_its_file(self, tmp_path: Path) -> None:
        gate = FileGate(tmp_path / "lock", 10)
        with gate():
            child = _idle_child()
        try:
            with gate():
                pass
        finally:
            child.end()

    def test_one_that_gave_up_holds_no_turn_through_a_forked_child(self, tmp_path: Path) -> None:
        holder, hasty = FileGate(tmp_path / "lock", 10), FileGate(tmp_path / "lock", 0.05)
        with holder():
            with pytest.raises(VersioningError), hasty():
                raise AssertionError("both have the turn")
            child = _idle_child()
        try:
            with holder():
                pass
        finally:
            child.end()

    def test_a_folder_that_is_gone_is_an_error_of_the_system(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError), FileGate(tmp_path / "missing" / "lock", 1)():
            raise AssertionError("there is no lock")


class TestForks:
    def test_a_fork_waits_for_the_writes_of_other_threads(self, store: SqliteRegistry) -> None:
        store.check()
        inside, forking, go_on = threading.Event(), threading.Event(), threading.Event()

        def write() -> None:
            with store.database.write():
                inside.set()
                go_on.wait(60)

        def fork() -> int:
            forking.set()
            pid = os.fork()
            if pid == 0:
                try:
                    store.append("acme", "j", 0, sample_entry())
                except BaseException:  # noqa: BLE001  whatever it is, the child may not return into the test
                    os._exit(1)
                os._exit(0)
            return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

        with ThreadPoolExecutor(2) as pool:
            writing = pool.submit(write)
            inside.wait(60)
            child = pool.submit(fork)
            forking.wait(60)
            go_on.set()
            writing.result()
            assert child.result() == 0
        assert store.append("acme", "j", 1, sample_entry()).position == 2

    def test_writers_and_readers_go_on_through_many_forks(self, store: SqliteRegistry) -> None:
        def write(thread: int) -> None:
            for i in range(30):
                store.append("acme", f"j/{thread}", i, sample_entry())
                assert len(store.read("acme", f"j/{thread}")) == i + 1

        with ThreadPoolExecutor(3) as pool:
            writers = [pool.submit(write, thread) for thread in range(3)]
            while not all(writer.done() for writer in writers):
                _idle_child().end()
            for writer in writers:
                writer.result()
        assert [head.position for head in store.journals("acme", "j/").items] == [30] * 3


class TestTemporaryFiles:
    def test_those_of_the_dead_go_at_the_start_those_of_the_living_stay(self, store: SqliteRegistry) -> None:
        store.check()
        place = folder(store).temporary
        place.mkdir(parents=True)
        (place / "dead").write_bytes(b"half a model")
        living = os.open(place / "living", os.O_RDWR | os.O_CREAT)
        lock(living)
        store.close()
        store.check()
        assert [file.name for file in place.iterdir()] == ["living"]
        assert list(store.leftovers(timedelta(0))) == []
        os.close(living)
        (found,) = store.leftovers(timedelta(0))
        assert (found.kind, found.location, found.tenant) == ("temporary", "living", "")
        assert list(store.leftovers(timedelta(hours=1))) == []
        assert store.discard(found)
        assert not store.discard(found)
        assert list(place.iterdir()) == []

    def test_a_file_that_no_transaction_recorded_is_left_over(self, store: SqliteRegistry) -> None:
        blob = put(store, b"weights")
        with store.database.write() as transaction:
            transaction.run(store.statements.drop_unused_blob, {"tenant": "acme", "sha256": blob.sha256, "least": 0.0})
        assert list(store.leftovers(timedelta(hours=1))) == []
        (found,) = store.leftovers(timedelta(0))
        assert (found.kind, found.size, found.tenant) == ("file", 7, "acme")
        with pytest.raises(ArtifactError):
            store.add_version(sample_version(files=(File("a", blob),)))
        put(store, b"weights")
        assert not store.discard(found)
        assert store.add_version(sample_version(files=(File("a", blob),))).files[0].blob == blob

    def test_a_blob_whose_file_is_gone_makes_no_version(self, store: SqliteRegistry) -> None:
        blob = put(store, b"weights")
        folder(store).path("acme", blob.sha256).unlink()
        with pytest.raises(ArtifactError, match="no blob"):
            store.add_version(sample_version(files=(File("a", blob),)))
        put(store, b"weights")
        store.add_version(sample_version(files=(File("a", blob),)))

    def test_putting_the_right_bytes_again_heals_damaged_ones(self, store: SqliteRegistry) -> None:
        blob = put(store, b"weights")
        folder(store).path("acme", blob.sha256).write_bytes(b"damaged")
        put(store, b"weights")
        with closing(store.open_artifact("acme", blob)) as stream:
            assert stream.read() == b"weights"

    def test_a_folder_that_was_removed_is_made_again(self, store: SqliteRegistry) -> None:
        blob = put(store, b"weights")
        shutil.rmtree(folder(store).root)
        with pytest.raises(ArtifactError, match="no blob"):
            store.open_artifact("acme", blob)
        put(store, b"weights")
        with closing(store.open_artifact("acme", blob)) as stream:
            assert stream.read() == b"weights"

    def test_a_tenant_or_digest_is_no_way_out_of_the_folder(self, store: SqliteRegistry) -> None:
        for tenant, digest in (("..", "a" * 64), ("a/b", "a" * 64), ("acme", "../" * 21 + "x"), ("acme", "A" * 64)):
            with pytest.raises(ArtifactError, match="is no blob"):
                store.open_artifact(tenant, Blob(digest, 1))
        with pytest.raises(ArtifactError, match="is no blob"):
            put(store, b"weights", tenant="..")


class Zeros(io.RawIOBase):
    """Many bytes that nobody has to hold."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.left = size

    def read(self, size: int = -1) -> bytes:
        taken = min(self.left, size)
        self.left -= taken
        return bytes(taken)


class TestStreaming:
    def test_a_large_artifact_needs_little_memory(self, store: SqliteRegistry) -> None:
        size = 128 << 20
        store.check()
        tracemalloc.start()
        try:
            blob = store.put_artifact("acme", Zeros(size), size=size)  # type: ignore[arg-type]  # reading is all that is asked
            with closing(store.open_artifact("acme", blob)) as stream:
                digest = hashlib.file_digest(stream, "sha256")  # type: ignore[arg-type]  # a file from the disk
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert digest.hexdigest() == blob.sha256
        assert peak < 8 << 20

    def test_bytes_and_folders_are_synced_before_the_commit_that_names_them(
        self, store: SqliteRegistry, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A kill cannot show power loss: the order of the calls can."""
        store.check()
        trace: list[str] = []
        fsync, replace, commit = os.fsync, os.replace, Database.commit
        root = folder(store).root

        def traced_fsync(descriptor: int) -> None:
            synced = os.fstat(descriptor)
            folders = [place for place in (root.parent, root, *root.glob("*/"), *root.glob("*/*/")) if place.name != ".tmp"]
            names = [os.path.relpath(place, root.parent) for place in folders if os.path.samestat(place.stat(), synced)]
            trace.append(f"sync {names[0] if names else 'file'}")
            fsync(descriptor)

        def traced_replace(source: Any, target: Any) -> None:
            trace.append("name")
            replace(source, target)

        def traced_commit(database: Database, raw: Any) -> None:
            trace.append("commit")
            commit(database, raw)

        monkeypatch.setattr(os, "fsync", traced_fsync)
        monkeypatch.setattr(os, "replace", traced_replace)
        monkeypatch.setattr(Database, "commit", traced_commit)
        blob = put(store, b"weights")
        shelf = f"registry.db.artifacts/acme/{blob.sha256[:2]}"
        assert trace.index("sync file") < trace.index("name") < trace.index(f"sync {shelf}") < trace.index("commit")
        for above in (".", "registry.db.artifacts", "registry.db.artifacts/acme"):
            assert trace.index(f"sync {above}") < trace.index("commit")


DISK_FULL = """
import io, resource, signal, sys
from mlops_core.exceptions import MLOpsError
from mlops_core.testing.registry_samples import put, sample_version
from mlops_registry_sql.sqlite import SqliteRegistry

store = SqliteRegistry(sys.argv[1])
store.check()
limit = int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
try:
    put(store, b"w" * 300_000)
    store.add_version(sample_version(metadata={"report": "x" * 300_000}))
except MLOpsError as error:
    print(f"{type(error).__name__}: {error.message}")
else:
    print("no error")
"""


@pytest.mark.parametrize("limit", [100_000, 350_000])
def test_a_full_disk_is_one_line_and_half_of_nothing(path: Path, limit: int) -> None:
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] < 0
    done = subprocess.run([sys.executable, "-c", DISK_FULL, str(path), str(limit)], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("VersioningError: registry.sqlite: ")
    assert len(done.stdout.splitlines()) == 1
    store = SqliteRegistry(path)
    assert store.find_versions("acme", Query()).items == ()
    assert [one for one in store.leftovers(timedelta(0)) if one.kind == "temporary"] == []
    blob = put(store, b"w" * 300_000)
    store.add_version(sample_version(files=(File("a", blob),), metadata={"report": "x" * 300_000}))
    store.close()
