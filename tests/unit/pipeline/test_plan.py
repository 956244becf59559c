from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from attrs import define
from hypothesis import given
from hypothesis import strategies as st

from mlops_core.config.settings import PipelineSettings, StageSettings, Use
from mlops_core.exceptions import ConfigError, PipelineError
from mlops_core.pipeline.catalog import Catalog, Registered
from mlops_core.pipeline.deployment_stage import DeploymentStage
from mlops_core.pipeline.monitoring_stage import MonitoringStage
from mlops_core.pipeline.plan import make_plan, problems
from mlops_core.pipeline.validation_stage import ValidationStage
from mlops_core.pipeline.wiring import GIVEN, Source
from mlops_core.records import StageTask
from mlops_core.roles import Executor, Stage, StageContext
from mlops_core.stack import Stack, check


class Remote(Executor):
    """Says that it runs elsewhere; nothing is submitted to it here."""

    contract = 1
    capabilities = frozenset({"kill", "remote"})

    def submit(self, work: Any, task: StageTask) -> Any:
        raise AssertionError("a plan runs nothing")


@define(eq=False)
class Dice(Stage):
    """Answers otherwise each time, and says so."""

    contract = 1
    cacheable = False

    def run(self, context: StageContext) -> Any:
        return 4


BUILT = {"validation": ValidationStage, "deployment": DeploymentStage, "monitoring": MonitoringStage}


def function_of(inputs: list[str]) -> Any:
    """A function with these parameters."""
    names: dict[str, Any] = {}
    exec(f"def stage({', '.join(inputs)}): return 0", names)  # noqa: S102  parameters with generated names
    return names["stage"]


NAMES = ["a", "b", "c", "d", "e", "f"]
STAGES = st.lists(st.tuples(st.sampled_from(NAMES), st.lists(st.sampled_from(NAMES), max_size=3, unique=True)), max_size=6)


@given(stages=STAGES, given_=st.sets(st.sampled_from(NAMES), max_size=2))
def test_a_plan_takes_only_from_before_or_is_refused(stages: list[tuple[str, list[str]]], given_: set[str], plain_stack: Stack) -> None:
    """Whatever is planned: the order is kept, and every input comes from an earlier stage or from what was given."""
    catalog = Catalog(plain_stack, {name: Registered(function_of(inputs)) for name, inputs in stages})
    names = [name for name, _ in stages]
    try:
        plan = make_plan(catalog, names, given_)
    except PipelineError as error:
        assert not names or len(set(names)) < len(names) or "nothing before it gives" in error.message  # noqa: PT017  either may come
        return
    assert list(plan.names) == names
    for index, step in enumerate(plan.steps):
        wanted = dict(stages)[step.name]
        assert set(step.inputs) == set(wanted)
        for name, source in step.inputs.items():
            assert (source == Source(GIVEN, name)) if name in given_ else (source.stage in names[:index])


@pytest.fixture(scope="module")
def plain_stack(tmp_path_factory: pytest.TempPathFactory) -> Stack:
    from mlops_core.builtin.inline_executor import InlineExecutor
    from mlops_core.testing.stack import make_stack

    return make_stack(tmp_path_factory.mktemp("plain"), executors={"inline": InlineExecutor()})


def planned(stack: Stack, *names: str, **stages: Any) -> str:
    """What is wrong with a plan of these registered stages; fails if nothing is."""
    catalog = Catalog(stack, {name: one if isinstance(one, Registered) else Registered(one) for name, one in stages.items()})
    with pytest.raises(PipelineError) as caught:
        make_plan(catalog, names or None)
    return caught.value.message


def one(data: Any = None) -> int:
    return 1


def test_an_empty_plan_is_refused(stack: Stack) -> None:
    assert planned(stack).startswith("pipeline: it has no stages - ")


def test_a_stage_is_named_once(stack: Stack) -> None:
    assert "stage 'one' is there twice" in planned(stack, "one", "two", "one", one=one, two=one)


def test_a_deadline_needs_an_executor_that_kills(build: Any) -> None:
    stage = Registered.of("one", one, {"timeout": timedelta(minutes=5)})
    assert planned(build(), one=stage) == (
        "stage 'one': the executor 'inline' cannot end it at its timeout - set 'executor: process', or remove 'timeout'"
    )


@pytest.mark.parametrize("name", ["validation", "deployment", "monitoring"])
def test_a_stage_that_has_to_run_each_time_is_not_cached(build: Any, name: str) -> None:
    """What bounds, deployments and health say follows from metrics and from the world, not from inputs and options."""
    stack = build(pipeline=PipelineSettings("tickets", stages=(StageSettings(name, cache=True, at="mlops.yaml:9:5"),)))
    said = "cache: what it answers depends on more than inputs, options and code, so it has to run each time - remove 'cache'"
    assert f"mlops.yaml:9:5: stage '{name}': {said}" in problems(stack)
    assert f"stage '{name}': {said}" in planned(build(), **{name: Registered.of(name, BUILT[name], {"cache": True})})


def test_a_stage_of_ones_own_can_say_so_too(stack: Stack) -> None:
    assert "so it has to run each time" in planned(stack, one=Registered.of("one", Dice, {"cache": True}))


def test_a_cache_that_cannot_be_is_shown_where_it_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mlops.yaml").write_text("version: 1\ntracker: []\npipeline:\n  stages:\n    validation: {require: {}, cache: true}\n")
    (line,) = check(further=problems)
    assert line.startswith("mlops.yaml:5:38: stage 'validation': cache: what it answers depends on more than ")


def test_an_environment_and_an_objective_that_are_none_are_found_before_anything_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    text = """version: 1
tracker: []
environments: {staging: local}
pipeline:
  stages:
    make: {use: "./stages.py:make"}
    deployment: {inputs: {model: make}, to: [staging, stagin], canary: {slo: {eror_rate: 1%}}}
"""
    Path("mlops.yaml").write_text(text)
    Path("stages.py").write_text("def make():\n    return 1\n")
    environment, objective = check(further=problems)
    assert environment == "mlops.yaml:7:45: stage 'deployment': to: no environment 'stagin' - did you mean 'staging'?"
    assert objective.startswith("mlops.yaml:7:72: stage 'deployment': canary.slo: unknown metric 'eror_rate' - ")


def test_rows_of_a_reference_that_may_not_be_stored_are_found_before_anything_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = """version: 1
tracker: []
drift: {{tests: [ks, mmd, adwin]{keep}}}
pipeline:
  stages:
    make: {{use: "./stages.py:make"}}
    deployment: {{inputs: {{model: make{reference}}}, to: []}}
"""
    Path("stages.py").write_text("def make():\n    return 1\n")
    for keep, reference in ((", keep: ['*']", ", reference: make"), ("", "")):
        Path("mlops.yaml").write_text(text.format(keep=keep, reference=reference))
        assert check(further=problems) == []
    Path("mlops.yaml").write_text(text.format(keep="", reference=", reference: make"))
    (line,) = check(further=problems)
    told = "stage 'deployment': inputs: reference: test 'mmd' keeps rows of it, which drift.keep does not allow - name columns there, "
    assert line.startswith(f"mlops.yaml:7:26: {told}")


def test_an_unknown_executor_is_one_line(stack: Stack) -> None:
    assert "no 'procces'" in planned(stack, one=Registered.of("one", one, {"executor": "procces"}))


def test_a_stack_that_cannot_cross_is_named_once(build: Any) -> None:
    stack = build(executors={"remote": Remote()}, executor="remote")
    said = planned(stack, one=one, two=one)
    assert said == (
        "pipeline: executor 'remote' of stage 'one' composes the stack in another process, which cannot be given a stack over instances - "
        "use 'executor: inline', or name the part in mlops.yaml"
    )


def test_a_function_that_cannot_cross_is_named(build: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    stack = build(executors={"remote": Remote()}, executor="remote")
    monkeypatch.setattr(type(stack.parts), "unportable", lambda self: None)
    assert "cannot be given the function of stage 'one', which is not at the top of an importable module" in planned(
        stack, one=function_of([])
    )


def test_a_stage_that_cannot_be_built_hides_no_other_problem(build: Any) -> None:
    entry = StageSettings("broken", outputs=("x",), use=Use("nowhere"))
    stack = build(pipeline=PipelineSettings("tickets", stages=(entry,)))
    said = planned(stack, "broken", "fine", "wrong", fine=function_of(["x"]), wrong=function_of(["y"]))
    assert len(said.split("\n")) == 2
    assert "this stack was given no 'broken'" in said
    assert "stage 'wrong': nothing before it gives its input 'y'" in said


def test_a_name_that_breaks_the_rule_is_refused(stack: Stack) -> None:
    assert "is not a name" in planned(stack, **{"a b": one})


def test_the_configurations_problems_say_where_they_stand(build: Any) -> None:
    """Timeouts are left to the check of the configuration, which knows the very key."""
    entries = (
        StageSettings("validation", timeout=timedelta(minutes=5), when="x >", at="mlops.yaml:9:5"),
        StageSettings("monitoring", inputs={"deploymnt": "validation"}, at="mlops.yaml:10:5"),
    )
    stack = build(pipeline=PipelineSettings("tickets", stages=entries))
    found = problems(stack)
    assert len(found) == 2
    assert found[0].startswith("mlops.yaml:9:5: stage 'validation': when: ")
    assert found[1] == "mlops.yaml:10:5: stage 'monitoring': inputs: it takes no 'deploymnt' - did you mean 'deployment'?"
    assert problems(build()) == []


def test_a_problem_that_says_where_it_stands_is_left_as_it_is(build: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def placed(self: Any, name: str) -> Any:
        raise ConfigError(f"mlops.yaml:9:20: pipeline.stages.{name}: no such plugin")

    stack = build(pipeline=PipelineSettings("tickets", stages=(StageSettings("training", use=Use("nope"), at="mlops.yaml:9:5"),)))
    monkeypatch.setattr(type(stack.parts), "stage", placed)
    assert problems(stack) == ["mlops.yaml:9:20: pipeline.stages.training: no such plugin"]
