"""The reference tracker passes its own suite."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from mlops_core.records import RunKey, RunStart
from mlops_core.testing.memory_tracker import MemoryTracker, mlops_tracker
from mlops_core.testing.tracker_suite import TrackerSuite

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlops_core.records import TrackBatch
    from mlops_core.roles import Tracker


class TestMemoryTracker(TrackerSuite):
    @pytest.fixture
    def tracker(self) -> Iterator[Tracker]:
        tracker = MemoryTracker()
        yield tracker
        tracker.close()

    def read_artifact(self, tracker: Tracker, run: RunKey, name: str) -> bytes:
        assert isinstance(tracker, MemoryTracker)
        return tracker.read_artifact(run, name)

    def read_history(self, tracker: Tracker, run: RunKey, metric: str) -> list[tuple[float, int]]:
        assert isinstance(tracker, MemoryTracker)
        return [(value, step) for name, value, step in tracker.history[run] if name == metric]


def test_the_hook_hands_over_the_class() -> None:
    assert mlops_tracker() is MemoryTracker


class Forgetful(MemoryTracker):
    """Remembers no batch."""

    contract = 1

    def write(self, run: RunKey, batch: TrackBatch) -> None:
        self._marks.clear()
        super().write(run, batch)


@pytest.mark.parametrize("test", ["test_a_batch_counts_once", "test_the_history_holds_every_point_once"])
def test_a_tracker_that_writes_a_batch_twice_fails(test: str) -> None:
    suite, tracker = TestMemoryTracker(), Forgetful()
    tracker.start_run(RunStart(RunKey("acme", "e", "r1"), "n", datetime(2024, 1, 1, tzinfo=UTC)))
    with pytest.raises(AssertionError):
        getattr(suite, test)(tracker)
