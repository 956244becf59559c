"""``mlops status``."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
