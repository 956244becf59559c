from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder

from mlops_core.exceptions import DeploymentError
from mlops_core.records import Column, Schema
from mlops_format_sklearn.joblib_format import JoblibFormat
from mlops_format_sklearn.predictor import SklearnPredictor
from mlops_format_sklearn.skops_format import SkopsFormat

RNG = np.random.default_rng(0)
NUMBERS = RNG.normal(size=(80, 2))
WORDS = np.array(["a", "b", None], dtype=object)[RNG.integers(0, 3, 80)]
LABELS = np.where(NUMBERS[:, 0] + (WORDS == "a") > 0.3, "late", "on time")
SCHEMA = Schema((Column("x", "float64"), Column("flag", "bool"), Column("word", "str", nullable=True)))
COLUMNS = {"word": WORDS, "x": NUMBERS[:, 0], "flag": NUMBERS[:, 1] > 0}


def matrix() -> Any:
    rows = np.empty((80, 3), dtype=object)
    rows[:, 0], rows[:, 1], rows[:, 2] = COLUMNS["x"], COLUMNS["flag"], WORDS
    return rows


def mixed_model() -> Any:
    columns = ColumnTransformer([("number", "passthrough", [0, 1]), ("word", OrdinalEncoder(encoded_missing_value=np.nan), [2])])
    return make_pipeline(columns, HistGradientBoostingClassifier(max_iter=5, random_state=0)).fit(matrix(), LABELS)


def test_columns_are_put_in_the_order_of_the_schema() -> None:
    model = mixed_model()
    answer = SkopsFormat().predictor(model, SCHEMA).predict(COLUMNS)
    np.testing.assert_array_equal(answer["prediction"], model.predict(matrix()))
    np.testing.assert_array_equal(answer["probability"], model.predict_proba(matrix()))
    assert answer["prediction"].dtype == LABELS.dtype
    assert answer["probability"].shape == (80, 2)


@pytest.mark.parametrize(
    "model",
    [LogisticRegression(), RandomForestClassifier(5, random_state=0), HistGradientBoostingClassifier(max_iter=5), GaussianNB()],
    ids=lambda model: type(model).__name__,
)
def test_one_pass_answers_what_predict_answers(model: Any) -> None:
    model.fit(NUMBERS, NUMBERS[:, 0] > 0)
    answer = SklearnPredictor(model).predict({"a": NUMBERS[:, 0], "b": NUMBERS[:, 1]})
    np.testing.assert_array_equal(answer["prediction"], model.predict(NUMBERS))
    assert answer["prediction"].dtype == np.bool_
    np.testing.assert_array_equal(answer["probability"], model.predict_proba(NUMBERS))


def test_a_regressor_answers_its_prediction_alone() -> None:
    model = LinearRegression().fit(NUMBERS, NUMBERS[:, 0])
    answer = JoblibFormat().predictor(model, None).predict({"a": NUMBERS[:, 0], "b": NUMBERS[:, 1]})
    assert set(answer) == {"prediction"}
    np.testing.assert_allclose(answer["prediction"], NUMBERS[:, 0], atol=1e-9)


def test_a_column_of_vectors_is_several_columns_of_the_matrix() -> None:
    model = LinearRegression().fit(NUMBERS, NUMBERS[:, 1])
    schema = Schema((Column("xy", "float64", (2,)),))
    np.testing.assert_allclose(SklearnPredictor(model, schema).predict({"xy": NUMBERS})["prediction"], NUMBERS[:, 1], atol=1e-9)


def test_several_outputs_keep_their_shape_and_lists_of_probabilities_are_left_out() -> None:
    model = RandomForestClassifier(3, random_state=0).fit(NUMBERS, (NUMBERS > 0).astype(int))
    answer = SklearnPredictor(model).predict({"a": NUMBERS[:, 0], "b": NUMBERS[:, 1]})
    assert set(answer) == {"prediction"}
    assert answer["prediction"].shape == (80, 2)


@pytest.mark.parametrize("frames", [pd, pl], ids=["pandas", "polars"])
def test_a_model_fitted_on_a_frame_gets_a_frame(frames: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    frame = frames.DataFrame({"x": NUMBERS[:, 0], "y": NUMBERS[:, 1]})
    model = make_pipeline(SimpleImputer(), LogisticRegression()).fit(frame, LABELS)
    if frames is pl:
        _without(monkeypatch, "pandas")
    answer = SklearnPredictor(model).predict({"y": NUMBERS[:, 1], "x": NUMBERS[:, 0]})
    np.testing.assert_array_equal(answer["prediction"], model.predict(frame))


def test_without_a_library_for_frames_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    model = LogisticRegression().fit(pd.DataFrame({"x": NUMBERS[:, 0]}), LABELS)
    _without(monkeypatch, "pandas", "polars")
    with pytest.raises(DeploymentError, match="install pandas or polars"):
        SklearnPredictor(model).predict({"x": NUMBERS[:, 0]})


def _without(monkeypatch: pytest.MonkeyPatch, *missing: str) -> None:
    real = importlib.import_module

    def load(name: str, package: str | None = None) -> Any:
        if name in missing:
            raise ImportError(name)
        return real(name, package)

    monkeypatch.setattr(importlib, "import_module", load)


def test_a_missing_column_is_named() -> None:
    with pytest.raises(DeploymentError, match="no column 'flag' in the request - the model takes x, flag, word"):
        SklearnPredictor(mixed_model(), SCHEMA).predict({"x": NUMBERS[:, 0], "word": WORDS})


def test_what_cannot_predict_is_refused_at_once() -> None:
    with pytest.raises(DeploymentError, match="dict has no 'predict'"):
        SklearnPredictor({"no": "model"})
