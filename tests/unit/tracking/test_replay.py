"""Records to calls."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops_core.records import RunKey
from mlops_core.testing.memory_tracker import MemoryTracker
from mlops_core.tracking.replay import apply

if TYPE_CHECKING:
    from mlops_core.records import TrackBatch

A, B = (RunKey("acme", "e", run_id) for run_id in "ab")


def _start(run: RunKey) -> dict[str, Any]:
    return {"kind": "start", "start": {"key": run.to_dict(), "name": "n", "at": "2024-01-01T00:00:00Z", "tags": {}, "parent": None}}


class Counting(MemoryTracker):
    """Remembers the sequence numbers of its batches."""

    def write(self, run: RunKey, batch: TrackBatch) -> None:
        self.__dict__.setdefault("calls", []).append((run, batch.sequence))
        super().write(run, batch)


def _batch(run: RunKey, **values: object) -> dict[str, Any]:
    return {"kind": "batch", "run": run.to_dict(), "at": 0, "step": 0, **values}


def test_neighbours_of_one_run_become_one_batch() -> None:
    tracker = Counting()
    group: list[tuple[int, dict[str, Any]]] = [
        (1, _start(A)),
        (2, _start(B)),
        (3, _batch(A, params={"p": "1"})),
        (4, _batch(A, metrics={"m": 1.0})),
        (5, _batch(B, tags={"t": "x"})),
        (6, _batch(A, metrics={"m": 2.0})),
        (7, {"kind": "end", "run": A.to_dict(), "status": "finished", "at": "2024-01-01T00:00:00+00:00"}),
    ]
    assert list(apply(tracker, "w", group, Path())) == []
    assert tracker.__dict__["calls"] == [(A, 4), (B, 5), (A, 6)]
    assert tracker.runs[A].metrics == {"m": 2.0}
    assert tracker.runs[A].status == "finished"


def test_refusals_are_answered_and_the_rest_applied() -> None:
    tracker = MemoryTracker()
    group: list[tuple[int, dict[str, Any]]] = [
        (1, _start(A)),
        (2, _batch(A, params={"p": "1"})),
        (3, {"kind": "end", "run": {**A.to_dict(), "run_id": "unknown"}, "status": "finished", "at": "2024-01-01T00:00:00+00:00"}),
        (4, _batch(A, metrics={"m": 1.0})),
        (5, _batch(A, params={"p": "2"})),
        (6, _batch(A, metrics={"m": 3.0})),
    ]
    refusals = [refusal.message for refusal in apply(tracker, "w", group, Path())]
    assert len(refusals) == 2
    assert "no run 'unknown'" in refusals[0]
    assert "'p' cannot change" in refusals[1]
    assert tracker.history[A] == [("m", 1.0, 0), ("m", 3.0, 0)]
