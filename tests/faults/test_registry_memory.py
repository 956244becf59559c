"""A big file goes into a registry and comes out again, verified, in little memory."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mlops_core.testing.servers import S3Server

MEBIBYTE = 1 << 20
LIMIT = 64  # MiB

CHILD = """
import hashlib, os, sys
from pathlib import Path
from mlops_core import Project

def memory(name):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) / 1024

def there_and_back(versioning, path):
    version = versioning.version_model("m", model_path=path)
    return versioning.download("m", version, Path(f"{path}.out"))

with Project.open(Path.cwd()) as project:
    there_and_back(project.versioning, Path("small.bin"))
    before = memory("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")
    back = there_and_back(project.versioning, Path("big.bin"))
    print(memory("VmHWM") - before, back.stat().st_size)
    with back.open("rb") as stream:
        print(hashlib.file_digest(stream, "sha256").hexdigest())
"""


@pytest.fixture
def registry_of(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], dict[str, Any]]:
    def make(kind: str) -> dict[str, Any]:
        if kind == "sqlite":
            return {"use": "sqlite", "path": str(tmp_path / "registry.db")}
        server: S3Server = request.getfixturevalue("bucket_server")
        key = {"access_key": server.access_key, "secret_key": server.secret_key}
        return {"use": "s3", "bucket": server.bucket(), "endpoint_url": server.url, "region": server.region, **key}

    return make


@pytest.mark.parametrize("size", [96 * MEBIBYTE, pytest.param(2048 * MEBIBYTE, marks=[pytest.mark.long, pytest.mark.timeout(1800)])])
@pytest.mark.parametrize("kind", ["sqlite", "s3"])
def test_a_big_file_needs_little_memory(registry_of: Callable[[str], dict[str, Any]], tmp_path: Path, kind: str, size: int) -> None:
    configuration = {"version": 1, "project": "big", "tracker": [], "registry": registry_of(kind)}
    (tmp_path / "mlops.yaml").write_text(json.dumps(configuration))
    (tmp_path / "small.bin").write_bytes(b"small")
    with (tmp_path / "big.bin").open("wb") as big:
        big.write(b"not only zeros")
        big.truncate(size)
    done = subprocess.run([sys.executable, "-c", CHILD], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    grown, written, digest = done.stdout.split()
    assert int(written) == size
    with (tmp_path / "big.bin").open("rb") as stream:
        assert digest == hashlib.file_digest(stream, "sha256").hexdigest()
    assert float(grown) < LIMIT
