from __future__ import annotations

import decimal
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops_core.exceptions import PipelineError
from mlops_core.records import Column, Schema
from mlops_core.testing.stage_context import RecordingContext
from mlops_core.testing.stage_suite import StageSuite
from mlops_stage_tabular.features import matrix_of
from mlops_stage_tabular.split import by_time, random_split
from mlops_stage_tabular.tables import plain
from mlops_stage_tabular.train import TARGET, SklearnStage

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

ROWS = 240
RNG = np.random.default_rng(3)
X = RNG.normal(size=ROWS)
WORDS = RNG.choice(["red", "green", "blue"], ROWS)
LATE = (X + (WORDS == "red") + RNG.normal(scale=0.4, size=ROWS) > 0.5).astype(int)
TABLE = pa.table(
    {
        "month": np.repeat([1, 2, 3, 4], ROWS // 4),
        "x": pa.array([None if i % 19 == 0 else float(v) for i, v in enumerate(X)]),
        "n": RNG.integers(0, 9, ROWS),
        "flag": X > 0,
        "word": pa.array([None if i % 23 == 0 else str(v) for i, v in enumerate(WORDS)]).dictionary_encode(),
        "when": pa.array(np.datetime64("2024-01-01") + np.arange(ROWS)),
        "late": LATE,
        "label": np.where(LATE == 1, "late", "on time"),
        "three": np.array(["a", "b", "c"])[RNG.integers(0, 3, ROWS)],
        "amount": 3 * X + RNG.normal(scale=0.1, size=ROWS),
        "gaps": pa.array([None if i % 4 == 0 else int(v) for i, v in enumerate(LATE)]),
        "same": np.ones(ROWS, dtype=int),
        "empty": pa.nulls(ROWS, pa.int64()),
    }
)
LEAKS = ("late", "label", "three", "amount", "gaps", "same", "empty")
HIST = "sklearn.ensemble.HistGradientBoostingClassifier"
LINEAR = "sklearn.linear_model.LogisticRegression"


def stage(**options: Any) -> SklearnStage:
    usual = {"estimator": HIST, "target": "late", "exclude": LEAKS, "time": "month", "test_from": 4}
    if str(options.get("estimator", HIST)).rpartition(".")[2].startswith("HistGradient"):
        usual["params"] = {"max_iter": 10}
    return SklearnStage(**{**usual, **options})


class TestSklearnStageConforms(StageSuite):
    def stage(self) -> SklearnStage:
        return stage()

    def inputs(self) -> Mapping[str, Any]:
        return {"data_preprocessing": TABLE}


class TestSklearnStageConformsAtRandom(TestSklearnStageConforms):
    def stage(self) -> SklearnStage:
        return stage(time=None, test_from=None)


def test_it_learns_measures_and_says_what_it_learnt(context: RecordingContext) -> None:
    answer = stage().run(context, TABLE)
    assert context.measured["rows_train"] == 180
    assert context.measured["rows_holdout"] == 60
    assert context.measured["roc_auc"] > 0.8 > context.measured["baseline_roc_auc"] == 0.5
    assert context.measured["log_loss"] < context.measured["baseline_log_loss"]
    assert context.params == {"estimator": HIST, "target": "late", "features": 4, "max_iter": 10}
    assert Schema.from_dict(answer["schema"]) == Schema(
        (Column("x", "float64", nullable=True), Column("n", "int64"), Column("flag", "bool"), Column("word", "str", nullable=True)),
        (Column("prediction", "int64"), Column("probability", "float64", (2,))),
    )
    assert answer["holdout"].schema.metadata[TARGET] == b"late"
    assert pc.unique(answer["holdout"]["month"]).to_pylist() == [4]


@pytest.mark.parametrize(
    "estimator",
    [
        HIST,
        LINEAR,
        "sklearn.ensemble.RandomForestClassifier",
        "sklearn.ensemble.GradientBoostingClassifier",
        "sklearn.naive_bayes.GaussianNB",
        "sklearn.svm.LinearSVC",
        "sklearn.neighbors.KNeighborsClassifier",
    ],
)
def test_estimators_of_every_kind_take_text_and_gaps(estimator: str, context: RecordingContext) -> None:
    answer = stage(estimator=estimator).run(context, TABLE)
    assert context.measured["roc_auc"] > 0.7
    unseen = np.array([[1.0, 3, True, "purple"], [np.nan, 3, False, None]], dtype=object)
    assert set(answer["model"].predict(unseen)) <= {0, 1}


@pytest.mark.parametrize("encode", ["ordinal", "onehot"])
@pytest.mark.parametrize("estimator", [HIST, LINEAR])
def test_the_encoding_can_be_said(estimator: str, encode: str, context: RecordingContext) -> None:
    stage(estimator=estimator, encode=encode).run(context, TABLE)
    assert context.measured["roc_auc"] > 0.7


def test_numbers_alone_need_no_encoder(context: RecordingContext) -> None:
    model = stage(features=["x", "n"]).run(context, TABLE)["model"]
    assert [name for name, _ in model.steps] == ["model"]


def test_numbers_can_be_taken_as_categories(context: RecordingContext) -> None:
    model = stage(features=["n", "x"], categorical=["n"]).run(context, TABLE)["model"]
    assert model[-1].is_categorical_.tolist() == [False, True]


def test_labels_are_answered_as_they_were_given(context: RecordingContext) -> None:
    answer = stage(target="label").run(context, TABLE)
    assert set(answer["model"].classes_) == {"late", "on time"}
    assert answer["schema"]["outputs"][0]["dtype"] == "str"


def test_several_classes(context: RecordingContext) -> None:
    answer = stage(target="three").run(context, TABLE)
    assert answer["schema"]["outputs"][1]["shape"] == [3]
    assert set(context.measured) >= {"roc_auc", "log_loss", "accuracy", "f1", "baseline_f1"}
    assert "brier" not in context.measured


def test_a_regression(context: RecordingContext) -> None:
    answer = stage(estimator="sklearn.linear_model.Ridge", target="amount").run(context, TABLE)
    assert context.measured["r2"] > 0.6 > context.measured["baseline_r2"]
    assert context.measured["rmse"] < context.measured["baseline_rmse"]
    assert answer["schema"]["outputs"] == [{"name": "prediction", "dtype": "float64", "shape": [], "nullable": False}]


def test_rows_without_a_target_are_dropped(context: RecordingContext) -> None:
    stage(target="gaps").run(context, TABLE)
    assert context.measured["rows_train"] + context.measured["rows_holdout"] == ROWS * 3 / 4


def test_a_real_that_is_no_number_is_a_missing_value(context: RecordingContext) -> None:
    gaps = np.where(np.arange(ROWS) % 4 == 0, np.nan, TABLE["amount"].to_numpy())
    x = np.where(np.arange(ROWS) % 7 == 0, np.nan, X)
    table = pl.DataFrame({"x": x, "amount": gaps, "month": TABLE["month"].to_numpy()})
    options = {"estimator": "sklearn.linear_model.Ridge", "target": "amount", "exclude": ()}
    answer = stage(**options).run(context, table)
    assert context.measured["rows_train"] + context.measured["rows_holdout"] == ROWS * 3 / 4
    assert [(one["name"], one["nullable"]) for one in answer["schema"]["inputs"]] == [("x", True)]
    infinite = table.with_columns(amount=pl.when(pl.col("month") == 1).then(float("inf")).otherwise(pl.col("amount")))
    with pytest.raises(PipelineError, match="sklearn: target: column 'amount' has infinite values - filter"):
        stage(**options).run(context, infinite)


@pytest.mark.parametrize("estimator", [HIST, LINEAR, "sklearn.ensemble.RandomForestClassifier"])
@pytest.mark.parametrize("kind", [pa.float64(), pa.string()])
def test_a_column_that_is_missing_in_all_training_rows_is_not_learnt_from(
    estimator: str, kind: pa.DataType, context: RecordingContext
) -> None:
    later = pa.array([None] * (ROWS * 3 // 4) + [1] * (ROWS // 4)).cast(kind)
    answer = stage(estimator=estimator).run(context, TABLE.append_column("later", later).append_column("never", pa.nulls(ROWS, kind)))
    assert [one["name"] for one in answer["schema"]["inputs"]] == ["x", "n", "flag", "word"]


@pytest.mark.parametrize("as_kind", [pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int32(), pa.string())])
def test_text_is_text_however_it_is_kept(as_kind: pa.DataType, context: RecordingContext) -> None:
    table = TABLE.drop_columns(["word", "label"])
    words = pa.array([None if i % 23 == 0 else str(word) for i, word in enumerate(WORDS)])
    labels = TABLE["label"].combine_chunks()
    kept = [
        column.dictionary_encode() if pa.types.is_dictionary(as_kind) else column.cast(as_kind)
        for column in (words, labels, TABLE["month"].cast(pa.string()).combine_chunks())
    ]
    for name, column in zip(["word", "label", "season"], kept, strict=True):
        table = table.append_column(name, column)
    exclude = [name for name in LEAKS if name != "label"]
    answer = stage(target="label", exclude=exclude, time="season", test_from="4").run(context, table)
    assert answer["schema"]["inputs"][-1] == {"name": "word", "dtype": "str", "shape": [], "nullable": True}
    assert set(answer["model"].classes_) == {"late", "on time"}
    assert context.measured["rows_holdout"] == 60


def test_decimals_are_numbers(context: RecordingContext) -> None:
    cents = pa.array([decimal.Decimal(round(100 * value)) for value in TABLE["amount"].to_pylist()], pa.decimal128(9, 2))
    answer = stage(estimator="sklearn.linear_model.Ridge", target="cents").run(context, TABLE.append_column("cents", cents))
    assert context.measured["r2"] > 0.6
    assert answer["schema"]["outputs"][0]["dtype"] == "float64"


def test_of_a_rare_class_one_row_is_held_out(context: RecordingContext) -> None:
    rare = np.where(np.arange(ROWS) < 2, "rare", TABLE["label"].to_numpy())
    table = TABLE.append_column("rare", pa.array(rare))
    stage(target="rare", time=None, test_from=None).run(context, table)
    assert context.measured["roc_auc"] > 0.5


@pytest.mark.parametrize(
    ("labels", "weights"),
    [
        (LATE, {"0": 1, "1": 50}),
        (LATE, {0: 1, 1: 50}),
        (LATE.astype(float), {"0": 1, "1": 50}),
        (LATE == 1, {"false": 1, "true": 50}),
        (np.where(LATE == 1, "late", "on time"), {"late": 50, "on time": 1}),
    ],
    ids=["whole", "python", "real", "truth", "text"],
)
def test_classes_are_weighted_by_their_labels(labels: Any, weights: dict[Any, float], context: RecordingContext) -> None:
    table = TABLE.append_column("target", pa.array(labels))
    options = {"estimator": LINEAR, "target": "target", "seed": 1}
    plain_answers, weighted = (_predicted(stage(**options, params=one).run(context, table)) for one in ({}, {"class_weight": weights}))
    heavy = max(weights, key=lambda key: weights[key])
    counts = [sum(str(label).lower() in {str(heavy), f"{heavy}.0"} for label in found) for found in (plain_answers, weighted)]
    assert counts[0] < counts[1]


def _predicted(answer: dict[str, Any]) -> list[Any]:
    names = [one["name"] for one in answer["schema"]["inputs"]]
    found: list[Any] = answer["model"].predict(matrix_of(plain(TABLE, "the table"), names)).tolist()
    return found


def test_classes_of_single_rows_are_told(context: RecordingContext) -> None:
    table = TABLE.append_column("row", pa.array(np.arange(ROWS)))
    with pytest.raises(PipelineError, match="leaves none to train on or to hold out, with 240 classes - take more rows, or another"):
        stage(target="row", time=None, test_from=None).run(context, table)
    lone = TABLE.append_column("lone", pa.array(np.where(np.arange(ROWS) < 1, "lone", TABLE["label"].to_numpy())))
    with pytest.raises(
        PipelineError, match="hold 2 of 3 classes, without lone - hold out more rows, or later ones, or name 'metrics' without"
    ):
        stage(target="lone", time=None, test_from=None).run(context, lone)


def test_a_module_that_ends_the_program_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, context: RecordingContext) -> None:
    (tmp_path / "leaving.py").write_text("raise SystemExit\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(PipelineError, match="sklearn: estimator: 'leaving' cannot be imported: SystemExit - install it"):
        stage(estimator="leaving.Model").run(context, TABLE)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "sklearn: data_preprocessing cannot be read: Expected unique column names"),
        (pa.table([[1], [2]], names=["a", "a"]), "sklearn: data_preprocessing has several columns called 'a' - rename all but one"),
        (pd.DataFrame({"a": pd.Series(["x", 1], dtype=object)}), "sklearn: data_preprocessing has a column that fits no type"),
        (pl.LazyFrame({"a": [1]}), "sklearn: data_preprocessing is a LazyFrame, no table"),
        ({"a": [1]}, "sklearn: data_preprocessing is a dict, no table"),
        (TABLE.append_column("day", pa.array([[1]] * ROWS)), "sklearn: time: column 'day' is list<"),
    ],
    ids=range(6),
)
def test_data_that_cannot_be_learnt_from_is_one_line(table: Any, message: str, context: RecordingContext) -> None:
    with pytest.raises(PipelineError) as caught:
        stage(time="day", test_from=None).run(context, table)
    assert message in caught.value.message
    assert "\n" not in caught.value.message


def test_the_column_of_time_is_no_feature_unless_named(context: RecordingContext) -> None:
    names = [one["name"] for one in stage().run(context, TABLE)["schema"]["inputs"]]
    assert "month" not in names
    named = stage(features=["month", "x"]).run(context, TABLE)["schema"]["inputs"]
    assert [one["name"] for one in named] == ["month", "x"]


def test_a_frame_is_taken_as_a_table(context: RecordingContext) -> None:
    stage(exclude=()).run(context, pd.DataFrame({name: TABLE[name].to_pandas() for name in ("month", "x", "late")}).assign(word="a"))
    assert context.measured["rows_train"] == 180


def test_the_seed_decides_the_rows_and_the_model(tmp_path: Path) -> None:
    def run(**options: Any) -> dict[str, float]:
        context = RecordingContext(root=tmp_path)
        stage(time=None, test_from=None, estimator="sklearn.ensemble.RandomForestClassifier", params={"n_estimators": 5}, **options).run(
            context, TABLE
        )
        return context.measured

    assert run(seed=1) == run(seed=1) != run(seed=2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"target": "lat"}, "sklearn: target: no column 'lat' in the data - did you mean 'late'?"),
        ({"target": "empty"}, "sklearn: target: column 'empty' has only missing values"),
        ({"target": "same"}, "sklearn: target: all 180 training rows have same = 1 - train on more rows"),
        (
            {"target": "label", "estimator": "sklearn.linear_model.Ridge"},
            "sklearn: target: 'label' is text, and sklearn.linear_model",
        ),
        ({"features": ["wrd"]}, "sklearn: features: no column 'wrd' in the data - did you mean 'word'?"),
        ({"features": ["late"]}, "sklearn: features: 'late' is the target"),
        ({"features": ["when"]}, "sklearn: features: column 'when' is date32[day] - derive numbers"),
        ({"features": ["x", "x"]}, "sklearn: features: 'x' is named twice"),
        ({"features": ["x", "empty"]}, "sklearn: features: column 'empty' has only missing values in the training rows - leave it out"),
        ({"exclude": ["wrd"]}, "sklearn: exclude: no column 'wrd'"),
        ({"categorical": ["when"]}, "sklearn: categorical: column 'when' is no feature"),
        ({"features": ["x"], "categorical": ["n"]}, "sklearn: categorical: column 'n' is no feature"),
        ({"target": "when"}, "sklearn: target: column 'when' is date32[day] - derive a number or a text"),
        ({"target": "amount"}, f"sklearn: target: 'amount' is of real numbers, and {HIST} predicts classes - take a regressor"),
        ({"exclude": tuple(TABLE.column_names)}, "sklearn: features: no column is left to learn from"),
        ({"categorical": ["wrd"]}, "sklearn: categorical: no column 'wrd'"),
        ({"time": "mnth"}, "sklearn: time: no column 'mnth' in the data - did you mean 'month'?"),
        ({"time": "gaps"}, "sklearn: time: column 'gaps' has 60 missing values"),
        ({"test_from": 9}, "sklearn: test_from: 9 leaves no row to hold out"),
        ({"test_from": 0}, "sklearn: test_from: 0 leaves no row to train on"),
        ({"test_from": "May"}, "sklearn: test_from: ['month', '<', 'May'] cannot be compared"),
        ({"time": None}, "sklearn: test_from: needs the column of time"),
        ({"time": None, "test_from": None, "test_size": 0.0001}, "sklearn: test_size: 0.0001 of 240 rows leaves none"),
        ({"estimator": "LogisticRegression"}, "sklearn: estimator: 'LogisticRegression' is no path"),
        ({"estimator": "sklearn.linear_modle.Ridge"}, "sklearn: estimator: 'sklearn.linear_modle' cannot be imported"),
        ({"estimator": "sklearn.linear_model.LogisticRegresion"}, "did you mean 'LogisticRegression'?"),
        ({"estimator": "sklearn.preprocessing.StandardScaler"}, "has no fit, predict and get_params"),
        ({"estimator": "os.path.join"}, "has no fit, predict and get_params"),
        ({"estimator": ".Ridge"}, "sklearn: estimator: '.Ridge' is no path"),
        ({"estimator": ".linear_model.Ridge"}, "sklearn: estimator: '.linear_model.Ridge' is no path"),
        ({"estimator": "sklearn.cluster.KMeans"}, "sklearn: estimator: KMeans is no classifier and no regressor"),
        ({"estimator": "sklearn.ensemble.IsolationForest"}, "IsolationForest is no classifier and no regressor"),
        (
            {"estimator": "sklearn.model_selection.GridSearchCV", "params": {"estimator": LINEAR, "param_grid": {"C": [1]}}},
            "sklearn: estimator: what GridSearchCV predicts cannot be told - name an estimator of scikit-learn's kind that needs no",
        ),
        (
            {"estimator": "sklearn.neighbors.RadiusNeighborsClassifier", "params": {"radius": 1e-9}},
            "sklearn: the model cannot be measured on the held-out rows: No neighbors found",
        ),
        ({"params": {"max_itr": 3}}, "sklearn: params: HistGradientBoostingClassifier takes no 'max_itr' - did you mean 'max_iter'?"),
        ({"params": {"class_weight": {"0": 1, "2": 5}}}, "sklearn: params: class_weight: no class '2' in the target - there are: 1, 0"),
        ({"params": {"max_iter": "many"}}, f"sklearn: {HIST} cannot be fitted: The 'max_iter' parameter"),
        ({"metrics": ["rmse"]}, "sklearn: metrics: no rmse: the model is a classification"),
        (
            {"metrics": ["log_loss"], "estimator": "sklearn.svm.LinearSVC"},
            "sklearn: metrics: no log_loss: the model gives no",
        ),
        ({"metrics": ["brier"], "target": "three"}, "sklearn: metrics: no brier: the target has 3 classes"),
    ],
    ids=lambda value: value[:50] if isinstance(value, str) else "",
)
def test_a_mistake_is_one_line_with_its_remedy(options: dict[str, Any], message: str, context: RecordingContext) -> None:
    with pytest.raises(PipelineError) as caught:
        stage(**options).run(context, TABLE)
    assert message in caught.value.message
    assert "\n" not in caught.value.message
    assert context.measured == {}


def test_a_held_out_class_that_is_missing_is_named_for_ranks(context: RecordingContext) -> None:
    early = TABLE.filter(pc.or_(pc.less(TABLE["month"], 4), pc.equal(TABLE["late"], 1)))
    with pytest.raises(PipelineError, match="the held-out rows hold 1 of 2 classes"):
        stage().run(context, early)
    stage(metrics=["accuracy", "log_loss"]).run(context, early)
    assert set(context.measured) == {"rows_train", "rows_holdout", "accuracy", "log_loss", "baseline_accuracy", "baseline_log_loss"}


@pytest.mark.parametrize("metrics", [(), ("accuracy", "roc_auc"), ("log_loss",)])
def test_a_class_that_training_has_not_seen_is_named(metrics: tuple[str, ...], context: RecordingContext) -> None:
    later = pc.equal(TABLE["month"], 4)
    swapped = pc.if_else(pc.and_(later, pc.equal(TABLE["three"], "b")), "new", TABLE["three"])
    for target in (swapped, pc.if_else(later, swapped, pc.if_else(pc.equal(TABLE["three"], "a"), "a", "b"))):
        table = TABLE.set_column(TABLE.column_names.index("three"), "three", target)
        with pytest.raises(PipelineError, match=r"hold classes that the training rows do not: .*new - train on"):
            stage(target="three", exclude=[name for name in LEAKS if name != "three"], metrics=metrics).run(context, table)
    assert context.measured == {}


def test_a_metric_without_a_value_is_refused(context: RecordingContext) -> None:
    exclude = [name for name in LEAKS if name != "amount"]
    one = stage(estimator="sklearn.ensemble.HistGradientBoostingRegressor", target="amount", exclude=exclude, metrics=["r2"])
    constant = TABLE.set_column(TABLE.column_names.index("month"), "month", pa.array([1] * (ROWS - 1) + [4]))
    with (
        pytest.warns(UserWarning, match="R.2"),
        pytest.raises(PipelineError, match="metrics: r2 is nan on the held-out rows"),
    ):
        one.run(context, constant)
    assert context.measured == {}


@given(
    counts=st.lists(st.integers(4, 30), min_size=1, max_size=3),
    share=st.floats(0.2, 0.8),
    seed=st.integers(0, 99),
    stratified=st.booleans(),
)
def test_a_random_split_divides_the_rows_and_keeps_the_shares(counts: list[int], share: float, seed: int, *, stratified: bool) -> None:
    strata = np.repeat(np.arange(len(counts)), counts)
    table = pa.table({"row": np.arange(len(strata)), "kind": strata})
    train, out = random_split(table, strata if stratified else None, share, np.random.default_rng(seed))
    rows = [*train["row"].to_pylist(), *out["row"].to_pylist()]
    assert sorted(rows) == list(range(len(strata)))
    assert train["row"].to_pylist() == sorted(train["row"].to_pylist())
    if stratified:
        for kind, count in enumerate(counts):
            assert abs(pc.sum(pc.equal(out["kind"], kind)).as_py() - count * share) <= 0.5


@given(times=st.lists(st.integers(0, 9), min_size=4, max_size=60).filter(lambda one: len(set(one)) > 1), share=st.floats(0.01, 0.99))
def test_a_split_by_time_never_trains_on_what_comes_later(times: list[int], share: float) -> None:
    table = pa.table({"time": times})
    try:
        train, out = by_time(table, "time", share, None, "test")
    except PipelineError:
        assert sorted(times)[int(len(times) * (1 - share))] == min(times)
        return
    assert train.num_rows + out.num_rows == len(times)
    assert pc.max(train["time"]).as_py() < pc.min(out["time"]).as_py()
    assert out.num_rows >= len(times) - int(len(times) * (1 - share))


def test_the_matrix_is_float_without_text_and_objects_with() -> None:
    numbers = matrix_of(TABLE, ["x", "n", "flag"])
    assert numbers.dtype == np.float64
    assert np.isnan(numbers[0, 0])
    mixed = matrix_of(plain(TABLE, "the table"), ["x", "word"])
    assert mixed.dtype == object
    assert mixed[0, 1] is None
    assert np.isnan(mixed[0, 0])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seed": -1}, "'seed' must be >= 0: -1"),
        ({"threads": 0}, "'threads' must be >= 1: 0"),
        ({"test_size": 25}, "25 is no share - give one between 0 and 1, such as 0.25"),
        ({"metrics": ["roc_acu"]}, "no metric 'roc_acu' - did you mean 'roc_auc'"),
    ],
)
def test_a_wrong_option_is_found_before_anything_runs(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        stage(**options)
