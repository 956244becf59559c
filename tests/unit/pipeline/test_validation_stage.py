import math
from typing import Any

import pytest

from mlops_core.config.settings import PipelineSettings, StageSettings
from mlops_core.mlops_pipeline import MLOpsPipeline
from mlops_core.records import RunReport
from mlops_core.roles import StageContext


def run(build: Any, require: Any, **metrics: float) -> tuple[MLOpsPipeline, RunReport]:
    options = {} if require is None else {"require": require}
    settings = PipelineSettings("tickets", stages=(StageSettings("training"), StageSettings("validation", options=options)))
    pipeline = MLOpsPipeline("tickets", stack=build(pipeline=settings))

    @pipeline.stage("training")
    def train(context: StageContext) -> None:
        context.log_metrics(metrics)

    return pipeline, pipeline.run_pipeline()


def test_bounds_that_are_met_let_the_run_go_on(build: Any) -> None:
    bounds = {"roc_auc": {"min": 0.65}, "training.loss": {"max": 0.5}, "rows": {"min": 10, "max": 10}}
    pipeline, report = run(build, bounds, roc_auc=0.7, loss=0.5, rows=10, other=1)
    assert report.status == "succeeded"
    assert pipeline.output("validation") == {"roc_auc": 0.7, "training.loss": 0.5, "rows": 10.0}
    assert report.stages[1].summary == "roc_auc 0.7 (min 0.65), training.loss 0.5 (max 0.5), rows 10 (min 10, max 10)"


def test_every_bound_that_is_not_met_is_named_in_one_line(build: Any) -> None:
    bounds = {"roc_auc": {"min": 0.65}, "rows": {"min": 1, "max": 5}, "loss": {"max": 1}, "fine": {"min": 0}}
    _, report = run(build, bounds, roc_auc=0.61, rows=7, loss=math.nan, fine=1)
    assert report.error == (
        "stage 'validation' failed: 3 of 4 bounds not met: roc_auc 0.61 is below 0.65; rows 7 is above 5; loss is not a number"
    )


def test_infinity_meets_a_lower_bound(build: Any) -> None:
    pipeline, report = run(build, {"ratio": {"min": 1}}, ratio=math.inf)
    assert report.status == "succeeded"
    assert pipeline.output("validation") == {"ratio": "inf"}


def test_without_bounds_it_passes(build: Any) -> None:
    assert run(build, None)[1].status == "succeeded"


def test_a_metric_that_was_not_logged_is_named_with_the_nearest(build: Any) -> None:
    _, report = run(build, {"roc_acu": {"min": 0.5}}, roc_auc=0.7)
    assert report.error == ("stage 'validation' failed: require: no earlier stage logged the metric 'roc_acu' - did you mean 'roc_auc'?")


@pytest.mark.parametrize(
    ("require", "said"),
    [
        ({"roc_auc": {}}, "a bound needs min, max or both"),
        ({"roc_auc": {"mni": 0.5}}, "unknown key 'mni' - did you mean 'min'?"),
        ({"roc_auc": {"min": "high"}}, "require.roc_auc.min: expected a number, got"),
        ({"roc_auc": 0.5}, "require.roc_auc: expected a mapping, got"),
        ([], "require: expected a mapping"),
    ],
)
def test_wrong_bounds_are_found_before_anything_runs(build: Any, require: Any, said: str) -> None:
    settings = PipelineSettings("tickets", stages=(StageSettings("validation", options={"require": require}),))
    problems = MLOpsPipeline("tickets", stack=build(pipeline=settings)).check()
    assert len(problems) == 1
    assert problems[0].startswith("stage 'validation': ")
    assert said in problems[0]
