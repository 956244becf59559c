import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from attrs import define

from mlops_core.artifacts import Artifacts
from mlops_core.exceptions import PipelineError
from mlops_core.mlops_pipeline import MLOpsPipeline
from mlops_core.pipeline.context import rng_of
from mlops_core.pipeline.making import make_stage
from mlops_core.pipeline.work import Work, explain, run_task
from mlops_core.records import ArtifactRef, StackRef, StageStatus, StageTask
from mlops_core.roles import Stage, StageContext
from mlops_core.stack import Stack, locate


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


CONFIGURATION = """
version: 1
project: tickets
tracker: []
registry: {use: sqlite, path: registry.db}
environments: {}
monitoring: {sinks: []}
executor: process
pipeline:
  name: tickets
  seed: 7
  stages:
    collect: {use: "./stages.py:collect", rows: 3}
    training: {use: "./stages.py:train", timeout: 1m, outputs: [model]}
"""
STAGES = """
def collect(context, *, rows: int):
    context.log_metrics({"rows": rows, "odd": float("nan")})
    context.log_artifact("notes", context.root / "notes.json")
    print("collecting")
    return [context.rng.random() for _ in range(rows)]

def train(context, collect):
    if context.metrics()["rows"] != 3:
        raise ValueError("the metrics of earlier stages are not there")
    if (context.root / "broken").exists():
        raise ValueError("broken")
    return sum(collect)
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "mlops.yaml").write_text(CONFIGURATION)
    (tmp_path / "stages.py").write_text(STAGES)
    (tmp_path / "notes.json").write_text("[1]")
    return tmp_path


def test_a_worker_composes_the_stack_and_makes_the_attempt(project: Path) -> None:
    """In this process: what the executor's worker calls."""
    stack = locate(project)
    task = StageTask(stack.ref("tickets"), "run-1", "collect", 1)
    result = run_task(task)
    assert result.status is StageStatus.SUCCEEDED
    assert result.metrics["rows"] == 3.0
    assert Artifacts(stack).load(result.outputs["collect"]) == list(rng_of(7, "collect").random(3))
    assert Artifacts(stack).load(result.logged["notes"]) == [1]
    stack.parts.close()


def test_a_worker_prints_the_traceback_for_the_log(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = run_task(StageTask(locate(project).ref("tickets"), "run-1", "training", 1, {}, outputs=("model",)))
    assert result.status is StageStatus.FAILED
    assert result.error == "stage 'training' failed: TypeError: train() missing 1 required positional argument: 'collect'"
    assert "Traceback" in capsys.readouterr().err


def test_stages_in_workers_pass_values_on(project: Path) -> None:
    with_workers = MLOpsPipeline("tickets", stack=locate(project))
    assert with_workers.check() == ()
    report = with_workers.run_pipeline()
    assert report.error is None
    assert with_workers.output("model") == sum(with_workers.output("collect"))
    assert (project / ".mlops/logs" / report.run_id / "collect-1.log").read_text() == "collecting\n"

    (project / "broken").touch()
    failed = with_workers.run_pipeline()
    assert failed.error == "stage 'training' failed: ValueError: broken"
    assert "ValueError: broken" in (project / ".mlops/logs" / failed.run_id / "training-1.log").read_text()


def test_a_function_registered_in_a_module_runs_in_a_worker(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "added_stages.py").write_text("def add(model, *, to: float = 1.0):\n    return model + to\n")
    monkeypatch.syspath_prepend(project)
    added = MLOpsPipeline("tickets", stack=locate(project))
    added.add_stage("adding", importlib.import_module("added_stages").add, to=2.5)
    assert added.run_pipeline(["adding"], inputs={"model": 1.0}).error is None
    assert added.output("adding") == 3.5
