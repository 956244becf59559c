from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mlops_core.testing.stage_context import RecordingContext

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def context(tmp_path: Path) -> RecordingContext:
    return RecordingContext(root=tmp_path)
