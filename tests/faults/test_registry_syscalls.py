"""A registering process is killed at every call of the system that matters, and those calls are in an order that outlives power loss.

Only with ``--fault-long``, and by ``strace``.
"""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
from collections import Counter
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .conftest import Place, Writer

    Places = Callable[[str, Path], Place]

pytestmark = [pytest.mark.long, pytest.mark.timeout(3600)]

CALLS = (
    *("openat", "write", "pwrite64", "fsync", "fdatasync", "rename", "renameat2", "unlink", "mkdir", "flock", "ftruncate"),
    *("sendto", "recvfrom"),
)
OPTIONAL = "?"  # strace passes over a call that this processor has not
REGISTRATION = """
import os, sys
from mlops_core import ModelVersioning

versioning = ModelVersioning(f"sqlite:///{sys.argv[1]}/deep/registry.db")
version = versioning.version_model("m", model={"urgent": ["fire"]})
os.write(1, f"{version}\\n".encode())
"""


@pytest.fixture(autouse=True)
def _strace() -> None:
    assert shutil.which("strace"), "the long fault tests need strace"


def counted(text: str) -> Counter[str]:
    """How often each call was begun."""
    return Counter(re.findall(r"^(?:\d+ +)?(\w+)\(", text, re.MULTILINE))


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_killed_at_every_call_of_the_system(writer: Writer, place_of: Places, tmp_path: Path, fault_rounds: int, kind: str) -> None:
    """``fault_rounds`` bounds how many moments of one call are tried; each is of a process of its own."""
    place, log = place_of(kind, tmp_path / "alone"), tmp_path / "log"
    watched = ",".join(f"{OPTIONAL}{name}" for name in CALLS)
    assert writer.run(place, rounds=1, strace=["-o", str(log), "-e", f"trace={watched}"]) == {"signal": 0, "code": 0}
    passed = counted(log.read_text())
    assert {"openat", "write", "fsync", "mkdir"} <= set(passed), passed
    tried = 0
    for name in sorted(passed):
        for nth in range(1, passed[name] + 1, max(1, passed[name] // fault_rounds)):
            place = place_of(kind, tmp_path / f"{name}-{nth}")
            options = ["-o", "/dev/null", "-e", f"trace={name}", "-e", f"inject={name}:signal=SIGKILL:when={nth}"]
            ended = writer.run(place, rounds=1, strace=options)
            assert ended["signal"] == signal.SIGKILL or nth > passed[name] - 3, (name, nth, ended)  # the last ones vary by a few
            place.check_promises()
            place.check_retry(writer, rounds=1)
            shutil.rmtree(place.folder)
            tried += 1
    assert tried >= len(passed)


def test_what_is_acknowledged_was_synced_before(tmp_path: Path) -> None:
    """The file, its name, every folder on the way, and the log of the database: in this order, and before the version is told."""
    log = tmp_path / "log"
    command = ["strace", "-f", "-qq", "-y", "-s", "200", "-o", str(log)]
    command += ["-e", "trace=?open,?openat,fsync,fdatasync,?rename,?renameat,?renameat2,?mkdir,?mkdirat,write,pwrite64"]
    done = subprocess.run([*command, sys.executable, "-c", REGISTRATION, str(tmp_path)], capture_output=True, text=True, check=True)
    assert done.stdout == "1\n"
    lines = log.read_text().splitlines()
    root = tmp_path / "deep" / "registry.db.artifacts"
    (blob,) = [path for path in root.glob("*/??/*") if path.parts[-3] != ".tmp"]

    def places(pattern: str) -> list[int]:
        return [at for at, line in enumerate(lines) if re.search(pattern, line)]

    def synced(path: Path) -> list[int]:
        return places(rf"(fsync|fdatasync)\(\d+<{re.escape(str(path))}>")

    told = places(r'write\(1<.*"1\\n"')[-1]
    (named,) = places(rf'rename\w*\(.*/\.tmp/.*{blob.name}"')
    (written,) = places(r"fsync\(\d+<.*/\.tmp/[0-9a-f]{32}>")
    wal = tmp_path / "deep" / "registry.db-wal"
    logged = [at for at in places(rf"pwrite64\(\d+<{re.escape(str(wal))}>") if at < told]
    assert written < named < synced(blob.parent)[-1] < logged[-1] < told
    for folder in (blob.parent.parent, root, root.parent, tmp_path):
        assert any(at < logged[-1] for at in synced(folder)), folder
    assert any(logged[-1] < at < told for at in synced(wal))
    commits = [at for at in synced(wal) if at < told]
    assert any(named < at for at in commits)
    made = places(rf'mkdir\w*\(.*"{re.escape(str(blob.parent))}"')
    assert made
    assert any(made[0] < at < named for at in synced(blob.parent.parent))
