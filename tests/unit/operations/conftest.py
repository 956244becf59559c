"""A project in memory at a time that stands still."""

from pathlib import Path

import pytest

from mlops_core.stack import Stack
from mlops_core.testing.clock import FakeClock
from mlops_core.testing.memory_registry import MemoryRegistry
from mlops_core.testing.memory_sink import MemorySink
from mlops_core.testing.stack import make_stack


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def stack(tmp_path: Path, clock: FakeClock) -> Stack:
    return make_stack(tmp_path, clock=clock, registry=MemoryRegistry(clock=clock), sinks={"memory": MemorySink()})
