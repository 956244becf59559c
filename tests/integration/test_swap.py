"""Another backend is another line of configuration: one pipeline, one program, the same results on each."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from mlops_core import Project
from tests.integration.conftest import LINE

if TYPE_CHECKING:
    from pathlib import Path

MEMORY = "mlops_core.testing.memory_"
IN_MEMORY = {
    "tracker": f"tracker: '{MEMORY}tracker:MemoryTracker'",
    "registry": f"registry: '{MEMORY}registry:MemoryRegistry'",
    "environments": f"environments: {{staging: '{MEMORY}deployer:MemoryDeployer'}}",
    "sinks": f"monitoring: {{sinks: ['{MEMORY}sink:MemorySink']}}",
    "drift.tests": "drift: {tests: [ks], min_effect: 0.1}",
}
INSTALLED = {
    "tracker": "tracker: {use: mlflow, tracking_uri: .mlops/mlruns}",
    "registry": "registry: {use: sqlite, path: .mlops/registry.db}",
    "environments": "environments: {staging: {use: local, port: 0}}",
    "sinks": "monitoring: {sinks: [sqlite]}",
    "drift.tests": "drift: {tests: [psi], min_effect: 0.1}",
}
PIPELINE = """
version: 1
project: swap
tenant: acme
formats: [json, npy, "./parts.py:LineFormat"]
pipeline:
  name: swap
  model: line
  stages:
    collect: {use: "./parts.py:collect"}
    training: {use: "./parts.py:train", outputs: [model], slope: 3.0}
    validation: {require: {error: {max: 0.5}}}
    deployment: {inputs: {reference: collect}, to: [staging], alias: champion}
    monitoring: {}
"""
STAGES = """

def collect():
    return {"x": [float(i) for i in range(200)]}


def train(context, collect, *, slope=1.0):
    context.log_params({"slope": slope})
    context.log_metrics({"error": 1 / len(collect["x"])})
    return Line(slope)
"""
KEPT = {"tracker": "mlruns", "registry": "registry.db", "environments": "environments/staging/server", "sinks": "monitoring.db"}
PATIENCE = 30.0


def outcome(project: Project) -> dict[str, Any]:
    """Everything that a person could tell of a run and of what came of it."""
    report = project.pipeline().run_pipeline(run_id="run-1")
    assert report.error is None
    version = project.versioning.get_version("line", "@champion")
    predicted = project.deployment.predict("line", "staging", {"x": [1.0, 2.5]})
    for number in range(5):
        project.monitoring.track_prediction("client", 0.25, number > 0, "TimeoutError" if number == 0 else None)
    project.monitoring.flush()
    tracked = project.tracker.get_run("run-1")
    same = project.drift.check_version("line", version.version, {"x": [float(i) for i in range(0, 200, 2)]})
    other = project.drift.check_version("line", version.version, {"x": [float(i) + 150 for i in range(200)]})
    again = project.pipeline().run_pipeline(run_id="run-1", resume=True)
    project.deployment.rollback_deployment(model_id="line", environment="staging")
    return {
        "run": [(stage.stage, stage.status.value, dict(stage.metrics)) for stage in report.stages],
        "version": (version.version, dict(version.metadata)),
        "digest": version.digest,
        "lineage": [(link.kind, link.name) for link in version.parents if link.kind not in {"code", "environment"}],
        "predicted": (predicted.version, [float(y) for y in predicted.outputs["y"]]),
        "measured": measured(project),
        "tracked": (tracked.experiment, tracked.status.value, dict(tracked.params), dict(tracked.metrics)),
        "tests": sorted({one.test for one in same.outcomes}),
        "drifted": (same.drift_detected, other.drift_detected),
        "resumed": again.status.value,
        "deployments": [(one.version, one.status.value) for one in project.deployment.history("line", "staging")],
        "served last": list(project.deployment.status("line", "staging").routes),
        "found": [run.run_id for run in project.tracker.search_runs("params.training.slope = '3.0'")],
    }


def measured(project: Project) -> tuple[int, int, dict[str, int]]:
    """Predictions and errors that were counted, once all have arrived."""
    deadline = time.monotonic() + PATIENCE
    while (found := project.monitoring.get_metrics("client")).total_predictions < 5 and time.monotonic() < deadline:
        time.sleep(0.05)
    return found.total_predictions, found.total_errors, dict(found.errors_by_type)


def run(folder: Path, name: str, **parts: str) -> dict[str, Any]:
    """The project with these parts in an overlay, and its outcome."""
    (folder / "mlops.yaml").write_text(PIPELINE)
    (folder / "parts.py").write_text(LINE + STAGES)
    (folder / f"mlops.{name}.yaml").write_text("\n".join({**IN_MEMORY, **parts}.values()))
    with Project.open(folder, profile=name) as project:
        try:
            return outcome(project)
        finally:
            project.deployment.shutdown("staging")


def there(folder: Path) -> set[str]:
    """The parts that keep something on the disk."""
    return {part for part, path in KEPT.items() if (folder / ".mlops" / path).exists()}


@pytest.fixture(scope="module")
def in_memory(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What comes of it when every part is in memory."""
    return run(tmp_path_factory.mktemp("memory"), "memory")


def test_what_comes_of_it(in_memory: dict[str, Any]) -> None:
    assert [status for _, status, _ in in_memory["run"]] == ["succeeded"] * 5
    assert in_memory["version"][0] == "1"
    assert in_memory["tests"] == ["ks"]
    assert in_memory["lineage"] == [("run", "swap/run-1"), ("data", "collect.collect"), ("params", "training")]
    assert in_memory["version"][1]["error"] == 1 / 200
    assert in_memory["predicted"] == ("1", [3.0, 7.5])
    assert in_memory["measured"] == (5, 1, {"TimeoutError": 1})
    assert in_memory["tracked"][:2] == ("swap", "finished")
    assert in_memory["drifted"] == (False, True)
    assert in_memory["deployments"] == [("1", "rolled_back")]
    assert in_memory["served last"] == []
    assert in_memory["found"] == ["run-1"]


@pytest.mark.parametrize("part", ["tracker", "registry", "sinks"])
def test_one_part_is_swapped_by_its_line(tmp_path: Path, in_memory: dict[str, Any], part: str) -> None:
    assert run(tmp_path, "swapped", **{part: INSTALLED[part]}) == in_memory
    assert there(tmp_path) == {part}


def test_the_drift_tests_are_swapped_by_their_line(tmp_path: Path, in_memory: dict[str, Any]) -> None:
    """What a version keeps of its reference is what its tests need, so its digest is another."""
    found = run(tmp_path, "swapped", **{"drift.tests": INSTALLED["drift.tests"]})
    assert found.pop("digest") != in_memory["digest"]
    assert found == {**{name: value for name, value in in_memory.items() if name != "digest"}, "tests": ["psi"]}


def test_all_parts_are_swapped_by_their_lines(tmp_path: Path, in_memory: dict[str, Any]) -> None:
    """The environments too: their server runs in processes of its own, so that all parts must be such that those can reach them."""
    found = run(tmp_path, "installed", **{**INSTALLED, "drift.tests": IN_MEMORY["drift.tests"]})
    assert found == in_memory
    assert there(tmp_path) == set(KEPT)


def test_environments_are_swapped_by_their_line(tmp_path: Path, in_memory: dict[str, Any]) -> None:
    """From the server back into this process, all else as before."""
    parts = {part: line for part, line in INSTALLED.items() if part not in {"environments", "drift.tests"}}
    assert run(tmp_path, "swapped", **parts) == in_memory
    assert there(tmp_path) == set(parts)
