"""What crosses to the process that runs a stage."""

from __future__ import annotations

from mlops_core.records import ArtifactRef, PipelineStatus, RunReport, StackRef, StageResult, StageStatus, StageTask


def test_a_task_survives_json() -> None:
    task = StageTask(StackRef("/p", "acme", None, {"a": {"b": "${X}"}}), "r", "s", 1, {"x": ArtifactRef("a" * 64, 1, "json", "x")})
    assert StageTask.from_dict(task.to_dict()) == task


def test_a_report_answers_items_and_attributes() -> None:
    report = RunReport("p", "acme", "r", PipelineStatus.SUCCEEDED, (StageResult("s", StageStatus.SUCCEEDED),))
    assert report["status"] == report.status == "succeeded"
    assert RunReport.from_dict(report.to_dict()) == report
