"""Records to calls."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops_core.testing.memory_tracker import MemoryTracker
from mlops_core.tracking.replay import apply

if TYPE_CHECKING:
    from mlops_core.records import TrackBatch

RUN: dict[str, Any] = {"tenant": "acme", "experiment": "e", "name": "n", "at": "2024-01-01T00:00:00Z", "tags": {}, "parent_run_id": None}


class Counting(MemoryTracker):
    """Remembers the sequence numbers of its batches."""

    def write(self, run_id: str, batch: TrackBatch) -> None:
        self.__dict__.setdefault("calls", []).append((run_id, batch.sequence))
        super().write(run_id, batch)


def _batch(run: str, **values: object) -> dict[str, Any]:
    return {"kind": "batch", "run_id": run, "at": 0, "step": 0, **values}


def test_neighbours_of_one_run_become_one_batch() -> None:
    tracker = Counting()
    group: list[tuple[int, dict[str, Any]]] = [
        (1, {"kind": "start", "run": {**RUN, "run_id": "a"}}),
        (2, {"kind": "start", "run": {**RUN, "run_id": "b"}}),
        (3, _batch("a", params={"p": "1"})),
        (4, _batch("a", metrics={"m": 1.0})),
        (5, _batch("b", tags={"t": "x"})),
        (6, _batch("a", metrics={"m": 2.0})),
        (7, {"kind": "end", "run_id": "a", "status": "finished", "at": "2024-01-01T00:00:00+00:00"}),
    ]
    assert list(apply(tracker, "w", group, Path())) == []
    assert tracker.__dict__["calls"] == [("a", 4), ("b", 5), ("a", 6)]
    assert tracker.runs["a"].metrics == {"m": 2.0}
    assert tracker.runs["a"].status == "finished"


def test_refusals_are_answered_and_the_rest_applied() -> None:
    tracker = MemoryTracker()
    group: list[tuple[int, dict[str, Any]]] = [
        (1, {"kind": "start", "run": {**RUN, "run_id": "a"}}),
        (2, _batch("a", params={"p": "1"})),
        (3, {"kind": "end", "run_id": "unknown", "status": "finished", "at": "2024-01-01T00:00:00+00:00"}),
        (4, _batch("a", metrics={"m": 1.0})),
        (5, _batch("a", params={"p": "2"})),
        (6, _batch("a", metrics={"m": 3.0})),
    ]
    refusals = [refusal.message for refusal in apply(tracker, "w", group, Path())]
    assert len(refusals) == 2
    assert "no run 'unknown'" in refusals[0]
    assert "'p' cannot change" in refusals[1]
    assert tracker.history["a"] == [("m", 1.0, 0), ("m", 3.0, 0)]
