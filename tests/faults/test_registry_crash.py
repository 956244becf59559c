"""A registering process is killed at every step: nothing acknowledged is lost, nothing half is visible, a retry completes."""

from __future__ import annotations

import hashlib
import json
import random
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import pytest
from attrs import define

from mlops_core.records import Blob, Query
from mlops_registry_sql.sqlite import SqliteRegistry

if TYPE_CHECKING:
    from collections.abc import Iterator

WRITER = Path(__file__).with_name("registry_writer.py")
POINTS = ("fsync", "replace", "mkdir", "unlink", "begin", "run", "commit")
ROUNDS = 2


@define(eq=False)
class Writer:
    """The process that starts the processes that die."""

    process: subprocess.Popen[str]
    stdin: IO[str]
    stdout: IO[str]

    def run(self, folder: Path, *, worker: int = 0, rounds: int = ROUNDS, **dies: Any) -> dict[str, int]:
        self.begin(folder, worker=worker, rounds=rounds, **dies)
        return self.end()

    def begin(self, folder: Path, **request: Any) -> None:
        self.stdin.write(json.dumps({"folder": str(folder), **request}) + "\n")
        self.stdin.flush()

    def end(self) -> dict[str, int]:
        answer: dict[str, int] = json.loads(self.stdout.readline())
        return answer


def start() -> Iterator[Writer]:
    with subprocess.Popen([sys.executable, str(WRITER)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield Writer(process, process.stdin, process.stdout)
        process.stdin.close()


@pytest.fixture(scope="module")
def writer() -> Iterator[Writer]:
    yield from start()


@pytest.fixture(scope="module")
def rival() -> Iterator[Writer]:
    yield from start()


@pytest.fixture(scope="module")
def passes(writer: Writer, tmp_path_factory: pytest.TempPathFactory) -> dict[str, int]:
    """How often a writer that is left alone passes each point."""
    folder = tmp_path_factory.mktemp("alone")
    assert writer.run(folder) == {"signal": 0, "code": 0}
    passed: dict[str, int] = json.loads((folder / "passed").read_text())
    return passed


def acknowledged(folder: Path) -> list[dict[str, Any]]:
    path = folder / "acknowledged"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def temporary(folder: Path) -> list[str]:
    place = folder / "registry.db.artifacts" / ".tmp"
    return sorted(path.name for path in place.iterdir()) if place.is_dir() else []


def check_promises(folder: Path) -> None:
    """Open the registry as the next process does, and compare with what was acknowledged."""
    store = SqliteRegistry(folder / "registry.db")
    store.check()
    assert temporary(folder) == []
    swept = list(store.leftovers(timedelta(0)))
    living = {one.version: one for one in store.find_versions("acme", Query()).items}
    versions = {number: store.get_version("acme", "m", str(number)) for number in range(1, 100)}
    there = {number: version for number, version in versions.items() if version is not None}
    assert sorted(there) == list(range(1, len(there) + 1))
    assert len({version.key for version in there.values()}) == len(there)
    for version in there.values():
        for blob in version.blobs():
            assert digest(store, blob) == blob.sha256
    entries = store.read("acme", "aliases/m/champion")
    assert [entry.position for entry in entries] == list(range(1, len(entries) + 1))
    assert [(entry.state or {})["moves"] for entry in entries] == list(range(1, len(entries) + 1))
    for what in acknowledged(folder):
        if "version" in what:
            assert there[int(what["version"])].key == what["key"]
        elif "alias" in what:
            assert entries[what["position"] - 1].key == what["alias"]
        elif "retired" in what:
            assert what["retired"] not in living
            assert what["retired"] in {entry.change["version"] for entry in store.read("acme", "versions/m")}
    unnamed = {leftover.location.rpartition("/")[2] for leftover in swept}
    blobs = {what["blob"] for what in acknowledged(folder) if "blob" in what}
    named = {blob.sha256 for version in there.values() for blob in version.blobs()}
    assert blobs <= unnamed | named
    assert not unnamed & named
    assert all(store.discard(leftover) for leftover in swept)
    forget_blobs(folder)
    assert list(store.leftovers(timedelta(0))) == []
    for version in there.values():
        assert all(digest(store, blob) == blob.sha256 for blob in version.blobs())
    store.close()
    with closing(sqlite3.connect(folder / "registry.db")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []


def forget_blobs(folder: Path) -> None:
    """A sweep without grace took those that no version names yet: the next check must not ask for them."""
    kept = [json.dumps(what) for what in acknowledged(folder) if "blob" not in what]
    (folder / "acknowledged").write_text("".join(f"{line}\n" for line in kept))


def digest(store: SqliteRegistry, blob: Blob) -> str:
    with closing(store.open_artifact("acme", blob)) as stream:
        return hashlib.sha256(stream.read()).hexdigest()


def check_retry(writer: Writer, folder: Path, workers: int = 1) -> None:
    """The same requests again complete, and register nothing twice."""
    for worker in range(workers):
        assert writer.run(folder, worker=worker) == {"signal": 0, "code": 0}
    check_promises(folder)
    store = SqliteRegistry(folder / "registry.db")
    assert store.get_version("acme", "m", str(workers * ROUNDS)) is not None
    assert store.get_version("acme", "m", str(workers * ROUNDS + 1)) is None
    assert len(store.read("acme", "aliases/m/champion")) == workers * ROUNDS
    store.close()


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("point", POINTS)
def test_killed_at_every_step(writer: Writer, passes: dict[str, int], tmp_path: Path, fault_rounds: int, point: str, when: str) -> None:
    name = f"{point}.{when}"
    assert passes[name] >= 1
    step = max(1, passes[name] // fault_rounds)
    for nth in range(1, passes[name] + 1, step):
        folder = tmp_path / f"{nth}"
        folder.mkdir()
        assert writer.run(folder, point=name, nth=nth)["signal"] == signal.SIGKILL
        check_promises(folder)
        check_retry(writer, folder)


def test_killed_at_random_moments_beside_another_writer(writer: Writer, rival: Writer, tmp_path: Path, fault_rounds: int) -> None:
    rng = random.Random(20240501)
    for turn in range(2 * fault_rounds):
        folder = tmp_path / f"{turn}"
        folder.mkdir()
        rival.begin(folder, worker=1, rounds=ROUNDS)
        writer.run(folder, worker=0, seconds=rng.uniform(0, 0.08))
        assert rival.end() == {"signal": 0, "code": 0}
        check_promises(folder)
        check_retry(writer, folder, workers=2)


def test_both_killed_at_random_moments_on_one_growing_registry(writer: Writer, rival: Writer, tmp_path: Path, fault_rounds: int) -> None:
    rng = random.Random(7)
    for _ in range(2 * fault_rounds):
        rival.begin(tmp_path, worker=1, rounds=ROUNDS, seconds=rng.uniform(0, 0.1))
        writer.run(tmp_path, worker=0, seconds=rng.uniform(0, 0.1))
        rival.end()
        check_promises(tmp_path)
    check_retry(writer, tmp_path, workers=2)
