from typing import Any

import numpy as np
import pytest
from attrs import define

from mlops_core.artifacts import Artifacts
from mlops_core.exceptions import PipelineError
from mlops_core.pipeline.making import make_stage
from mlops_core.pipeline.work import Work, explain
from mlops_core.records import ArtifactRef, StackRef, StageStatus, StageTask
from mlops_core.roles import Stage, StageContext
from mlops_core.stack import Stack


def task(outputs: tuple[str, ...] = (), **inputs: ArtifactRef) -> StageTask:
    return StageTask(StackRef("", "acme"), "run-1", "training", 2, inputs, outputs=outputs)


def work(stack: Stack, function: Any) -> Work:
    return Work(stack, make_stage(function, {}, stack.root, "stage 'training'"))


def test_inputs_are_loaded_and_outputs_stored(stack: Stack) -> None:
    def train(context: StageContext, data: Any) -> Any:
        context.log_params({"rows": len(data)})
        context.log_metrics({"mean": data.mean()})
        stack.clock.sleep(3)
        return data * 2, {"columns": ["x"]}

    data = Artifacts(stack).save(np.arange(3.0), "data")
    result = work(stack, train)(task(("model", "schema"), data=data))
    assert (result.status, result.stage, result.attempt, result.seconds) == (StageStatus.SUCCEEDED, "training", 2, 3.0)
    assert (result.params, result.metrics, len(result.history)) == ({"rows": "3"}, {"mean": 1.0}, 1)
    assert Artifacts(stack).load(result.outputs["model"]).tolist() == [0, 2, 4]
    assert Artifacts(stack).load(result.outputs["schema"]) == {"columns": ["x"]}


@pytest.mark.parametrize(
    ("raised", "said"),
    [
        (ValueError("two\n  lines"), "ValueError: two lines"),
        (PipelineError("no column 'x'"), "no column 'x'"),
        (SystemExit(3), "SystemExit: 3"),
        (KeyError(), "KeyError"),
    ],
)
def test_what_a_stage_raises_is_one_line_with_its_cause_at_hand(stack: Stack, raised: BaseException, said: str) -> None:
    def train() -> None:
        raise raised

    attempt = work(stack, train)
    result = attempt(task())
    assert (result.status, result.error) == (StageStatus.FAILED, f"stage 'training' failed: {said}")
    assert attempt.cause is raised
    assert explain(raised) == said


def test_an_interrupt_is_no_failure_of_the_stage(stack: Stack) -> None:
    def train() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work(stack, train)(task())


def test_a_value_that_no_format_holds_fails_the_attempt(stack: Stack) -> None:
    def train() -> object:
        return object()

    result = work(stack, train)(task())
    assert "none of the formats (json, npy) holds a builtins.object" in (result.error or "")


def test_an_input_that_is_damaged_fails_the_attempt(stack: Stack) -> None:
    def train(data: Any) -> Any:
        return data

    missing = ArtifactRef("ab" * 32, 3, "json", "data")
    assert "does not match its sha256" in (work(stack, train)(task(data=missing)).error or "")


@define(eq=False)
class PassOn(Stage):
    """Takes a reference where others take the value."""

    contract = 1
    unread = frozenset({"model"})

    def run(self, context: StageContext, model: Any, data: Any) -> Any:
        return [type(model).__name__, data]


def test_a_stage_may_ask_for_the_reference_of_an_input(stack: Stack) -> None:
    saved = Artifacts(stack).save([1], "x")
    result = Work(stack, PassOn())(task(model=saved, data=saved))
    assert Artifacts(stack).load(result.outputs["training"]) == ["ArtifactRef", [1]]
