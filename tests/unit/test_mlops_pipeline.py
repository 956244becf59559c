from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlops_core.builtin.inline_executor import InlineExecutor
from mlops_core.builtin.json_format import JsonFormat
from mlops_core.builtin.npy_format import NpyFormat
from mlops_core.config.settings import PipelineSettings, Settings, StageSettings
from mlops_core.exceptions import PipelineError, PlanError, StageError
from mlops_core.mlops_pipeline import MLOpsPipeline, PipelineStage
from mlops_core.records import PipelineStatus, StageProgress, StageStatus
from mlops_core.roles import StageContext
from mlops_core.stack import Stack
from mlops_core.testing.memory_registry import MemoryRegistry
from mlops_core.testing.stack import make_stack


def any_number(data: Any) -> int:
    return 1


def stack_in(root: Path, *stages: StageSettings, **parts: Any) -> Stack:
    settings = Settings(pipeline=PipelineSettings("tickets", "ticket_classifier", stages)) if stages else Settings()
    given: dict[str, Any] = {
        "registry": MemoryRegistry(),
        "formats": {"json": JsonFormat(), "npy": NpyFormat()},
        "executors": {"inline": InlineExecutor()},
        **parts,
    }
    return make_stack(root, settings=settings, **given)


@pytest.fixture
def stack(tmp_path: Path) -> Stack:
    return stack_in(tmp_path)


@pytest.fixture
def pipeline(stack: Stack) -> MLOpsPipeline:
    """Three stages: numbers, their sum, and the sum's double."""
    made = MLOpsPipeline("tickets", stack=stack)

    @made.stage(PipelineStage.DATA_COLLECTION)
    def collect() -> Any:
        return np.arange(4)

    @made.stage(PipelineStage.TRAINING, outputs=["total"])
    def train(context: StageContext, data_collection: Any) -> int:
        context.log_metrics({"rows": len(data_collection)})
        context.log_params({"kind": "sum"})
        return int(data_collection.sum())

    @made.stage("doubling", factor=2)
    def double(total: int, *, factor: int) -> int:
        return total * factor

    return made


def test_the_stages_of_the_specification_have_their_names() -> None:
    named = {name: value for name, value in vars(PipelineStage).items() if name.isupper()}
    assert named == {name: name.lower() for name in named}
    assert len(named) == 6


def test_values_pass_from_stage_to_stage_by_name(pipeline: MLOpsPipeline) -> None:
    report = pipeline.run_pipeline()

    assert report.status is PipelineStatus.SUCCEEDED
    assert report["status"] == "succeeded"
    assert [(one.stage, one.status, one.attempt) for one in report.stages] == [
        ("data_collection", StageStatus.SUCCEEDED, 1),
        ("training", StageStatus.SUCCEEDED, 1),
        ("doubling", StageStatus.SUCCEEDED, 1),
    ]
    assert (report.stages[1].metrics, report.stages[1].params) == ({"rows": 4.0}, {"kind": "sum"})
    assert pipeline.output("doubling") == 12
    assert pipeline.output("total", report.run_id) == 6
    assert pipeline.output("training.total") == pipeline.output("training") == 6


def test_another_process_sees_the_same_run(pipeline: MLOpsPipeline, stack: Stack) -> None:
    report = pipeline.run_pipeline()
    other = MLOpsPipeline("tickets", stack=stack)
    assert other.get_pipeline_status() == report
    assert other.get_pipeline_status(report.run_id) == report
    assert other.runs() == (report,)


def test_runs_are_apart_by_pipeline_and_tenant(pipeline: MLOpsPipeline, stack: Stack) -> None:
    pipeline.run_pipeline()
    assert MLOpsPipeline("other", stack=stack).get_pipeline_status().status is PipelineStatus.NOT_STARTED
    assert MLOpsPipeline("tickets", "globex", stack=stack).runs() == ()


def test_only_the_named_stages_run_in_the_order_given(pipeline: MLOpsPipeline) -> None:
    report = pipeline.run_pipeline([PipelineStage.DATA_COLLECTION, PipelineStage.TRAINING], run_id="mine")
    assert [one.stage for one in report.stages] == ["data_collection", "training"]
    assert report.run_id == "mine"
    with pytest.raises(PipelineError, match="run mine exists"):
        pipeline.run_pipeline(run_id="mine")


def test_given_inputs_are_there_before_the_first_stage(pipeline: MLOpsPipeline) -> None:
    pipeline.run_pipeline(["doubling"], inputs={"total": 21})
    assert pipeline.output("doubling") == 42


def test_newest_runs_come_first(pipeline: MLOpsPipeline, stack: Stack) -> None:
    ids = []
    for _ in range(3):
        ids.append(pipeline.run_pipeline().run_id)
        stack.clock.sleep(60)
    assert [run.run_id for run in pipeline.runs()] == ids[::-1]
    assert [run.run_id for run in pipeline.runs(limit=1)] == ids[-1:]


def test_a_failing_stage_ends_in_the_report(pipeline: MLOpsPipeline) -> None:
    @pipeline.stage(PipelineStage.TRAINING, outputs=["total"])
    def train(data_collection: Any) -> int:
        raise ValueError("the data\nis empty")

    report = pipeline.run_pipeline()

    assert report.status is PipelineStatus.FAILED
    assert report.error == "stage 'training' failed: ValueError: the data is empty"
    assert [one.status for one in report.stages] == [StageStatus.SUCCEEDED, StageStatus.FAILED, StageStatus.PENDING]
    assert pipeline.get_pipeline_status() == report


def test_resuming_runs_what_is_not_finished_and_nothing_else(pipeline: MLOpsPipeline) -> None:
    calls: list[str] = []

    @pipeline.stage(PipelineStage.DATA_COLLECTION)
    def collect() -> list[int]:
        calls.append("collect")
        return [1, 2]

    @pipeline.stage(PipelineStage.TRAINING, outputs=["total"])
    def train(data_collection: list[int]) -> int:
        calls.append("train")
        if len(calls) == 2:
            raise ValueError("not yet")
        return sum(data_collection)

    failed = pipeline.run_pipeline()
    resumed = pipeline.run_pipeline(resume=True)

    assert calls == ["collect", "train", "train"]
    assert (failed.status, resumed.status) == (PipelineStatus.FAILED, PipelineStatus.SUCCEEDED)
    assert failed.run_id == resumed.run_id
    assert resumed.error is None
    assert resumed.stages[1].attempt == 2
    assert pipeline.run_pipeline(resume=True) == resumed, "what succeeded is answered as it is"
    assert len(calls) == 3


def test_resuming_without_any_run_begins_one(pipeline: MLOpsPipeline) -> None:
    assert pipeline.run_pipeline(resume=True).status is PipelineStatus.SUCCEEDED


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"resume": True, "run_id": "mein"}, "there is no run 'mein' - did you mean 'mine'?"),
        ({"resume": True, "inputs": {"a": 1}}, "run mine has its inputs already"),
        ({"resume": True, "stages": ["training"]}, "run mine has the stages data_collection, training, doubling"),
        ({"run_id": "a b"}, "run_id: 'a b' is not a name"),
        ({"inputs": [1]}, "inputs: expected a mapping, got list"),
        ({"inputs": {"a b": 1}}, "'a b' is not a name"),
        ({"inputs": {"a": object()}}, "none of the formats"),
        ({"stages": []}, "it has no stages"),
    ],
)
def test_wrong_arguments_are_one_line(pipeline: MLOpsPipeline, arguments: dict[str, Any], said: str) -> None:
    @pipeline.stage("doubling")
    def fail(total: int) -> int:
        raise ValueError(total)

    pipeline.run_pipeline(run_id="mine")
    with pytest.raises(PipelineError) as caught:
        pipeline.run_pipeline(**arguments)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert [run.run_id for run in pipeline.runs()] == ["mine"]


def test_stages_without_implementation_are_one_line(pipeline: MLOpsPipeline) -> None:
    with pytest.raises(PipelineError) as caught:
        pipeline.run_pipeline(["data_collection", "featuers", "tuning"])
    assert str(caught.value) == (
        "pipeline: no implementation of stages 'featuers', 'tuning' - register one with @pipeline.stage('featuers'), or give it a 'use' "
        "under 'pipeline.stages' in mlops.yaml (implemented are: data_collection, training, doubling, validation, deployment, monitoring)"
    )
    assert pipeline.runs() == ()


def test_every_mistake_of_a_plan_is_found_before_anything_runs(pipeline: MLOpsPipeline) -> None:
    @pipeline.stage(PipelineStage.TRAINING, timeout="5m", when="rows >")
    def train(data: Any) -> int:
        raise AssertionError("it must not run")

    problems = pipeline.check()
    assert len(problems) == 4
    assert problems[0] == (
        "stage 'training': nothing before it gives its input 'data' - there are: data_collection - say which with inputs: {data: NAME}"
    )
    assert any("cannot end it at its timeout" in one for one in problems)
    assert any(one.startswith("stage 'training': when:") for one in problems)
    assert any("nothing before it gives its input 'total'" in one for one in problems)
    with pytest.raises(PipelineError, match="timeout"):
        pipeline.run_pipeline()
    assert pipeline.runs() == ()


def test_a_sound_plan_has_no_problems(pipeline: MLOpsPipeline) -> None:
    assert pipeline.check() == ()
    assert pipeline.stages == ("data_collection", "training", "doubling")


def test_one_stage_builds_on_the_newest_run(pipeline: MLOpsPipeline, stack: Stack) -> None:
    pipeline.run_pipeline(["data_collection", "training"])
    stack.clock.sleep(60)

    class CustomPipelineStage(PipelineStage):
        CUSTOM_STAGE = "custom_stage"

    @pipeline.stage(CustomPipelineStage.CUSTOM_STAGE)
    def custom(context: StageContext, total: int, extra: int = 1) -> Any:
        return [total + extra, context.metrics()["training.rows"]]

    result = pipeline.run_stage(CustomPipelineStage.CUSTOM_STAGE)
    assert result.status is StageStatus.SUCCEEDED
    assert pipeline.output("custom_stage", pipeline.runs(1)[0].run_id) == [7, 4.0]
    assert [one.stage for one in pipeline.get_pipeline_status().stages] == ["data_collection", "training"], "the run is still the whole one"

    stack.clock.sleep(60)
    pipeline.run_stage("custom_stage", inputs={"extra": 10})
    assert pipeline.output("custom_stage", pipeline.runs(1)[0].run_id) == [16, 4.0]


def test_one_stage_runs_without_any_run(pipeline: MLOpsPipeline) -> None:
    assert pipeline.run_stage("doubling", inputs={"total": 1}).status is StageStatus.SUCCEEDED
    assert pipeline.get_pipeline_status().stages[0].stage == "doubling"
    assert len(pipeline.run_pipeline(resume=True).stages) == 3, "a single stage is not resumed as the pipeline"


def test_one_stage_that_fails_raises_with_its_cause(pipeline: MLOpsPipeline) -> None:
    with pytest.raises(StageError, match="stage 'doubling' failed: TypeError") as caught:
        pipeline.run_stage("doubling", inputs={"total": {}})
    assert isinstance(caught.value.__cause__, TypeError)
    with pytest.raises(PipelineError, match="nothing before it gives its input 'total'"):
        pipeline.run_stage("doubling")
    with pytest.raises(PipelineError, match="there is no run 'nope'"):
        pipeline.run_stage("doubling", of_run="nope")


def test_whoever_listens_hears_progress_and_events(pipeline: MLOpsPipeline) -> None:
    @pipeline.stage("doubling")
    def double(context: StageContext, total: int) -> int:
        context.progress(1, 2, "half")
        return total

    heard: list[Any] = []
    run = pipeline.run_pipeline(["doubling"], inputs={"total": 1}, listen=heard.append)
    assert [type(one).__name__ for one in heard] == ["RunStarted", "StageStarted", "StageProgress", "StageFinished", "RunFinished"]
    assert heard[2] == StageProgress(run.run_id, "doubling", 1.0, 2.0, "half")


def test_a_listener_that_raises_stops_nothing(pipeline: MLOpsPipeline, caplog: pytest.LogCaptureFixture) -> None:
    def deaf(event: Any) -> None:
        raise ValueError("what?")

    assert pipeline.run_pipeline(listen=deaf).status is PipelineStatus.SUCCEEDED
    assert "a listener failed on RunStarted: ValueError: what?" in caplog.text


def test_a_project_that_cannot_be_found_is_the_pipelines_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLOPS_PROJECT", str(tmp_path / "nowhere"))
    with pytest.raises(PipelineError, match="MLOPS_PROJECT"):
        MLOpsPipeline("tickets")
    (tmp_path / "mlops.yaml").write_text("version: 1\nproject: found\ntenant: acme\n")
    monkeypatch.setenv("MLOPS_PROJECT", str(tmp_path))
    assert MLOpsPipeline("tickets").tenant_id == "acme"


@pytest.mark.parametrize(
    ("name", "settings", "said"),
    [
        ("a b", {}, "is not a name"),
        ("training", {"use": "csv"}, "'use' cannot be given"),
        ("training", {"retries": "many"}, "retries: expected a whole number"),
        ("training", {"on_failure": "retry"}, "on_failure: expected"),
    ],
)
def test_a_stage_with_wrong_settings_is_refused_where_it_is_registered(
    stack: Stack, name: str, settings: dict[str, Any], said: str
) -> None:
    with pytest.raises(PipelineError, match=said):
        MLOpsPipeline("tickets", stack=stack).add_stage(name, any_number, **settings)


def test_wrong_names_and_unknown_outputs_are_one_line(pipeline: MLOpsPipeline, stack: Stack) -> None:
    with pytest.raises(PipelineError, match="pipeline: 'a b' is not a name"):
        MLOpsPipeline("a b", stack=stack)
    with pytest.raises(PipelineError, match="tenant"):
        MLOpsPipeline("tickets", "a b", stack=stack)
    with pytest.raises(PipelineError, match="there is no run yet"):
        pipeline.output("total")
    pipeline.run_pipeline()
    with pytest.raises(PipelineError, match=r"no stage of the run made 'totl' - did you mean 'total'\?"):
        pipeline.output("totl")
    with pytest.raises(PipelineError, match="there is no run 'nope'"):
        pipeline.get_pipeline_status("nope")


def test_a_registered_stage_takes_the_settings_of_the_configuration(tmp_path: Path) -> None:
    """An entry without ``use`` says how the function runs; what is given in Python comes first."""
    entry = StageSettings("training", options={"factor": 3, "bias": 1}, inputs={"data": "numbers"})
    pipeline = MLOpsPipeline("tickets", stack=stack_in(tmp_path, entry))

    @pipeline.stage("training", bias=5)
    def train(data: list[int], *, factor: int, bias: int) -> int:
        return sum(data) * factor + bias

    pipeline.run_pipeline(inputs={"numbers": [1, 2]})
    assert pipeline.output("training") == 14
    assert pipeline.get_pipeline_status().pipeline == "tickets"


@pytest.mark.parametrize("limit", [-1, "x", 1.0, True])
def test_a_limit_counts_runs(pipeline: MLOpsPipeline, limit: Any) -> None:
    with pytest.raises(PlanError, match=r"limit: expected a whole number from 0, got .* - leave it out for every run"):
        pipeline.runs(limit)
    assert pipeline.runs(0) == ()


def test_a_run_that_succeeded_is_not_answered_for_other_stages(pipeline: MLOpsPipeline) -> None:
    pipeline.add_stage("one", lambda: 1)
    pipeline.add_stage("two", lambda: 2)
    pipeline.run_pipeline(["one"], run_id="run-1")
    assert pipeline.run_pipeline(["one"], run_id="run-1", resume=True).status == "succeeded"
    with pytest.raises(PlanError, match="run run-1 has the stages one - resume these, or start a new run"):
        pipeline.run_pipeline(["two"], run_id="run-1", resume=True)


def test_a_folder_of_locks_that_cannot_be_used_is_one_line(pipeline: MLOpsPipeline, tmp_path: Path) -> None:
    pipeline.add_stage("one", lambda: 1)
    (tmp_path / ".mlops").mkdir(exist_ok=True)
    (tmp_path / ".mlops" / "locks").write_text("a file where a folder belongs")
    with pytest.raises(PipelineError, match=r"the folder of locks .*locks cannot be used: File exists - mend or remove it"):
        pipeline.run_pipeline()
