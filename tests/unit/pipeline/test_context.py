import math
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops_core.artifacts import Artifacts
from mlops_core.config.settings import PipelineSettings
from mlops_core.exceptions import MLOpsError, PipelineError
from mlops_core.pipeline.context import RunContext, rng_of
from mlops_core.records import ArtifactRef, StackRef, StageProgress, StageResult, StageStatus, StageTask
from mlops_core.stack import Stack


def ref(digest: str) -> ArtifactRef:
    return ArtifactRef(digest * 32, 1, "json", "x")


EARLIER = (
    StageResult("collect", StageStatus.SUCCEEDED, {"data": ref("aa")}, metrics={"rows": 2.0}),
    StageResult("clean", StageStatus.SUCCEEDED, {"data": ref("bb"), "report": ref("cc")}, metrics={"rows": 1.0}),
)


def context(stack: Stack, listen: Any = None) -> RunContext:
    return RunContext(
        stack, StageTask(StackRef("", "acme", pipeline="tickets"), "run-1", "training", 1, model="m", earlier=EARLIER), listen
    )


def test_it_says_for_whom_it_runs(stack: Stack) -> None:
    found = context(stack)
    assert (found.tenant, found.run_id, found.stage, found.model, found.root) == ("acme", "run-1", "training", "m", stack.root)
    assert found.key == "tickets/run-1/training"
    assert RunContext.of(found) is found


def test_what_earlier_stages_made_and_measured(stack: Stack) -> None:
    found = context(stack)
    assert found.outputs() == {"data": ref("bb"), "report": ref("cc")}
    assert found.outputs(["collect"]) == {"data": ref("aa")}
    assert found.metrics() == {"rows": 1.0, "collect.rows": 2.0, "clean.rows": 1.0}


def test_metrics_keep_their_history_and_their_last_value(stack: Stack) -> None:
    found = context(stack)
    found.log_metrics({"loss": 2, "accuracy": np.float64(0.5)})
    found.log_metrics({"loss": math.nan}, step=1)
    assert [(one.name, one.step) for one in found.history] == [("loss", 0), ("accuracy", 0), ("loss", 1)]
    assert math.isnan(found.last()["loss"])
    assert found.last()["accuracy"] == 0.5


@pytest.mark.parametrize(("metrics", "step"), [({"loss": "low"}, 0), ({"loss": None}, 0), ({"loss": 1}, "first")])
def test_a_metric_that_is_no_number_is_one_line(stack: Stack, metrics: Any, step: Any) -> None:
    with pytest.raises(PipelineError, match=r"metric 'loss': .* is no number - log a number"):
        context(stack).log_metrics(metrics, step)


@pytest.mark.parametrize(
    ("log", "said"),
    [
        (lambda found: found.log_metrics({"f1@10": 1.0}), "'f1@10' does not name a metric - use 1 to 250 of"),
        (lambda found: found.log_metrics({"x" * 240: 1.0}), "does not name a metric"),
        (lambda found: found.log_metrics({"loss": 1.0}, step=2**64), "metric 'loss': 1.0 at step 18446744073709551616 is no number"),
        (lambda found: found.log_params({"features": "x" * 7000}), "param 'features' has 7000 characters, the limit is 6000"),
        (lambda found: found.log_params({"a\nb": 1}), "does not name a param"),
        (lambda found: found.log_params({"x" * 240: 1}), "does not name a param"),
    ],
)
def test_what_a_tracker_would_refuse_is_refused_where_it_is_logged(stack: Stack, log: Any, said: str) -> None:
    found = context(stack)
    with pytest.raises(PipelineError) as caught:
        log(found)
    assert said in caught.value.message
    assert not caught.value.message.startswith("tracker:")
    assert (found.params, found.history) == ({}, [])


def test_params_are_text(stack: Stack) -> None:
    found = context(stack)
    found.log_params({"depth": 3, "columns": ["a", "b"]})
    assert found.params == {"depth": "3", "columns": "['a', 'b']"}


def test_files_are_stored_at_once(stack: Stack, tmp_path: Path) -> None:
    found, plot = context(stack), tmp_path / "plot.json"
    plot.write_text("[1]")
    found.log_artifact("plot", plot)
    plot.unlink()
    assert Artifacts(stack).load(found.logged["plot"]) == [1]
    for name, path in (("a b", plot), ("gone", plot)):
        with pytest.raises(MLOpsError):
            found.log_artifact(name, path)


def test_progress_reaches_who_listens(stack: Stack) -> None:
    heard: list[StageProgress] = []
    context(stack, heard.append).progress(1, note="row 1")
    context(stack).progress(1)
    assert heard == [StageProgress("run-1", "training", 1.0, None, "row 1")]


def test_elapsed_time_is_monotonic(stack: Stack) -> None:
    found = context(stack)
    stack.clock.sleep(2.5)
    assert found.elapsed() == timedelta(seconds=2.5)


@given(st.integers(), st.text(max_size=10))
def test_randomness_depends_on_seed_and_stage_alone(seed: int, stage: str) -> None:
    assert rng_of(seed, stage).random() == rng_of(seed, stage).random()
    assert rng_of(seed, stage).random() != rng_of(seed + 1, stage).random()
    assert rng_of(seed, stage).random() != rng_of(seed, stage + "x").random()


def test_the_seed_is_the_pipelines(build: Any) -> None:
    found = context(build(pipeline=PipelineSettings(seed=7)))
    assert found.rng.random() == rng_of(7, "training").random()
    assert context(build()).rng.random() == rng_of(0, "training").random()


def test_a_strangers_context_is_refused() -> None:
    with pytest.raises(PipelineError, match="run it with MLOpsPipeline"):
        RunContext.of(object())  # type: ignore[arg-type]  # no context at all
