"""Every example of the specification runs as written: with its import root changed, after ``preamble.py``."""

from __future__ import annotations

import re
import runpy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from mlops_core import MLOpsPipeline, ModelDeployment, Project

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent


def example(name: str, namespace: dict[str, Any]) -> None:
    (path,) = (HERE / "examples").glob(f"*_{name}.py")
    exec(compile(path.read_text(), path, "exec"), namespace)  # noqa: S102  running them is the test


@pytest.fixture
def namespace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLOPS_PROJECT", raising=False)
    names = runpy.run_path(str(HERE / "preamble.py"), run_name="specification")
    yield names
    for name in ("pipeline", "tracker", "versioning", "deployment", "monitoring", "detector"):
        if hasattr(names.get(name), "close"):
            names[name].close()
    with Project.open(tmp_path) as project:
        for environment in project.settings.environments:
            project.deployment.shutdown(environment)


def test_pipeline_and_custom_stage(namespace: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    example("pipeline", namespace)
    assert namespace["results"].error is None
    assert capsys.readouterr().out == "Pipeline status: succeeded\n"
    assert [result.status.value for result in namespace["results"].stages] == ["succeeded"] * 6
    example("custom_stage", namespace)
    assert isinstance(namespace["pipeline"], MLOpsPipeline)


def test_tracking(namespace: dict[str, Any]) -> None:
    example("tracking", namespace)
    (experiment,) = namespace["experiments"]
    assert experiment.name == "ticket_classifier_v1"
    (run,) = namespace["tracker"].search_runs("metrics.accuracy = 0.95")
    assert run.params["max_depth"] == "10"


def test_versioning_and_deployment(namespace: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    example("versioning", namespace)
    assert "ticket_classifier" in capsys.readouterr().out
    version = namespace["versioning"].get_version("ticket_classifier", namespace["version_id"])
    assert version.metadata["dataset_version"] == "v2.1"
    example("deployment", namespace)
    assert re.fullmatch(r"Deployment ID: \S+\nStatus: live\n", capsys.readouterr().out)
    deployment: ModelDeployment = namespace["deployment"]
    assert deployment.status("ticket_classifier", "production").live is None  # the first deployment was withdrawn


def test_monitoring(namespace: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    example("monitoring", namespace)
    out = capsys.readouterr().out
    assert "Total predictions: 2\nSuccess rate: 0.5\n" in out
    assert "Model health: unhealthy" in out


def test_drift_and_custom_detector(namespace: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    example("drift", namespace)
    out = capsys.readouterr().out
    assert "Data drift detected! P-value: " in out
    example("custom_detector", namespace)
    detector = namespace["CustomDriftDetector"](tenant_id="tenant_123")
    assert detector.detect_custom_drift([1], [2]) == {"drift_detected": False}


def test_exceptions(namespace: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    example("tracking", namespace)
    namespace["deployment"] = ModelDeployment(tenant_id="tenant_123")
    example("exceptions", namespace)
    out = capsys.readouterr().out
    assert "Experiment tracking failed: tracker: params must be a mapping" in out
    assert "Deployment failed: " in out


def test_functions(namespace: dict[str, Any]) -> None:
    example("functions", namespace)
    namespace["monitoring"].track_prediction("m", 0.1, success=True)
    assert namespace["monitoring"].get_metrics("m")["total_predictions"] == 1
