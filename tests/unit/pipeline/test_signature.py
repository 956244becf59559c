from typing import Any

import pytest
from attrs import define

from mlops_core.exceptions import PipelineError
from mlops_core.pipeline.signature import inputs_of
from mlops_core.roles import Stage, StageContext


@define(eq=False)
class Train(Stage):
    contract = 1

    def run(self, context: StageContext, features: Any, labels: Any = None, *, depth: int = 3) -> Any:
        return features, labels, depth


def test_positional_parameters_are_inputs_and_defaults_make_them_optional() -> None:
    assert inputs_of(Train()) == {"features": True, "labels": False}


def test_a_stage_may_take_nothing() -> None:
    class Collect(Stage):
        def run(self, context: StageContext) -> Any:
            return 1

    assert inputs_of(Collect()) == {}


def no_context(self: Any) -> Any: ...
def many(self: Any, context: Any, *data: Any) -> Any: ...
def unnamed(self: Any, context: Any, data: Any, /) -> Any: ...
def anything(self: Any, context: Any, **data: Any) -> Any: ...
def demanding(self: Any, context: Any, *, depth: int) -> Any: ...


@pytest.mark.parametrize(
    ("run", "said"),
    [
        (no_context, "Odd.run: takes no context"),
        (many, r"\*data: Any cannot be passed by name"),
        (unnamed, "cannot be passed by name"),
        (anything, "cannot be passed by name"),
        (demanding, "make each option a field"),
    ],
)
def test_what_has_no_name_is_refused(run: Any, said: str) -> None:
    odd = type("Odd", (Stage,), {"run": run})
    with pytest.raises(PipelineError, match=said):
        inputs_of(odd())
