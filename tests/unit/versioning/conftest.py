from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from mlops_core.builtin.json_format import JsonFormat
from mlops_core.builtin.npy_format import NpyFormat
from mlops_core.testing.memory_registry import MemoryRegistry
from mlops_core.testing.stack import make_stack
from mlops_core.versioning import ModelVersioning

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mlops_core.stack import Stack


@pytest.fixture
def store() -> MemoryRegistry:
    return MemoryRegistry()


@pytest.fixture
def stack(tmp_path: Path, store: MemoryRegistry) -> Stack:
    project = tmp_path / "project"
    project.mkdir()
    return make_stack(project, registry=store, formats={"json": JsonFormat(), "npy": NpyFormat()})


@pytest.fixture
def versioning(stack: Stack) -> ModelVersioning:
    return ModelVersioning(stack=stack)


@pytest.fixture
def model_file(tmp_path: Path) -> Path:
    path = tmp_path / "model.json"
    path.write_text('{"weights": [1, 2]}')
    return path


@pytest.fixture
def register(versioning: ModelVersioning) -> Callable[..., str]:
    """A version with metadata given as keywords, and a file of its own."""

    def make(version: str | None = None, *, model: str = "m", parents: Any = (), **metadata: Any) -> str:
        return versioning.version_model(model, version, metadata=metadata, parents=parents, model={"value": [model, version, metadata]})

    return make
