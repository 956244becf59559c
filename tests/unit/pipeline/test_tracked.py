import importlib
import math
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from mlops_core.exceptions import ExperimentError, PipelineError
from mlops_core.mlops_pipeline import MLOpsPipeline
from mlops_core.records import Query, RunKey, RunStatus, TrackBatch
from mlops_core.roles import StageContext
from mlops_core.testing.memory_tracker import MemoryTracker
from mlops_core.tracking.run import Run

CACHED = """
def train(context):
    context.log_params({"depth": 3})
    for step in range(2):
        context.log_metrics({"loss": 1.0 / (step + 1)}, step=step)
    return 1
"""


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
    stored = tracker.artifacts[RunKey("acme", "tickets", report.run_id), "plot/plot.txt"]
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


def test_a_failed_attempt_is_logged_under_its_number(build: Any, tmp_path: Path) -> None:
    """Its curve is what somebody will look for, and it mixes with no other attempt's."""
    tracker = MemoryTracker()
    pipeline = tracked_pipeline(build, tmp_path, tracker)
    pipeline.run_pipeline(inputs={"fail": True})
    (run,) = tracker.find_runs("acme", Query())
    assert run.status is RunStatus.FAILED
    assert run.params == {"training.attempt-1.depth": "3", "training.attempt-2.depth": "3"}
    assert run.metrics["training.attempt-2.loss"] == pytest.approx(1 / 3)
    (history,) = tracker.history.values()
    assert [step for name, _, step in history if name == "training.attempt-1.loss"] == [0, 1, 2]
    assert "training.attempt-1.plot/plot.txt" in {key[-1] for key in tracker.artifacts}


def test_an_attempt_after_a_failed_one_has_the_plain_names(build: Any) -> None:
    tracker = MemoryTracker()
    pipeline = MLOpsPipeline("tickets", stack=build(trackers={"memory": tracker}))
    depths: list[int] = []

    @pipeline.stage("training", retries=1)
    def train(context: StageContext) -> int:
        depths.append(len(depths))
        context.log_params({"depth": len(depths)})
        context.log_metrics({"loss": 1.0 / len(depths)}, step=9 - len(depths))
        if len(depths) == 1:
            raise ValueError("no")
        return 1

    assert pipeline.run_pipeline().status == "succeeded"
    (run,) = tracker.find_runs("acme", Query())
    assert run.params == {"training.attempt-1.depth": "1", "training.depth": "2"}
    assert run.metrics == {"training.attempt-1.loss": 1.0, "loss": 0.5}


def test_a_stage_from_the_cache_is_logged_as_it_ended(build: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "cached_training.py").write_text(CACHED)
    monkeypatch.syspath_prepend(tmp_path)
    tracker = MemoryTracker()
    pipeline = MLOpsPipeline("tickets", stack=build(trackers={"memory": tracker}))
    pipeline.add_stage("training", importlib.import_module("cached_training").train, cache=True)
    runs = [pipeline.run_pipeline().run_id for _ in range(2)]
    found = {run.run_id: (run.params, run.metrics) for run in tracker.find_runs("acme", Query())}
    assert found == dict.fromkeys(runs, ({"training.depth": "3"}, {"loss": 0.5}))


def test_what_a_tracker_refuses_takes_nothing_else_with_it(build: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    tracker = MemoryTracker()
    pipeline = tracked_pipeline(build, tmp_path, tracker)

    def refuse(*_: Any) -> None:
        raise ExperimentError("tracker: no params today")

    monkeypatch.setattr(Run, "log_params", refuse)
    report = pipeline.run_pipeline()
    (run,) = tracker.find_runs("acme", Query())
    assert (report.status, run.params) == ("succeeded", {})
    assert run.metrics["loss"] == pytest.approx(1 / 3)
    assert "plot/plot.txt" in {key[-1] for key in tracker.artifacts}


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

    def write(self, run: RunKey, batch: TrackBatch) -> None:
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
