"""``mlops status``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlops_core.records import NewEntry

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest

    from mlops_core.project import Project

    from .conftest import Answer


def test_an_empty_project(mlops: Callable[..., Answer], project: Project) -> None:
    answer = mlops("status")
    assert answer.code == 0
    assert "no run yet - `mlops run`" in answer.out
    assert "control loop: none runs, and nothing waits for one" in answer.out


def test_without_a_file_it_says_what_it_shows(mlops: Callable[..., Answer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert mlops("status").out.startswith("no mlops.yaml here or above: the default stack in .mlops is meant - `mlops init`")


def test_a_project_at_work(mlops: Callable[..., Answer], versions: tuple[str, str], project: Project) -> None:
    mlops("run", "--run-id", "first")
    mlops("deploy", "line", "1", "--to", "staging")
    for _ in range(10):
        project.monitoring.track_prediction("line", 0.1, False, "ValueError", environment="staging")  # noqa: FBT003  the specification's call
    project.monitoring.flush()
    project.monitoring.evaluate()
    told = mlops("status", "first", "--json").json
    assert told["run"]["status"] == "succeeded"
    assert told["endpoints"][0]["live"]["version"] == "1"
    assert told["incidents"][0]["rule"] == "errors"
    out = mlops("status").out
    assert "Pipeline demo: succeeded (first" in out
    assert "1 (100%)" in out
    assert "score=0.75" in out
    assert "none runs - start `mlops watch`; waiting for it: errors" in out


def test_scheduled_checks_are_shown(mlops: Callable[..., Answer], project: Project) -> None:
    state = {"end": "2024-01-02T00:00:00+00:00", "level": 0.033, "reason": ""}
    found = {"drift_detected": True, "p_value": 0.0012, "threshold": 0.033, "columns": ["delay"], "rows": 1200}
    entries = {
        "drift/line/production": {**state, "versions": {"1": found, "2": {"reason": "drift: no reference"}}},
        "drift/line/staging": {**state, "versions": {}, "reason": "no prediction was sampled"},
    }
    for name, full in entries.items():
        entry = NewEntry(at=project.stack.clock.now(), kind="checked", state=full)
        project.stack.parts.registry.append(project.stack.tenant, name, 0, entry)
    out = mlops("status").out
    assert "drift in delay (p 0.0012, level 0.033, 1,200 rows)" in out
    assert "not checked: drift: no reference" in out
    assert "not checked: no prediction was sampled" in out
    assert [one["environment"] for one in mlops("status", "--json").json["drift"]] == ["production", "staging"]
