import math
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from mlops_core.exceptions import ExperimentError, PipelineError
from mlops_core.mlops_pipeline import MLOpsPipeline
from mlops_core.records import Query, RunStatus, TrackBatch
from mlops_core.roles import StageContext
from mlops_core.testing.memory_tracker import MemoryTracker


def tracked_pipeline(build: Any, tmp_path: Path, tracker: MemoryTracker) -> MLOpsPipeline:
    pipeline = MLOpsPipeline("tickets", stack=build(trackers={"memory": tracker}))
    plot = tmp_path / "plot.txt"
    plot.write_text("a curve")

    @pipeline.stage("training", retries=1)
    def train(context: StageContext, fail: bool = False) -> int:  # noqa: FBT001, FBT002  an input
        context.log_params({"depth": 3})
        for step in range(3):
            context.log_metrics({"loss": 1.0 / (step + 1), "odd": math.nan}, step=step)
        context.log_artifact("plot", plot)
        if fail:
            raise ValueError("no")
        return 1

    return pipeline


def test_a_run_is_tracked_under_its_own_id(build: Any, tmp_path: Path) -> None:
    tracker = MemoryTracker()
    pipeline = tracked_pipeline(build, tmp_path, tracker)
    report = pipeline.run_pipeline()

    (run,) = tracker.find_runs("acme", Query())
    assert (run.run_id, run.experiment, run.name) == (report.run_id, "tickets", report.run_id)
    assert run.status is RunStatus.FINISHED
    assert run.params == {"training.depth": "3"}
    assert run.metrics["loss"] == pytest.approx(1 / 3)
    assert math.isnan(run.metrics["odd"])
    stored = tracker.artifacts[report.run_id, "plot/plot.txt"]
    assert stored.read_text() == "a curve"
    assert run.tags["pipeline"] == "tickets"
    assert run.tags["model"] == "tickets"


def test_a_failed_run_says_so_and_is_tracked_on_when_it_is_resumed(build: Any, tmp_path: Path) -> None:
    tracker = MemoryTracker()
    pipeline = tracked_pipeline(build, tmp_path, tracker)

    @pipeline.stage("deployment")
    def deploy(training: int) -> int:
        raise ValueError("not yet")

    failed = pipeline.run_pipeline()
    (run,) = tracker.find_runs("acme", Query())
    assert run.status is RunStatus.FAILED

    @pipeline.stage("deployment")
    def deploy_now(training: int) -> int:
        return training

    pipeline.run_pipeline(resume=True)
    (run,) = tracker.find_runs("acme", Query())
    assert (run.run_id, run.status) == (failed.run_id, RunStatus.FINISHED)


def test_a_failed_attempt_logs_nothing(build: Any, tmp_path: Path) -> None:
    tracker = MemoryTracker()
    pipeline = tracked_pipeline(build, tmp_path, tracker)
    pipeline.run_pipeline(inputs={"fail": True})
    (run,) = tracker.find_runs("acme", Query())
    assert (run.status, run.params, run.metrics) == (RunStatus.FAILED, {}, {})


def test_a_run_that_was_taken_over_is_left_to_its_new_owner(build: Any) -> None:
    """A process that was held up beyond its lease comes back: what it made is not logged, and the finished run stays finished."""
    tracker = MemoryTracker()
    stack = build(trackers={"memory": tracker})
    pipeline, journal = MLOpsPipeline("tickets", stack=stack), "runs/tickets/run-1"
    calls: list[int] = []

    @pipeline.stage("training")
    def train(context: StageContext) -> int:
        calls.append(len(calls))
        if len(calls) == 1:
            (begun,) = stack.parts.registry.read("acme", journal, limit=1)
            stack.parts.registry.lease("acme", journal, begun.change["owner"], timedelta(0))  # it has passed
            assert pipeline.run_pipeline(resume=True, run_id="run-1").error is None
            context.log_metrics({"stale": 1.0})
        else:
            context.log_metrics({"loss": 0.5})
        return 1

    with pytest.raises(PipelineError, match="was taken over by another process - this one stops"):
        pipeline.run_pipeline(run_id="run-1")
    (run,) = tracker.find_runs("acme", Query())
    assert (run.status, run.metrics) == (RunStatus.FINISHED, {"loss": 0.5})
    assert len(calls) == 2


class Broken(MemoryTracker):
    """Refuses every batch."""

    contract = 1

    def write(self, run_id: str, batch: TrackBatch) -> None:
        raise ExperimentError("tracker: down")


def test_a_tracker_that_is_down_does_not_stop_the_pipeline(build: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mlops_core.tracking.tracker._WAIT", 0.2)
    assert tracked_pipeline(build, tmp_path, Broken()).run_pipeline().status == "succeeded"


def test_a_spool_that_cannot_be_written_does_not_stop_it_either(build: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    pipeline = tracked_pipeline(build, tmp_path, MemoryTracker())
    folder = tmp_path / ".mlops" / "spool"
    folder.parent.mkdir()
    folder.write_text("a file where a folder belongs")
    assert pipeline.run_pipeline().status == "succeeded"
    assert "not tracked" in caplog.text
