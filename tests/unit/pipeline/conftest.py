"""What the tests of the pipeline stand on."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mlops_core.builtin.inline_executor import InlineExecutor
from mlops_core.builtin.json_format import JsonFormat
from mlops_core.builtin.npy_format import NpyFormat
from mlops_core.config.settings import Settings
from mlops_core.mlops_pipeline import MLOpsPipeline
from mlops_core.stack import Stack
from mlops_core.testing.memory_registry import MemoryRegistry
from mlops_core.testing.stack import make_stack


@pytest.fixture
def build(tmp_path: Path) -> Callable[..., Stack]:
    """Make a stack in memory, with further settings and parts."""

    def built(*, executors: Any = None, **given: Any) -> Stack:
        names = {"pipeline", "executor", "monitoring", "models"} & set(given)
        settings = Settings(**{name: given.pop(name) for name in names})
        parts: dict[str, Any] = {"registry": MemoryRegistry(), "formats": {"json": JsonFormat(), "npy": NpyFormat()}, **given}
        return make_stack(tmp_path, settings=settings, executors=executors or {"inline": InlineExecutor()}, **parts)

    return built


@pytest.fixture
def stack(build: Callable[..., Stack]) -> Stack:
    return build()


@pytest.fixture
def pipeline(stack: Stack) -> MLOpsPipeline:
    """Without stages."""
    return MLOpsPipeline("tickets", stack=stack)
