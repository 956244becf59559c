"""Writes to a SQLite registry and is killed on the way: run as a script, one JSON request a line, one answer a line.

Each request is carried out by a forked child, so that hundreds of crashes cost one start of Python. A request names the folder, the worker,
the rounds, and where to die: ``point`` (such as ``fsync.before``) at its ``nth`` call, or after ``seconds``. What a call of the store has
acknowledged is appended to ``acknowledged`` in the folder before the next begins. The answer tells how the child ended and how often each
point was passed.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import signal
import sys
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops_core.journal import Head, Journal
from mlops_core.records import ArtifactRef, File, ModelVersion, NewEntry
from mlops_registry_sql.database import Database
from mlops_registry_sql.sqlite import SqliteRegistry

if TYPE_CHECKING:
    from collections.abc import Callable

WATCHED: tuple[tuple[Any, str], ...] = (
    (os, "fsync"),
    (os, "replace"),
    (os, "mkdir"),
    (os, "unlink"),
    (Database, "begin"),
    (Database, "run"),
    (Database, "commit"),
)


def watch(point: str, nth: int) -> Counter[str]:
    """Count the calls of every watched function, and die at one of them as by ``kill -9``."""
    passed: Counter[str] = Counter()

    def at(name: str) -> None:
        passed[name] += 1
        if name == point and passed[name] == nth:
            os.kill(os.getpid(), signal.SIGKILL)
            time.sleep(60)  # the signal arrives before anything else happens

    def watched(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapper(*arguments: Any, **options: Any) -> Any:
            at(f"{name}.before")
            try:
                return call(*arguments, **options)
            finally:
                at(f"{name}.after")

        return wrapper

    for owner, name in WATCHED:
        setattr(owner, name, watched(name, getattr(owner, name)))
    return passed


def content(worker: int, turn: int) -> bytes:
    return f"weights of {worker} in turn {turn} ".encode() * 100


def write(folder: Path, worker: int, rounds: int) -> None:
    """Everything that a registering process writes; a request key makes each step repeatable."""
    store = SqliteRegistry(folder / "registry.db")
    log = os.open(folder / "acknowledged", os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def acknowledge(**what: Any) -> None:
        os.write(log, (json.dumps(what) + "\n").encode())

    for turn in range(rounds):
        data, shared, key = content(worker, turn), b"shared by all", f"{worker}/{turn}"
        file = File("model.bin", store.put_artifact("acme", io.BytesIO(data), size=len(data)))
        extra = store.put_artifact("acme", io.BytesIO(shared), size=len(shared))
        acknowledge(blob=hashlib.sha256(data).hexdigest())
        reference = ArtifactRef(extra.sha256, extra.size, "npy", "reference", (File("reference.npy", extra),))

        def make(number: int, key: str = key, file: File = file, reference: ArtifactRef = reference) -> ModelVersion:
            artifacts = {"reference": reference}
            return ModelVersion("acme", "m", str(number), key, key, (file,), datetime.now(UTC), number=number, artifacts=artifacts)

        version = store.add_next_version("acme", "m", make, key=key)
        acknowledge(version=version.version, key=key)

        def point_to(head: Head, version: ModelVersion = version) -> NewEntry:
            return NewEntry(datetime.now(UTC), "set", state={"version": version.version, "moves": head.state.get("moves", 0) + 1})

        entry = Journal(store, "acme", "aliases/m/champion").update(point_to, key=key)
        acknowledge(alias=key, position=0 if entry is None else entry.position)
        if turn == 0:
            tombstone = NewEntry(datetime.now(UTC), "retired", key=key, change={"version": version.version})
            store.retire_version("acme", "m", version.version, tombstone)
            acknowledge(retired=version.version)
    store.close()


def main() -> None:
    for line in sys.stdin:
        request = json.loads(line)
        folder = Path(request["folder"])
        child = os.fork()
        if child == 0:
            passed = watch(request.get("point", ""), request.get("nth", 0))
            try:
                write(folder, request["worker"], request["rounds"])
                (folder / "passed").write_text(json.dumps(passed))
                os._exit(0)
            except BaseException as error:  # noqa: BLE001  a child must not go on as its parent
                sys.stderr.write(f"{type(error).__name__}: {error}\n")
                sys.stderr.flush()
                os._exit(1)
        if "seconds" in request:
            time.sleep(request["seconds"])
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        killed = os.WIFSIGNALED(status)
        ended = {"signal": os.WTERMSIG(status) if killed else 0, "code": 0 if killed else os.WEXITSTATUS(status)}
        sys.stdout.write(json.dumps(ended) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
