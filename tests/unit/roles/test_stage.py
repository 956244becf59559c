"""What a stage declares."""

from __future__ import annotations

from typing import Any

from mlops_core.roles import Stage
from mlops_core.roles.stage import Help


class Double(Stage):
    contract = 1

    def run(self, context: Any, *inputs: Any, **options: Any) -> Any:
        return [2 * one for one in inputs]


def test_one_output_is_the_default() -> None:
    assert Double.outputs == ()
    assert Double().run(None, 1, 2) == [2, 4]


def test_help_is_a_value() -> None:
    assert Help("levels of the tree") == Help("levels of the tree")
    assert Help("a").text == "a"
