"""A format that holds no models says so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from mlops_core.exceptions import CapabilityError
from mlops_core.roles import Format

if TYPE_CHECKING:
    from pathlib import Path


class Text(Format):
    contract = 1
    name = "text"

    def accepts(self, value: Any) -> bool:
        return isinstance(value, str)

    def sniff(self, path: Path) -> bool:
        return path.suffix == ".txt"

    def write(self, value: Any, path: Path) -> None:
        path.write_text(value)

    def read(self, path: Path) -> Any:
        return path.read_text()


def test_predicting_is_a_capability_and_running_code_is_declared() -> None:
    assert Text.runs_code is False
    with pytest.raises(CapabilityError, match="format text: cannot predict - deploy a model in a format that can"):
        Text().predictor("x", None)
