from pathlib import Path
from typing import Annotated, Any

import pytest
from attrs import define, field

from mlops_core.exceptions import PipelineError, PluginError
from mlops_core.pipeline.making import make_stage
from mlops_core.roles import Help, Stage, StageContext


@define(eq=False)
class Train(Stage):
    contract = 1

    depth: int = field(default=3, metadata={"help": "levels of the tree"})

    def run(self, context: StageContext, data: Any, *, rate: float = 0.1) -> Any:
        return self.depth, rate, data


def collect(context: StageContext, source: Any, *, rows: Annotated[int, Help("how many")]) -> Any:
    return context, source, rows


def make(implementation: Any, **options: Any) -> Stage:
    return make_stage(implementation, options, Path(), "stage 'x'")


def test_fields_and_keyword_only_parameters_are_options() -> None:
    assert make(Train, depth=5, rate=0.5).run(None, data="d") == (5, 0.5, "d")  # type: ignore[arg-type]  # it asks the context for nothing
    assert make(collect, rows=7).run("context", source="s") == ("context", "s", 7)  # type: ignore[arg-type]  # handed on as it is


def test_a_stage_object_is_taken_as_it_is() -> None:
    stage = Train(depth=9)
    assert make(stage) is stage


@pytest.mark.parametrize(
    ("implementation", "options", "error", "said"),
    [
        (Train, {"dept": 5}, PipelineError, "dept: unknown key 'dept' - did you mean 'depth'?"),
        (Train, {"depth": 2.5, "rate": "x"}, PipelineError, "depth: expected a whole number, got 2.5; rate: expected a number, got"),
        (collect, {}, PipelineError, "missing key 'rows'"),
        (Train(), {"depth": 5}, PipelineError, "built already, so it takes no options (depth) - give its class"),
        (5, {}, PipelineError, "a int is no stage"),
        (int, {}, PluginError, "int is no Stage"),
    ],
)
def test_what_makes_no_stage_is_one_line(implementation: Any, options: dict[str, Any], error: type[Exception], said: str) -> None:
    with pytest.raises(error) as caught:
        make(implementation, **options)
    assert str(caught.value).startswith("stage 'x': ")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
