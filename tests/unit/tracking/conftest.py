"""A tracker facade over one tracker in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mlops_core.clock import SystemClock
from mlops_core.testing.memory_tracker import MemoryTracker
from mlops_core.testing.stack import make_stack
from mlops_core.tracking import ExperimentTracker

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mlops_core.stack import Stack


@pytest.fixture
def memory() -> Iterator[MemoryTracker]:
    tracker = MemoryTracker()
    yield tracker
    tracker.close()


@pytest.fixture
def stack(tmp_path: Path, memory: MemoryTracker) -> Stack:
    return make_stack(tmp_path, trackers={"memory": memory}, clock=SystemClock())


@pytest.fixture
def tracker(stack: Stack) -> Iterator[ExperimentTracker]:
    with ExperimentTracker(stack=stack) as facade:
        yield facade
