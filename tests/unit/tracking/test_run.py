"""A run's handle."""

from __future__ import annotations

import os
import platform
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from matplotlib.figure import Figure

from mlops_core.builtin.json_format import JsonFormat
from mlops_core.clock import SystemClock
from mlops_core.exceptions import ExperimentError
from mlops_core.records import RunStatus
from mlops_core.testing.stack import make_stack
from mlops_core.tracking import ExperimentTracker

if TYPE_CHECKING:
    from mlops_core.stack import Stack
    from mlops_core.testing.memory_tracker import MemoryTracker


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
    copies = [names for folder, _, names in os.walk(tmp_path) if folder.endswith(".files")]  # rglob fails where a spool goes meanwhile
    assert not any(copies)


def test_objects_are_kept_under_their_names(memory: MemoryTracker, tmp_path: Path) -> None:
    figure = Figure()
    figure.add_subplot().plot([1, 2])
    stack = make_stack(tmp_path, trackers={"memory": memory}, formats={"json": JsonFormat()}, clock=SystemClock())
    with ExperimentTracker(stack=stack) as tracker, tracker.start_run() as run:
        run.log_figure("plots/roc.svg", figure)
        run.log_table("errors.csv", {"x": [1]})
        run.log_model("weights", {"slope": 2.0})
    assert b"<svg" in memory.read_artifact(run.key, "plots/roc.svg")
    assert memory.read_artifact(run.key, "errors.csv") == b"x\r\n1\r\n"
    assert b"slope" in memory.read_artifact(run.key, "weights/weights.json")


def test_what_cannot_be_kept_leaves_nothing(tracker: ExperimentTracker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Odd:
        def savefig(self, path: str) -> None:
            raise RuntimeError("no\ncanvas")

    run = tracker.start_run()
    with pytest.raises(ExperimentError, match=r"artifact 'weights': cannot write it: .*none of the formats .* holds a .*Odd"):
        run.log_model("weights", Odd())
    with pytest.raises(ExperimentError, match=r"artifact 'a\.png': cannot draw it: RuntimeError: no canvas$"):
        run.log_figure("a.png", Odd())
    with pytest.raises(ExperimentError, match="does not name an artifact"):
        run.log_table("../t.csv", {"x": [1]})
    monkeypatch.setattr(Odd, "savefig", lambda *_: None)
    with pytest.raises(ExperimentError, match=r"artifact 'a\.png': nothing was written"):
        run.log_figure("a.png", Odd())
    assert not [place for place in tmp_path.rglob("*.files") if list(place.iterdir())]


def test_the_environment_and_a_note(tracker: ExperimentTracker, memory: MemoryTracker, stack: Stack) -> None:
    (stack.root / ".git").mkdir()
    (stack.root / ".git" / "HEAD").write_text("0" * 40)
    with tracker.start_run() as run:
        run.log_environment(seed=7)
        run.set_note("the first")
        run.set_note("deeper")
    found = tracker.get_run(run.run_id)
    assert found.params == {"seed": "7"}
    assert dict(found.tags) == {
        "git_commit": "0" * 40,
        "python": platform.python_version(),
        "platform": f"{sys.platform} {platform.machine()}",
        "note": "deeper",
    }
    installed = memory.read_artifact(run.key, "environment/packages.txt").decode().splitlines()
    assert f"numpy=={np.__version__}" in installed
    with pytest.raises(ExperimentError, match="is not a whole number"):
        tracker.start_run().log_environment(seed=0.5)  # type: ignore[arg-type]  # as somebody might


def test_outside_a_repository_there_is_no_commit(tracker: ExperimentTracker) -> None:
    with tracker.start_run() as run:
        run.log_environment()
    assert set(tracker.get_run(run.run_id).tags) == {"python", "platform"}


def test_what_is_long_to_write_holds_up_no_other_thread(tracker: ExperimentTracker) -> None:
    drawing, drawn = threading.Event(), threading.Event()

    class Slow:
        def savefig(self, path: str) -> None:
            drawing.set()
            assert drawn.wait(30)
            Path(path).write_bytes(b"x")

    with tracker.start_run() as run:
        thread = threading.Thread(target=run.log_figure, args=("a.png", Slow()))
        thread.start()
        assert drawing.wait(30)
        run.log_metrics({"loss": 0.5})
        assert thread.is_alive()
        drawn.set()
        thread.join()
    assert tracker.get_run(run.run_id).metrics == {"loss": 0.5}


def test_a_run_that_ends_meanwhile_keeps_no_copy(tracker: ExperimentTracker, tmp_path: Path) -> None:
    class Ending:
        def savefig(self, path: str) -> None:
            Path(path).write_bytes(b"x")
            run.end()

    run = tracker.start_run()
    with pytest.raises(ExperimentError, match=r"has ended \(finished\)"):
        run.log_figure("a.png", Ending())
    tracker.flush()
    assert list(tmp_path.rglob("a.png")) == []
