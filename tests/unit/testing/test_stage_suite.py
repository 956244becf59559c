"""The suite itself: a stage that breaks a rule fails the test of that rule."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from attrs import define, field

from mlops_core.roles import Stage, StageContext
from mlops_core.testing.stage_suite import StageSuite

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path


@define(eq=False)
class Scale(Stage):
    """A stage as it should be."""

    contract: ClassVar[int] = 1
    outputs: ClassVar[tuple[str, ...]] = ("data",)

    factor: float = field(default=2.0, metadata={"help": "what values are multiplied by"})

    def run(self, context: StageContext, data: list[float]) -> Any:
        context.log_metrics({"first": data[0] * self.factor})
        return {"data": [value * self.factor for value in data]}


class TestScaleConforms(StageSuite):
    def stage(self) -> Scale:
        return Scale()

    def inputs(self) -> Mapping[str, Any]:
        return {"data": [1.0, 2.0]}


class Inherited(Scale):
    """Leaves the contract to its parent."""


@define(eq=False)
class Reserved(Scale):
    contract: ClassVar[int] = 1

    timeout: float = field(default=1.0, metadata={"help": "a key of the core"})


class Writing(Scale):
    contract: ClassVar[int] = 1

    def run(self, context: StageContext, data: list[float]) -> Any:
        data.sort(reverse=True)
        return {"data": data}


class Undeclared(Scale):
    contract: ClassVar[int] = 1

    def run(self, context: StageContext, data: list[float]) -> Any:
        return {"other": data}


class Nameless(Scale):
    contract: ClassVar[int] = 1

    def run(self, context: StageContext, *inputs: Any) -> Any:
        return {"data": inputs}


class Lottery(Scale):
    contract: ClassVar[int] = 1
    drawn: ClassVar[list[int]] = []

    def run(self, context: StageContext, data: list[float]) -> Any:
        self.drawn.append(0)
        context.log_metrics({"first": len(self.drawn)})
        return {"data": data}


@pytest.mark.parametrize(
    ("kind", "broken"),
    [
        (Inherited, lambda suite, _: suite.test_declares_itself()),
        (Reserved, lambda suite, _: suite.test_declares_itself()),
        (Writing, lambda suite, path: suite.test_leaves_its_inputs_alone(path)),
        (Undeclared, lambda suite, path: suite.test_answers_what_it_declares(path)),
        (Nameless, lambda suite, _: suite.test_names_its_inputs()),
        (Lottery, lambda suite, path: suite.test_repeats_itself(path)),
    ],
)
def test_a_broken_rule_fails_its_test(kind: type[Stage], broken: Callable[[StageSuite, Path], None], tmp_path: Path) -> None:
    class Suite(StageSuite):
        def stage(self) -> Stage:
            return kind()

        def inputs(self) -> Mapping[str, Any]:
            return {"data": [1.0, 2.0]}

    with pytest.raises(AssertionError):
        broken(Suite(), tmp_path)
