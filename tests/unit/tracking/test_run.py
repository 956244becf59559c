"""A run's handle."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mlops_core.exceptions import ExperimentError
from mlops_core.records import RunStatus

if TYPE_CHECKING:
    from pathlib import Path

    from mlops_core.testing.memory_tracker import MemoryTracker
    from mlops_core.tracking import ExperimentTracker


def test_a_run_without_records_exists(tracker: ExperimentTracker) -> None:
    run = tracker.start_run("empty", experiment="e", tags={"a": "b"})
    found = tracker.get_run(run.run_id)
    assert (found.name, found.experiment, found.status, found.tags) == ("empty", "e", RunStatus.RUNNING, {"a": "b"})


def test_the_context_manager_ends_it(tracker: ExperimentTracker) -> None:
    with tracker.start_run() as good:
        pass
    with pytest.raises(ZeroDivisionError), tracker.start_run() as bad:
        _ = 1 / 0
    assert tracker.get_run(good.run_id).status is RunStatus.FINISHED
    assert tracker.get_run(bad.run_id).status is RunStatus.FAILED


def test_nothing_is_logged_after_the_end(tracker: ExperimentTracker) -> None:
    run = tracker.start_run()
    run.end()
    run.end("failed")
    assert run.status is RunStatus.FINISHED
    with pytest.raises(ExperimentError, match=r"has ended \(finished\) - start or resume"):
        run.log_params({"a": 1})


def test_a_param_does_not_change(tracker: ExperimentTracker) -> None:
    run = tracker.start_run()
    run.log_params({"a": 1})
    run.log_params({"a": "1", "b": 2})
    with pytest.raises(ExperimentError, match="param 'a' is '1' already"):
        run.log_params({"a": 2, "c": 3})
    assert tracker.get_run(run.run_id).params == {"a": "1", "b": "2"}


def test_resume_keeps_the_run(tracker: ExperimentTracker) -> None:
    with tracker.start_run(run_id="mine") as run:
        run.log_metrics({"a": 1})
    with tracker.start_run(run_id="mine") as again:
        again.log_metrics({"b": 2})
        assert tracker.get_run("mine").status is RunStatus.RUNNING
    assert tracker.get_run("mine").metrics == {"a": 1.0, "b": 2.0}


def test_children_name_their_parent(tracker: ExperimentTracker) -> None:
    with tracker.start_run() as parent, tracker.start_run(parent=parent) as child:
        assert tracker.get_run(child.run_id).parent_run_id == parent.run_id
        grandchild = tracker.start_run(parent=child.run_id)
        assert tracker.get_run(grandchild.run_id).parent_run_id == child.run_id
        with pytest.raises(ExperimentError, match="parent run: expected text, got int"):
            tracker.start_run(parent=5)  # type: ignore[arg-type]


def test_a_directory_is_kept_whole(tracker: ExperimentTracker, memory: MemoryTracker, tmp_path: Path) -> None:
    folder = tmp_path / "plots" / "deep"
    folder.mkdir(parents=True)
    (folder / "a.txt").write_text("x")
    with tracker.start_run() as run:
        run.log_artifact("figures", tmp_path / "plots")
    tracker.flush()
    assert memory.read_artifact(run.key, "figures/deep/a.txt") == b"x"


def test_one_missing_artifact_keeps_none(tracker: ExperimentTracker, memory: MemoryTracker, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("x")
    with tracker.start_run() as run, pytest.raises(ExperimentError, match="does not exist"):
        run.log_artifacts({"a": tmp_path / "a.txt", "b": tmp_path / "missing"})
    tracker.flush()
    assert memory.artifacts == {}


def test_an_unreadable_artifact_is_one_line(tracker: ExperimentTracker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.txt").write_text("x")

    def denied(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("shutil.copy2", denied)
    with tracker.start_run() as run, pytest.raises(ExperimentError, match=r"cannot copy .*: Permission denied"):
        run.log_artifact("a", tmp_path / "a.txt")
    assert list(tmp_path.rglob("*.files/*")) == []
