"""A project on backends in memory, kept alive between calls of the command line in one process."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from attrs import frozen

from mlops_core.cli import main
from mlops_core.project import Project

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CONFIGURATION = """
version: 1
project: demo
tenant: acme
tracker: "mlops_core.testing.memory_tracker:MemoryTracker"
registry: "mlops_core.testing.memory_registry:MemoryRegistry"
environments:
  staging: "mlops_core.testing.memory_deployer:MemoryDeployer"
  production: "mlops_core.testing.memory_deployer:MemoryDeployer"
channels: {log: log}
monitoring:
  sinks: ["mlops_core.testing.memory_sink:MemorySink"]
  alerts: [{name: errors, when: "error_rate > 0.5", notify: [log]}]
drift: {tests: [ks]}
formats: [json, npy, "./line.py:LineFormat"]
pipeline:
  name: demo
  model: line
  stages:
    collect: {use: "./stages.py:collect"}
    train: {use: "./stages.py:train"}
    validation: {require: {score: {min: 0.5}}}
"""
STAGES = """
def collect():
    return {"x": [1.0, 2.0]}


def train(context, collect):
    context.log_params({"rows": len(collect["x"])})
    context.log_metrics({"score": 0.75})
    return {"slope": 2.0}
"""
LINE = (Path(__file__).parents[2] / "data" / "line.py").read_text()


@frozen
class Answer:
    """How a call ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def mlops(capsys: pytest.CaptureFixture[str]) -> Callable[..., Answer]:
    """Call the command line."""

    def call(*args: str) -> Answer:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(args)
        told = capsys.readouterr()
        assert "Traceback" not in told.err
        return Answer(int(ended.value.code or 0), told.out, told.err)

    return call


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    """The project in the current folder; its backends live as long as the test."""
    for name, text in (("mlops.yaml", CONFIGURATION), ("stages.py", STAGES), ("line.py", LINE)):
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    with Project.open(tmp_path) as opened:
        yield opened


@pytest.fixture
def versions(project: Project, tmp_path: Path) -> tuple[str, str]:
    """Two registered versions of the model ``line``."""
    made = []
    for slope in (2, 3):
        (tmp_path / "model").write_text(f"line {slope}")
        made.append(project.versioning.version_model("line", model_path=tmp_path / "model", metadata={"slope": slope}))
    return made[0], made[1]
