"""One tracker's way: what fails is tried again, what can never arrive is set aside, and neither holds up the rest."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

import pytest

from mlops_core.clock import SystemClock
from mlops_core.exceptions import ExperimentError
from mlops_core.testing.memory_tracker import MemoryTracker
from mlops_core.testing.stack import make_stack
from mlops_core.tracking import ExperimentTracker

if TYPE_CHECKING:
    from pathlib import Path

    from mlops_core.records import RunKey, TrackBatch


class Stumbling(MemoryTracker):
    """Fails at every batch with the param ``bad``, for no reason that it names; ``down``: at everything."""

    down = False

    def write(self, run: RunKey, batch: TrackBatch) -> None:
        if self.down or "bad" in batch.params:
            raise RuntimeError("internal error\nand more")
        super().write(run, batch)


def facade(root: Path, tracker: MemoryTracker, mode: Any = "spool") -> ExperimentTracker:
    return ExperimentTracker(stack=make_stack(root, trackers={"memory": tracker}, clock=SystemClock()), mode=mode)


def flushed(tracker: ExperimentTracker) -> bool:
    return any(tracker.flush(60) for _ in range(5))


def test_a_record_that_can_never_arrive_is_set_aside(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    memory = Stumbling()
    with caplog.at_level(logging.WARNING, logger="mlops_core"), facade(tmp_path, memory) as tracker:
        with tracker.start_run() as run:
            run.log_metrics({"before": 1})
            run.log_params({"bad": 1})
            run.log_metrics({"after": 1})
        assert flushed(tracker)
    found = memory.runs[run.key]
    assert (found.metrics, found.params, found.status) == ({"before": 1.0, "after": 1.0}, {}, "finished")
    (kept,) = (tmp_path / ".mlops" / "spool").rglob("*.rejected")
    (line,) = (json.loads(line) for line in kept.read_text().splitlines())
    assert (line["tracker"], line["error"], line["record"]["params"]) == ("memory", "RuntimeError: internal error", {"bad": "1"})
    assert len([one for one in caplog.messages if one.startswith("tracker memory: run") and str(kept) in one]) == 1
    assert len([one for one in caplog.messages if "cannot be reached" in one]) == 1


def test_a_run_that_fails_holds_up_no_other(tmp_path: Path) -> None:
    memory = Stumbling()
    with facade(tmp_path, memory) as tracker:
        bad = tracker.start_run()
        bad.log_params({"bad": 1})
        tracker.flush(60)
        with tracker.start_run() as good:
            good.log_metrics({"a": 1})
        flushed(tracker)
        assert memory.runs[good.key].status == "finished"


def test_an_outage_sets_nothing_aside(tmp_path: Path) -> None:
    memory = Stumbling()
    with facade(tmp_path, memory) as tracker, tracker.start_run() as run:
        assert tracker.flush(60)
        memory.down = True
        run.log_params({"a": 1})
        assert not flushed(tracker)
        memory.down = False
        assert tracker.flush(60)
    assert memory.runs[run.key].params == {"a": "1"}
    assert list((tmp_path / ".mlops" / "spool").rglob("*.rejected")) == []


def test_an_artifact_whose_copy_is_gone_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("x")
    memory = Stumbling()
    with facade(tmp_path, memory, "sync") as tracker, tracker.start_run() as run:
        memory.down = True
        with pytest.raises(ExperimentError, match="not delivered: memory: RuntimeError: internal error - the records are kept"):
            run.log_params({"a": 1})
        with pytest.raises(ExperimentError, match="not delivered"):
            run.log_artifact("report", tmp_path / "a.txt")
        for copy in (tmp_path / ".mlops" / "spool").rglob("a.txt"):
            copy.unlink()
        memory.down = False
        with pytest.raises(ExperimentError, match=r"artifact 'report/a.txt': its copy .* is gone - log it again"):
            run.log_metrics({"b": 1})
    assert (memory.runs[run.key].params, memory.runs[run.key].metrics) == ({"a": "1"}, {"b": 1.0})
