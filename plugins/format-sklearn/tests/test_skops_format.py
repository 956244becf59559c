# ruff: noqa: SLF001  the arrays that are spoilt here are private
from __future__ import annotations

import functools
import io
import json
import subprocess
import sys
import warnings
import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import skops.io as sio
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.datasets import make_classification
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import (
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    IsolationForest,
    RandomForestClassifier,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OrdinalEncoder, StandardScaler
from sklearn.svm import SVC

from mlops_core.exceptions import ArtifactError, UntrustedFormatError
from mlops_core.testing.format_suite import FormatSuite
from mlops_format_sklearn import mlops_format
from mlops_format_sklearn.skops_format import SkopsFormat

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

X, Y = make_classification(120, 5, n_informative=3, n_classes=3, random_state=0)
MIXED = np.column_stack([X[:, :2].astype(object), np.array(["a", "b", None], dtype=object)[Y]])
LABELS = np.array(["early", "late", "never"])[Y]


def encoded() -> Any:
    columns = ColumnTransformer([("number", "passthrough", [0, 1]), ("text", OrdinalEncoder(), [2])])
    return make_pipeline(columns, HistGradientBoostingClassifier(max_iter=3, categorical_features=[2]))


@functools.cache
def fitted() -> list[Any]:
    return [
        encoded().fit(MIXED, LABELS),
        HistGradientBoostingRegressor(max_iter=3).fit(X, Y),
        RandomForestClassifier(3, random_state=0).fit(X, LABELS),
        GradientBoostingClassifier(n_estimators=2).fit(X, Y),
        GradientBoostingClassifier(n_estimators=2).fit(X, Y > 0),
        IsolationForest(n_estimators=3, random_state=0).fit(X),
        make_pipeline(StandardScaler(), SimpleImputer(strategy="median"), LogisticRegression()).fit(X, Y),
        CalibratedClassifierCV(LogisticRegression(), cv=2).fit(X, Y),
        MLPClassifier((4,), max_iter=800, random_state=0, tol=0.1).fit(X, Y),
        SVC().fit(X, Y),
        DummyClassifier().fit(X, Y),
        Ridge().fit(X, Y),
        LogisticRegression(C=0.5),
    ]


class Homemade(LogisticRegression):  # type: ignore[misc]  # scikit-learn has no types
    """An estimator of a module that nobody has vouched for."""


class TestSkopsFormatConforms(FormatSuite):
    def format(self) -> SkopsFormat:
        return SkopsFormat()

    def values(self) -> Sequence[Any]:
        return fitted()

    def refused(self) -> Sequence[Any]:
        neighbours = KNeighborsClassifier(algorithm="kd_tree").fit(X, Y)
        return [{"a": 1}, X, LogisticRegression, Homemade(), neighbours, FunctionTransformer(print)]

    def same(self, left: Any, right: Any) -> bool:
        assert type(left) is type(right)
        assert repr(left) == repr(right)
        if hasattr(left, "n_features_in_"):
            rows = X if left.n_features_in_ == 5 else MIXED
            np.testing.assert_array_equal(left.predict(rows), right.predict(rows))
        return True


def test_the_hook_hands_over_the_class_of_that_name() -> None:
    assert mlops_format("skops") is SkopsFormat


def test_importing_the_plugin_loads_no_library() -> None:
    code = (
        "import sys, mlops_format_sklearn as m\n"
        "m.mlops_format('skops'), m.mlops_format('joblib')\n"
        "print({'sklearn', 'skops', 'joblib', 'numpy'} & sys.modules.keys())"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "set()"


def test_an_unknown_type_is_refused_until_it_is_named(tmp_path: Path) -> None:
    sio.dump(Homemade(), tmp_path / "model")
    name = f"{Homemade.__module__}.Homemade"
    with pytest.raises(UntrustedFormatError, match="Homemade, not known to be harmless - store the model as joblib"):
        SkopsFormat().read(tmp_path / "model")
    with pytest.raises(ArtifactError, match=r"Homemade holds .*Homemade, not known to be harmless"):
        SkopsFormat().write(Homemade(), tmp_path / "other")
    trusting = SkopsFormat(trusted=(name,))
    assert trusting.accepts(Homemade())
    assert isinstance(trusting.read(tmp_path / "model"), Homemade)


def test_a_file_cannot_name_a_function_to_call(tmp_path: Path) -> None:
    sio.dump(FunctionTransformer(np.sqrt), tmp_path / "model")
    evil = _edited(tmp_path / "model", lambda schema: schema.replace('"sqrt"', '"system"').replace('"numpy"', '"os"'))
    (tmp_path / "evil").write_bytes(evil)
    assert SkopsFormat().sniff(tmp_path / "evil")
    with pytest.raises(UntrustedFormatError, match=r"os\.system"):
        SkopsFormat().read(tmp_path / "evil")


def spoil_hgb(change: Callable[[Any], None]) -> Any:
    model = encoded().fit(MIXED, LABELS)
    change(model[-1])
    return model


def spoil_forest(field: str, value: int) -> Any:
    model = RandomForestClassifier(2, random_state=0, max_depth=3).fit(X, Y)
    tree = model.estimators_[0].tree_
    state = tree.__getstate__()
    nodes = state["nodes"].copy()
    nodes[field][0] = value
    tree.__setstate__({**state, "nodes": nodes})
    return model


def nodes_of(model: Any) -> Any:
    return model._predictors[0][0].nodes


def spoilt_forests() -> list[Any]:
    deeper = RandomForestClassifier(1, random_state=0).fit(X, Y)
    deeper.estimators_[0].tree_.max_depth = 1
    longer = RandomForestClassifier(1, random_state=0).fit(X, Y)
    narrower = RandomForestClassifier(1, random_state=0).fit(X, Y)
    narrower.estimators_[0].n_features_in_ = 1
    state = longer.estimators_[0].tree_.__getstate__()
    longer.estimators_[0].tree_.__setstate__({**state, "node_count": state["node_count"] + 1000})
    stages = GradientBoostingClassifier(n_estimators=2).fit(X, Y)
    stages.estimators_ = np.hstack([stages.estimators_, stages.estimators_])
    cases = [("left_child", 10**6), ("left_child", 0), ("right_child", -1), ("right_child", 1), ("feature", 99), ("feature", -7)]
    return [*(spoil_forest(field, value) for field, value in cases), deeper, longer, narrower, stages]


def spoilt_boosters() -> list[Any]:
    def put(field: str, value: int) -> Callable[[Any], None]:
        return lambda model: nodes_of(model)[field].__setitem__(0, value)

    def cut_sets(model: Any) -> None:
        for one in (one for stage in model._predictors for one in stage):
            one.raw_left_cat_bitsets = one.raw_left_cat_bitsets[:, :1].copy()

    def empty(model: Any) -> None:
        model._predictors[0][0].nodes = nodes_of(model)[:0]

    def fewer(model: Any) -> None:
        model._bin_mapper.is_categorical_ = model._bin_mapper.is_categorical_[:1]

    def relabel(model: Any) -> None:
        nodes_of(model)["is_categorical"][0] = 1
        nodes_of(model)["feature_idx"][0] = 2  # a number: categories come first inside

    def no_set(model: Any) -> None:
        nodes_of(model)["is_categorical"][0] = 1
        nodes_of(model)["bitset_idx"][0] = 10**6

    fields = [put("left", 10**6), put("right", 0), put("feature_idx", 10**9), put("feature_idx", -1)]
    return [spoil_hgb(change) for change in (*fields, cut_sets, empty, fewer, relabel, no_set)]


@pytest.mark.parametrize("spoilt", [*spoilt_forests(), *spoilt_boosters()], ids=lambda model: type(model).__name__)
def test_a_tree_that_leads_out_of_its_arrays_is_refused(spoilt: Any, tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sio.dump(spoilt, tmp_path / "model")
    with pytest.raises(ArtifactError, match="the model is not sound"):
        SkopsFormat().read(tmp_path / "model")


def _edited(path: Path, edit: Callable[[str], str]) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(target, "w") as copy:
        for name in source.namelist():
            content = source.read(name)
            copy.writestr(name, edit(content.decode()) if name == "schema.json" else content)
    return target.getvalue()


def test_a_zip_whose_directory_is_too_large_is_not_looked_into(tmp_path: Path) -> None:
    sio.dump(LogisticRegression(), tmp_path / "model")
    content = bytearray((tmp_path / "model").read_bytes())
    end = content.rfind(b"PK\x05\x06")
    content[end + 12 : end + 16] = (1 << 30).to_bytes(4, "little")
    (tmp_path / "model").write_bytes(content)
    assert not SkopsFormat().sniff(tmp_path / "model")


def test_a_schema_is_json_of_skops(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "other", "w") as archive:
        archive.writestr("schema.json", json.dumps({"type": "object"}))
    assert not SkopsFormat().sniff(tmp_path / "other")
