"""``mlops run``, ``runs`` and ``status``."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mlops_core.project import Project

    from .conftest import Answer


def test_the_pipeline_runs(mlops: Callable[..., Answer], project: Project) -> None:
    answer = mlops("run", "--run-id", "first")
    assert (answer.code, answer.err) == (0, "")
    assert "train                succeeded" in answer.out
    assert "score=0.75" in answer.out
    assert answer.out.endswith("run first: succeeded\n")


def test_json_is_the_report_alone(mlops: Callable[..., Answer], project: Project) -> None:
    report = mlops("run", "collect", "--json").json
    assert (report["status"], [one["stage"] for one in report["stages"]]) == ("succeeded", ["collect"])


def test_a_failing_stage_exits_1_and_resumes(mlops: Callable[..., Answer], project: Project, tmp_path: Path) -> None:
    text = (tmp_path / "mlops.yaml").read_text()
    (tmp_path / "mlops.strict.yaml").write_text("pipeline: {stages: {validation: {require: {score: {min: 0.9}}}}}")
    answer = mlops("run", "--run-id", "r1", "--profile", "strict")
    assert answer.code == 1
    assert "score 0.75 is below 0.9" in answer.out
    assert text == (tmp_path / "mlops.yaml").read_text()


def test_unknown_stages_are_one_line(mlops: Callable[..., Answer], project: Project) -> None:
    answer = mlops("run", "colect")
    assert answer.code == 1
    assert answer.err.count("\n") == 1
    assert "'colect'" in answer.err


def test_resume_goes_on_with_the_newest_run_and_begins_one_where_there_is_none(mlops: Callable[..., Answer], project: Project) -> None:
    first = mlops("run", "--resume", "--json").json
    assert first["status"] == "succeeded"
    assert mlops("run", "--resume", "--json").json["run_id"] == first["run_id"]
