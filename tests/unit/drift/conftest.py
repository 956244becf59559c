from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mlops_core.drift import DriftDetector
from mlops_core.testing.memory_registry import MemoryRegistry
from mlops_core.testing.memory_sink import MemorySink
from mlops_core.testing.stack import make_stack
from mlops_drift_ks import KolmogorovSmirnov
from mlops_drift_psi import PopulationStability

if TYPE_CHECKING:
    from pathlib import Path

    from mlops_core.stack import Stack


@pytest.fixture
def store() -> MemoryRegistry:
    return MemoryRegistry()


@pytest.fixture
def sink() -> MemorySink:
    return MemorySink()


@pytest.fixture
def stack(tmp_path: Path, store: MemoryRegistry, sink: MemorySink) -> Stack:
    tests = {"ks": KolmogorovSmirnov(), "psi": PopulationStability(permutations=999)}
    return make_stack(tmp_path / "project", registry=store, sinks={"memory": sink}, drift_tests=tests)


@pytest.fixture
def detector(stack: Stack) -> DriftDetector:
    return DriftDetector(stack=stack)
