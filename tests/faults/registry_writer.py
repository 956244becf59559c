"""Writes to a registry and is killed on the way: run as a script, one JSON request a line, one answer a line.

Each request is carried out by a forked child, so that hundreds of crashes cost one start of Python. A request names the folder, the worker,
the rounds, and where to die: ``point`` (such as ``fsync.before``) at its ``nth`` call, after ``seconds``, or as the options of ``strace``
say. With a ``url`` and a ``schema`` the registry is in PostgreSQL, with artifacts in the folder; without, in SQLite. What a call of the
store has acknowledged is appended to ``acknowledged`` in the folder before the next begins. The answer tells how the child ended: code 2 is
an error of ours, of one line. ``passed`` in the folder tells how often each point was passed.
"""

from __future__ import annotations

import ctypes
import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg

from mlops_core.exceptions import MLOpsError
from mlops_core.journal import Head, Journal
from mlops_core.records import ArtifactRef, File, ModelVersion, NewEntry
from mlops_registry_sql.database import Database
from mlops_registry_sql.postgres import PostgresRegistry
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
    (psycopg.Connection, "wait"),  # what is said to the server, until it answers
)
PR_SET_PTRACER = 0x59616D61


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


def opened(request: dict[str, Any]) -> SqliteRegistry | PostgresRegistry:
    folder = Path(request["folder"])
    if url := request.get("url"):
        return PostgresRegistry(url, folder / "artifacts", schema=request["schema"])
    return SqliteRegistry(folder / "registry.db", folder / "artifacts")


def write(request: dict[str, Any]) -> None:
    """Everything that a registering process writes; a request key makes each step repeatable."""
    store, folder, worker = opened(request), Path(request["folder"]), request["worker"]
    log = os.open(folder / "acknowledged", os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def acknowledge(**what: Any) -> None:
        os.write(log, (json.dumps(what) + "\n").encode())

    for turn in range(request["rounds"]):
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


def carry_out(request: dict[str, Any], go: int) -> int:
    """What the child does, once it is told to; its exit code."""
    os.read(go, 1)
    passed = watch(request.get("point", ""), request.get("nth", 0))
    try:
        write(request)
    except MLOpsError as error:
        return 2 if "\n" not in error.message else 3
    except BaseException as error:  # noqa: BLE001  a child must not go on as its parent
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        sys.stderr.flush()
        return 1
    (Path(request["folder"]) / "passed").write_text(json.dumps(passed))
    return 0


def trace(child: int, options: list[str]) -> subprocess.Popen[bytes]:
    """With ``strace``, which has attached itself when this returns."""
    tracer = subprocess.Popen(["strace", "-f", "-qq", *options, "-p", str(child)], stderr=subprocess.DEVNULL)
    while "TracerPid:\t0\n" in Path(f"/proc/{child}/status").read_text():
        time.sleep(0.005)
        if tracer.poll() is not None:
            raise RuntimeError("strace cannot attach itself")
    return tracer


def main() -> None:
    for line in sys.stdin:
        request = json.loads(line)
        go, tell = os.pipe()
        child = os.fork()
        if child == 0:
            ctypes.CDLL(None).prctl(PR_SET_PTRACER, ctypes.c_ulong(-1 & (2**64 - 1)), 0, 0, 0)  # a sibling may trace it
            os._exit(carry_out(request, go))
        tracer = trace(child, request["strace"]) if "strace" in request else None
        os.write(tell, b".")
        if "seconds" in request:
            time.sleep(request["seconds"])
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        if tracer is not None:
            tracer.wait()
        for descriptor in (go, tell):
            os.close(descriptor)
        killed = os.WIFSIGNALED(status)
        ended = {"signal": os.WTERMSIG(status) if killed else 0, "code": 0 if killed else os.WEXITSTATUS(status)}
        sys.stdout.write(json.dumps(ended) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
