"""A registry moves between stores of different kinds and back, whenever its copying is killed."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from attrs import evolve

from mlops_core import ModelVersioning
from mlops_core.testing.memory_registry import MemoryRegistry
from mlops_core.testing.registry_samples import full_version, put, sample_entry, sample_version
from mlops_core.versioning import copy_registry
from mlops_registry_sql.sqlite import SqliteRegistry

if TYPE_CHECKING:
    from pathlib import Path

COPY = """
import sys
from mlops_core.versioning import copy_registry
from mlops_registry_sql.sqlite import SqliteRegistry
print("ready", flush=True)
copy_registry(SqliteRegistry(sys.argv[1]), SqliteRegistry(sys.argv[2]))
"""


def fill(store: SqliteRegistry | MemoryRegistry, versions: int) -> None:
    store.add_version(full_version(put(store, b"weights" * 1000), put(store, b"reference")))
    for number in range(1, versions + 1):
        blob = put(store, hashlib.sha256(str(number).encode()).digest())
        version = sample_version(key=f"run-{number}")
        files = full_version(blob, blob).files
        made = evolve(version, version=str(number), number=number, files=files)
        store.add_next_version("acme", "m", lambda _, made=made: made)  # type: ignore[misc]  # bound now
        store.append("acme", f"runs/p/{number % 7}", number // 7 if number % 7 else number // 7 - 1, sample_entry(at=number))
        if number % 5 == 0:
            store.retire_version("acme", "m", str(number - 1), sample_entry("retired", change={"version": str(number - 1)}, at=number))
    store.add_version(sample_version(tenant="rival"))


def test_memory_to_sqlite_and_back(tmp_path: Path) -> None:
    first, last = MemoryRegistry(), MemoryRegistry()
    fill(first, 20)
    with closing(SqliteRegistry(tmp_path / "middle.db")) as middle:
        there = copy_registry(first, middle)
        back = copy_registry(middle, last)
    assert there == back == copy_registry(first, last)
    assert [(one.tenant, one.versions, one.behind) for one in there] == [("acme", 21, 0), ("rival", 1, 0)]


@pytest.mark.parametrize("seed", range(4))
def test_a_killed_copy_goes_on(tmp_path: Path, seed: int) -> None:
    """By the system's own means, at moments that nobody chose."""
    with closing(SqliteRegistry(tmp_path / "source.db")) as source, closing(SqliteRegistry(tmp_path / "target.db")) as target:
        fill(source, 60)
        for turn in range(3):
            command = [sys.executable, "-c", COPY, str(source.path), str(target.path)]
            with subprocess.Popen(command, stdout=subprocess.PIPE, env=dict(os.environ)) as child:
                assert child.stdout is not None
                assert child.stdout.readline() == b"ready\n"
                time.sleep(0.03 + 0.05 * (seed + turn))
                child.kill()
        found = copy_registry(source, target)
        assert [(one.tenant, one.versions, one.behind) for one in found] == [("acme", 61, 0), ("rival", 1, 0)]
        assert found == copy_registry(source, source)


def test_a_model_loads_from_the_copy(tmp_path: Path) -> None:
    first = ModelVersioning(f"sqlite:///{tmp_path}/first.db")
    version = first.version_model("rules", model={"urgent": ["fire"]}, metadata={"accuracy": 0.9})
    first.set_alias("rules", "champion", version)
    with closing(SqliteRegistry(tmp_path / "second.db")) as second:
        copy_registry(first._store, second)  # noqa: SLF001  the same open file
    copied = ModelVersioning(f"sqlite:///{tmp_path}/second.db")
    assert copied.load_model("rules", "@champion") == {"urgent": ["fire"]}
    assert copied.get_version("rules") == first.get_version("rules")
    assert copied.version_model("rules", model={"urgent": []}) == "2"
