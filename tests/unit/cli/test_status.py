"""``mlops status``."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlops_core.project import Project

    from .conftest import Answer


def test_an_empty_project(mlops: Callable[..., Answer], project: Project) -> None:
    answer = mlops("status")
    assert answer.code == 0
    assert "no run yet - `mlops run`" in answer.out
    assert "control loop: none runs, and nothing waits for one" in answer.out


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
    assert "1 100%" in out
    assert "errors waits for one - start `mlops watch`" in out
