"""The command line as a person calls it, and a project whose model serves requests over HTTP."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import subprocess
import sys
from contextlib import chdir, closing
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

import pytest
from attrs import define, frozen

from mlops_core import ExperimentTracker, Project
from mlops_core.config.settings import CanarySettings
from mlops_core.testing.memory_tracker import MemoryTracker
from mlops_core.tracking.run import Run

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PROGRAM = Path(sys.executable).with_name("mlops")


@frozen
class Answer:
    """How a call ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def line(self) -> str:
        """What was said on standard error, which is one line."""
        assert self.err.endswith("\n"), self
        assert self.err.count("\n") == 1, self
        return self.err.rstrip("\n")


class Call(Protocol):
    """``mlops ARGUMENTS`` in a folder, by default the current one."""

    def __call__(self, *arguments: str, folder: Path | None = None, further: Mapping[str, str] | None = None) -> Answer: ...


@pytest.fixture(scope="session")
def mlops() -> Call:
    """Call the installed program."""

    def call(*arguments: str, folder: Path | None = None, further: Mapping[str, str] | None = None) -> Answer:
        environment = {**os.environ, **(further or {})}
        done = subprocess.run([PROGRAM, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False)
        assert "Traceback" not in done.stderr, done.stderr
        return Answer(done.returncode, done.stdout, done.stderr)

    return call


@pytest.fixture(autouse=True)
def _path_as_before() -> Iterator[None]:
    """Inline plugins append their project to Python's path."""
    before = list(sys.path)
    yield
    sys.path[:] = before


CONFIGURATION = """\
version: 1
project: world
tenant: acme
tracker: []
registry: {use: sqlite, path: .mlops/registry.db}
environments:
  staging: {use: local, body_limit: 2000}
  production: {use: local}
channels: {ops: log}
monitoring: {sinks: [sqlite], alerts: [{name: errors, when: "error_rate > 0.5", notify: [ops]}]}
drift: {tests: [ks, psi], alpha: 0.05}
formats: [json, npy, "./line.py:LineFormat", joblib]
pipeline:
  name: world
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
    context.log_metrics({"score": 0.75})
    return {"slope": 2.0}
"""
LINE = (Path(__file__).parents[1] / "data" / "line.py").read_text()
FILES = {
    "mlops.yaml": CONFIGURATION,
    "stages.py": STAGES,
    "line.py": LINE,
    "line.model": "line 2",
    "same.csv": "a\n1\n2\n3\n",
    "ragged.csv": "a,b\n1\n",
    "empty.csv": "",
    "latin.csv": "a\n\N{LATIN SMALL LETTER E WITH ACUTE}\n",
}
SCHEMA = {"inputs": [{"name": "x", "dtype": "float64"}], "outputs": [{"name": "y", "dtype": "float64"}]}
PASSING = ("-wal", "-shm", ".log", ".pyc")


def write_project(folder: Path, **changed: str) -> None:
    for name, text in {**FILES, **changed}.items():
        (folder / name).write_text(text, encoding="latin-1" if name == "latin.csv" else "utf-8")


def state(folder: Path) -> dict[str, str]:
    """Everything that a project keeps: its files, and what its databases hold; leases come and go."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if not path.is_file() or path.name.endswith(PASSING):
            continue
        name = path.relative_to(folder).as_posix()
        if path.suffix == ".db":
            with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
                kept = "\n".join(line for line in database.iterdump() if not line.startswith('INSERT INTO "leases"'))
            found[name] = kept
        else:
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


@define
class World:
    """A project with a model that serves requests, and everything that its facades are asked for."""

    root: Path
    project: Project
    tracked: MemoryTracker
    tracker: ExperimentTracker
    kept: Run

    @property
    def address(self) -> tuple[str, int]:
        url = urlsplit(self.project.deployment.status("line", "staging").url)
        assert url.hostname is not None
        assert url.port is not None
        return url.hostname, url.port

    @property
    def wrong(self) -> Any:
        """What no call takes."""
        return object()

    def register(self, model: str = "line", version: str | None = None, **given: Any) -> str:
        given = {"model_path": self.root / "line.model", **given}
        return self.project.versioning.version_model(model, version, **given)

    def deploy(self, version: str, environment: str = "staging", **given: Any) -> object:
        return self.project.deployment.deploy_model("line", version, environment, **given)

    def share(self, weights: Any) -> object:
        return self.project.deployment.set_traffic("line", "staging", weights)

    def canary(self, **plan: Any) -> object:
        return self.project.deployment.start_canary("line", "1", "staging", canary=CanarySettings(**plan))

    def promote(self, source: str, target: str) -> object:
        return self.project.deployment.promote("line", source, target)

    def predict(self, columns: Any) -> object:
        return self.project.deployment.predict("line", "staging", columns)

    def track(self, seconds: float, success: Any = None, model: str = "line") -> None:
        self.project.monitoring.track_prediction(model, seconds, True if success is None else success)

    def fail(self, error: str) -> None:
        self.project.monitoring.track_prediction("line", 0.1, success=False, error=error)

    def outcome(self, prediction_id: str, label: Any) -> object:
        return self.project.monitoring.record_outcome(prediction_id, label)

    def silence(self, length: timedelta = timedelta(hours=1), reason: str = "a release", **given: Any) -> object:
        return self.project.monitoring.silence(length, reason, **given)

    def acknowledge(self, rule: str) -> object:
        return self.project.monitoring.acknowledge(rule, "line", "staging")

    def measured(self, window: timedelta = timedelta(hours=1), **given: Any) -> object:
        return self.project.monitoring.get_metrics("line", window, **given)

    def record(self, values: dict[str, float]) -> None:
        self.project.monitoring.record_values("line", values)

    def drift(self, reference: Any, current: Any, **given: Any) -> object:
        return self.project.drift.detect_data_drift(reference, current, **given)

    def worse(self, reference: dict[str, float], current: dict[str, float]) -> object:
        return self.project.drift.detect_model_drift(reference, current)

    def since(self, version: str) -> object:
        return self.project.drift.check_version("line", version, {"x": [1.0, 2.0]})

    def run(self, stages: Any, **given: Any) -> object:
        return self.project.pipeline().run_pipeline(stages, **given)

    def state(self) -> dict[str, Any]:
        """What is kept and what serves."""
        serving = self.project.deployment.status("line", "staging").routes
        return {**state(self.root), "serving": serving, "tracked": dict(self.tracked.runs)}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    root = tmp_path_factory.mktemp("world")
    write_project(root)
    (root / "pickled").write_bytes(b"\x80\x04K\x01.")
    with chdir(root):  # so that messages name the file as a person there sees it
        opened = Project.open(root)
    with opened as project:
        project.versioning.version_model("line", model_path=root / "line.model", schema=SCHEMA)
        project.versioning.version_model("pickled", model_path=root / "pickled", format="joblib")
        project.versioning.set_alias("line", "champion", "1")
        tracked = MemoryTracker()
        tracker = ExperimentTracker(stack=project.stack.replacing(trackers={"memory": tracked}))
        try:
            project.deployment.deploy_model("line", "1", "staging")
            kept = tracker.start_run("kept")
            tracker.flush()
            yield World(root, project, tracked, tracker, kept)
        finally:
            tracker.close()
            project.deployment.shutdown("staging")
