"""The image's server over an archive that the SageMaker deployer made: the container's command, on a port of this machine."""

from __future__ import annotations

import http.client
import json
import signal
import subprocess
import sys
import tarfile
from typing import TYPE_CHECKING, Any

import pytest
from sklearn.linear_model import LogisticRegression

from mlops_core import Project
from mlops_core.deployment import Ports
from mlops_core.deployment.image import FOLDER, write_image
from mlops_core.records import Column, Schema
from mlops_deployer_sagemaker.archive import pack

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mlops_core.records import ModelVersion

TEXT = """
version: 1
project: flights
tenant: acme
registry: {use: sqlite, path: registry.db}
environments: {production: {use: local}}
"""


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    (tmp_path / "mlops.yaml").write_text(TEXT)
    with Project.open(tmp_path) as opened:
        yield opened


@pytest.fixture
def version(project: Project) -> ModelVersion:
    model = LogisticRegression().fit([[5.0], [40.0], [10.0], [60.0]], [0, 1, 0, 1])
    schema = Schema(inputs=(Column("departure_delay", "float64"),))
    project.versioning.version_model("delays", "1.0.0", model=model, schema=schema)
    return project.versioning.get_version("delays", "1.0.0")


def archive_of(project: Project, version: ModelVersion, folder: Path) -> Path:
    ports = Ports(project.stack, "production", 30.0, guarded=False)
    pack(ports.bundle(version, folder / "bundle"), folder / "model.tar.gz")
    return folder / "model.tar.gz"


def entry_of(image: Path) -> list[str]:
    """What the container service runs: the image's entry point with the word that SageMaker adds."""
    line = next(line for line in (image / "Dockerfile").read_text().splitlines() if line.startswith("ENTRYPOINT "))
    return [*json.loads(line.removeprefix("ENTRYPOINT ")), "serve"]


def ask(port: int, path: str, body: Any = None) -> tuple[int, dict[str, Any]]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        if body is None:
            connection.request("GET", path)
        else:
            connection.request("POST", path, json.dumps(body).encode(), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def test_the_images_command_serves_the_unpacked_archive(project: Project, version: ModelVersion, tmp_path: Path) -> None:
    model = tmp_path / "opt" / "ml" / "model"
    with tarfile.open(archive_of(project, version, tmp_path)) as archive:
        archive.extractall(model, filter="data")
    entry = entry_of(write_image(version, tmp_path / "image"))
    here = {"python": sys.executable, FOLDER: str(model), "8080": "0"}

    with subprocess.Popen([here.get(word, word) for word in entry], cwd=model, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            port = int(next(line for line in process.stderr if "is served at" in line).rpartition(":")[2])
            assert ask(port, "/ping") == (200, {"ready": True})
            status, found = ask(port, "/invocations", {"inputs": {"departure_delay": [3.0, 55.0]}})
            assert (status, [row["prediction"] for row in found["predictions"]], found["version"]) == (200, [0, 1], "1.0.0")
            assert ask(port, "/invocations", {"inputs": {"departure_delay": [1.0] * 300_000}})[0] == 200
            assert ask(port, "/invocations", {"inputs": {"departure_delay": ["soon"]}})[0] == 422
        finally:
            process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0


def test_the_same_version_makes_the_same_archive(project: Project, version: ModelVersion, tmp_path: Path) -> None:
    archives = []
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        archives.append(archive_of(project, version, tmp_path / name).read_bytes())
    assert archives[0] == archives[1]
