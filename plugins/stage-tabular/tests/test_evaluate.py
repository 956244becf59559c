from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest
from sklearn import metrics as reference
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.svm import LinearSVC

from mlops_core.exceptions import PipelineError
from mlops_core.records import Column, Schema
from mlops_core.testing.stage_suite import StageSuite
from mlops_stage_tabular.evaluate import MetricsStage
from mlops_stage_tabular.train import TARGET

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mlops_core.testing.stage_context import RecordingContext

RNG = np.random.default_rng(5)
X = RNG.normal(size=(300, 2))
Y = (X[:, 0] + RNG.normal(scale=0.8, size=300) > 0).astype(int)
THREE = np.array(["a", "b", "c"])[(X[:, 0] > 0).astype(int) + (X[:, 1] > 0.3)]
TABLE = pa.table({"one": X[:, 0], "two": X[:, 1], "late": Y, "three": THREE, "amount": X[:, 0] + 1, "part": np.arange(300) % 2})
HOLDOUT = TABLE.replace_schema_metadata({TARGET: b"late"})
SCHEMA = Schema((Column("one", "float64"), Column("two", "float64"))).to_dict()


def inputs(model: Any = None, target: str = "late") -> dict[str, Any]:
    fitted = (model or LogisticRegression()).fit(X, TABLE[target].to_numpy())
    return {"model": fitted, "holdout": HOLDOUT.replace_schema_metadata({TARGET: target.encode()}), "schema": SCHEMA}


class TestMetricsStageConforms(StageSuite):
    def stage(self) -> MetricsStage:
        return MetricsStage(require={"roc_auc": {"min": 0.5}})

    def inputs(self) -> Mapping[str, Any]:
        return inputs()


def test_metrics_of_two_classes_are_those_of_scikit_learn(context: RecordingContext) -> None:
    given = inputs()
    measured = MetricsStage().run(context, **given)
    chance, guess = given["model"].predict_proba(X)[:, 1], given["model"].predict(X)
    assert measured == pytest.approx(
        {
            "roc_auc": reference.roc_auc_score(Y, chance),
            "average_precision": reference.average_precision_score(Y, chance),
            "log_loss": reference.log_loss(Y, chance),
            "brier": reference.brier_score_loss(Y, chance),
            "accuracy": reference.accuracy_score(Y, guess),
            "balanced_accuracy": reference.balanced_accuracy_score(Y, guess),
            "precision": reference.precision_score(Y, guess),
            "recall": reference.recall_score(Y, guess),
            "f1": reference.f1_score(Y, guess),
        }
    )
    assert context.measured == {"rows": 300.0, **measured}


def test_metrics_of_three_classes_are_averages(context: RecordingContext) -> None:
    given = inputs(target="three")
    measured = MetricsStage().run(context, **given)
    chance, guess = given["model"].predict_proba(X), given["model"].predict(X)
    assert measured["roc_auc"] == pytest.approx(reference.roc_auc_score(THREE, chance, multi_class="ovr", average="weighted"))
    assert measured["f1"] == pytest.approx(reference.f1_score(THREE, guess, average="macro"))
    assert set(measured) == {"roc_auc", "log_loss", "accuracy", "balanced_accuracy", "precision", "recall", "f1"}


def test_metrics_of_a_regression(context: RecordingContext) -> None:
    given = inputs(LinearRegression(), "amount")
    measured = MetricsStage().run(context, **given)
    assert set(measured) == {"mae", "rmse", "r2", "median_absolute_error", "mape"}
    assert measured["r2"] == pytest.approx(1.0)
    assert measured["mae"] == pytest.approx(0.0, abs=1e-9)


def test_scores_rank_where_there_are_no_probabilities(context: RecordingContext) -> None:
    given = inputs(LinearSVC())
    measured = MetricsStage(metrics=["roc_auc", "average_precision"]).run(context, **given)
    assert measured["roc_auc"] == pytest.approx(reference.roc_auc_score(Y, given["model"].decision_function(X)))


def test_rows_can_be_chosen(context: RecordingContext) -> None:
    MetricsStage(filters=[["part", "=", 1]]).run(context, **inputs())
    assert context.measured["rows"] == 150


def test_a_bound_that_is_not_met_ends_the_run_with_the_numbers_logged(context: RecordingContext) -> None:
    with pytest.raises(PipelineError, match=r"metrics: roc_auc is 0\.\d+, required min 0.99 - train a better model, or change 'require'"):
        MetricsStage(metrics=["accuracy"], require={"accuracy": {"min": 0.1}, "roc_auc": {"min": 0.99}}).run(context, **inputs())
    assert 0.5 < context.measured["roc_auc"] < 0.99


def test_bounds_may_be_on_both_sides(context: RecordingContext) -> None:
    MetricsStage(require={"log_loss": {"min": 0.1, "max": 0.69}}).run(context, **inputs())
    with pytest.raises(PipelineError, match=r"log_loss is .*, required min 0 and max 0.01"):
        MetricsStage(require={"log_loss": {"min": 0, "max": 0.01}}).run(context, **inputs())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"target": "lat"}, "metrics: target: no column 'lat' in the data - did you mean 'late'?"),
        ({"filters": [["part", "=", 7]]}, "metrics: filters: no row is left to measure on"),
        ({"metrics": ["mae"]}, "metrics: metrics: no mae: the model is a classification"),
    ],
    ids=lambda value: value[:50] if isinstance(value, str) else "",
)
def test_a_mistake_is_one_line_with_its_remedy(options: dict[str, Any], message: str, context: RecordingContext) -> None:
    with pytest.raises(PipelineError) as caught:
        MetricsStage(**options).run(context, **inputs())
    assert message in caught.value.message
    assert "\n" not in caught.value.message


def test_rows_that_do_not_say_what_is_true_are_refused(context: RecordingContext) -> None:
    given = {**inputs(), "holdout": TABLE.replace_schema_metadata(None)}
    with pytest.raises(PipelineError, match="name it in 'target'"):
        MetricsStage().run(context, **given)
    with pytest.raises(PipelineError, match="metrics: holdout: no column 'two'"):
        MetricsStage().run(context, **{**given, "holdout": HOLDOUT.drop_columns(["two"])})
    gaps = HOLDOUT.set_column(2, "late", pa.array([None, *Y[1:]], pa.int64()))
    with pytest.raises(PipelineError, match="has missing values - filter those rows out"):
        MetricsStage().run(context, **{**given, "holdout": gaps})
    with pytest.raises(PipelineError, match=r"metrics: schema: not a Schema: .* - take the output 'schema'"):
        MetricsStage().run(context, **{**inputs(), "schema": {"rows": 3}})
    none = HOLDOUT.set_column(2, "late", pa.array([float("nan"), *map(float, Y[1:])]))
    with pytest.raises(PipelineError, match="has missing values - filter those rows out"):
        MetricsStage().run(context, **{**given, "holdout": none})


@pytest.mark.parametrize(
    ("require", "message"),
    [
        ({"roc_auk": {"min": 1}}, "no metric 'roc_auk' - did you mean 'roc_auc'"),
        ({"roc_auc": {"mn": 0.5}}, "roc_auc: no bound 'mn' - use min or max"),
        ({"roc_auc": {}}, "roc_auc: has no bound - give min or max"),
    ],
)
def test_a_bound_that_is_none_is_found_before_anything_runs(require: dict[str, dict[str, float]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MetricsStage(require=require)
