"""The reference tracker passes its own suite."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mlops_core.testing.memory_tracker import MemoryTracker, mlops_tracker
from mlops_core.testing.tracker_suite import TrackerSuite

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlops_core.records import RunKey
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


def test_the_hook_hands_over_the_class() -> None:
    assert mlops_tracker() is MemoryTracker
