"""Delivery: recovery, leftovers, and a tracker that hangs."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

from mlops_core.clock import SystemClock
from mlops_core.records import RunKey
from mlops_core.spool import Mark, Spool
from mlops_core.testing.memory_tracker import MemoryTracker
from mlops_core.tracking.delivery import Delivery

if TYPE_CHECKING:
    from pathlib import Path

    from mlops_core.records import TrackBatch

KEY = RunKey("acme", "e", "r1")
RUN = KEY.to_dict()
START: dict[str, Any] = {"name": "n", "at": "2024-01-01T00:00:00Z", "tags": {}, "parent": None}


def spooled(folder: Path, *, end: bool = False) -> Spool:
    spool = Spool.open(folder, "r1.x")
    spool.append({"kind": "start", "start": {"key": RUN, **START}})
    for step in range(5):
        spool.append({"kind": "batch", "run": RUN, "at": 0, "step": step, "metrics": {"m": step}})
    if end:
        spool.append({"kind": "end", "run": RUN, "status": "finished", "at": "2024-01-01T00:00:00+00:00"})
    return spool


def delivery(folder: Path, **trackers: MemoryTracker) -> Delivery:
    made = Delivery(folder, trackers, SystemClock())
    made.start()
    made.start()
    return made


def test_an_interrupted_group_is_sent_again_as_it_was_and_counts_once(tmp_path: Path) -> None:
    memory = MemoryTracker()
    spool = spooled(tmp_path)
    memory.ensure_experiment("acme", "e", {})
    first = delivery(tmp_path, memory=memory)
    first.add(spool)
    assert first.flush(5) == {}
    first.close(1)
    again = Spool.open(tmp_path, "r1.x")
    again.set_mark("memory", Mark(1, 6))  # as if the process had died before it could say that the group arrived
    again.append({"kind": "batch", "run": RUN, "at": 0, "step": 9, "metrics": {"m": 9}})
    again.close()
    second = delivery(tmp_path, memory=memory)
    assert second.recover() == 1
    assert second.flush(5) == {}
    second.close(1)
    assert [step for _, _, step in memory.history[KEY]] == [0, 1, 2, 3, 4, 9]
    assert memory.runs[KEY].status == "interrupted"


def test_a_run_that_ended_before_the_crash_keeps_its_status(tmp_path: Path) -> None:
    memory = MemoryTracker()
    spooled(tmp_path, end=True).close()
    made = delivery(tmp_path, memory=memory)
    made.recover()
    made.flush(5)
    made.close(1)
    made.close(1)
    assert memory.runs[KEY].status == "finished"
    assert list(tmp_path.iterdir()) == []


def test_copies_without_a_spool_are_swept(tmp_path: Path) -> None:
    (tmp_path / "gone.files" / "x").mkdir(parents=True)
    kept = tmp_path / "r1.x.files"
    kept.mkdir()
    spool = spooled(tmp_path)
    made = delivery(tmp_path, memory=MemoryTracker())
    made.recover()
    assert not (tmp_path / "gone.files").exists()
    assert kept.exists()
    made.close(0)
    spool.close()


def test_a_hanging_tracker_holds_up_nobody(tmp_path: Path) -> None:
    release = threading.Event()

    class Hanging(MemoryTracker):
        def write(self, run: RunKey, batch: TrackBatch) -> None:
            release.wait(30)

    good = MemoryTracker()
    made = delivery(tmp_path, hanging=Hanging(), good=good)
    made.add(spooled(tmp_path))
    missing = made.flush(1)
    assert list(missing) == ["hanging"]
    assert "still being sent" in missing["hanging"]
    assert good.runs[KEY].metrics == {"m": 4.0}
    release.set()
    assert made.flush(10) == {}
    made.close(1)


def test_a_busy_stream_starves_no_other(tmp_path: Path) -> None:
    memory = MemoryTracker()
    made = delivery(tmp_path, memory=memory)
    busy = Spool.open(tmp_path, "busy")
    other = {**RUN, "run_id": "busy"}
    busy.append({"kind": "start", "start": {"key": other, **START}})
    made.add(busy)
    made.add(spooled(tmp_path, end=True), sealed=True)
    deadline = time.monotonic() + 10
    while memory.runs.get(KEY) is None or memory.runs[KEY].status == "running":
        busy.append({"kind": "batch", "run": other, "at": 0, "step": 0, "tags": {"a": "b"}})
        assert time.monotonic() < deadline
    made.close(5)
