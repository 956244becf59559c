from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression

from mlops_core.exceptions import ArtifactError, DeploymentError
from mlops_core.records import Column, Schema
from mlops_core.testing.format_suite import FormatSuite
from mlops_format_mlflow.pyfunc_format import PyfuncFormat
from mlops_format_mlflow.pyfunc_predictor import PyfuncPredictor

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from tests.conftest import Folders

X = np.random.default_rng(0).normal(size=(60, 3)).astype(np.float32)
SCHEMA = Schema(tuple(Column(name, "float64") for name in "abc"))
COLUMNS = {name: X[:, number] for number, name in enumerate("abc")}


class TestPyfuncFormatConforms(FormatSuite):
    @pytest.fixture(autouse=True)
    def _folders(self, folders: Folders) -> None:
        self.folders = folders

    def format(self) -> PyfuncFormat:
        return PyfuncFormat()

    def values(self) -> Sequence[Any]:
        return [PyfuncFormat().read(self.folders.python)]

    def refused(self) -> Sequence[Any]:
        return [{"a": 1}, X, LinearRegression(), PyfuncFormat().read(self.folders.pickled)]

    def same(self, left: Any, right: Any) -> bool:
        frame = pd.DataFrame(COLUMNS)
        return type(left) is type(right) and bool((left.predict(frame) == right.predict(frame)).all())


def test_every_flavour_with_a_function_is_read(folders: Folders) -> None:
    frame = pd.DataFrame(X)
    for folder in (folders.onnx, folders.pickled, folders.python):
        assert PyfuncFormat().sniff(folder)
    np.testing.assert_array_equal(PyfuncFormat().read(folders.pickled).predict(frame), folders.classifier.predict(X))
    np.testing.assert_array_equal(PyfuncFormat().read(folders.beside).predict(frame)["y"].to_numpy().reshape(60, 3), 2 * X)


def test_nothing_is_left_in_the_current_folder(folders: Folders, tmp_path: Path) -> None:
    PyfuncFormat().write(PyfuncFormat().read(folders.python), tmp_path / "model")
    assert [one.name for one in tmp_path.iterdir()] == ["model"]


def test_reading_a_folder_runs_its_code_and_looking_at_it_does_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])
    folder, marker = tmp_path / "model", tmp_path / "marker"
    (folder / "code").mkdir(parents=True)
    (folder / "code" / "loader_of_the_folder.py").write_text(f"from pathlib import Path\n\nPath({str(marker)!r}).mkdir()\n")
    (folder / "MLmodel").write_text("flavors: {python_function: {loader_module: loader_of_the_folder, code: code}}\n")
    assert PyfuncFormat().sniff(folder)
    assert not marker.exists()
    with pytest.raises(ArtifactError, match="loader_of_the_folder"):  # it has nothing that loads
        PyfuncFormat().read(folder)
    assert marker.exists()


def test_a_folder_that_cannot_be_loaded_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "MLmodel").write_text("flavors: {python_function: {loader_module: no_such_module}}\n")
    assert PyfuncFormat().sniff(tmp_path / "model")
    with pytest.raises(ArtifactError, match="format mlflow-pyfunc: model cannot be read: ModuleNotFoundError: ") as caught:
        PyfuncFormat().read(tmp_path / "model")
    assert "\n" not in caught.value.message


def test_a_model_that_does_not_pickle_is_one_line(folders: Folders, tmp_path: Path) -> None:
    value = PyfuncFormat().read(folders.python)
    value.unwrap_python_model().lock = threading.Lock()
    with pytest.raises(ArtifactError, match="format mlflow-pyfunc: the model cannot be written: MlflowException: Failed to serialize"):
        PyfuncFormat().write(value, tmp_path / "model")


def test_columns_are_put_in_the_order_of_the_schema(folders: Folders) -> None:
    one = PyfuncFormat()
    answer = one.predictor(one.read(folders.pickled), SCHEMA).predict(dict(reversed(COLUMNS.items())))
    np.testing.assert_array_equal(answer["prediction"], folders.classifier.predict(X))
    with pytest.raises(DeploymentError, match="no column 'b' in the request - the model takes a, b, c"):
        one.predictor(one.read(folders.pickled), SCHEMA).predict({"a": X[:, 0], "c": X[:, 2]})


class Answering:
    def __init__(self, answer: Callable[[pd.DataFrame], Any]) -> None:
        self.predict = answer


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (lambda frame: frame["a"] * 2, {"prediction": [2.0, 4.0]}),
        (lambda frame: list(frame["a"]), {"prediction": [1.0, 2.0]}),
        (lambda frame: np.array(["x", "y"], dtype=object), {"prediction": ["x", "y"]}),
        (lambda frame: np.array([["x"], [1]], dtype=object), {"prediction": [["x"], [1]]}),
        (lambda frame: {"p": frame["a"], "q": frame["v"].map(sum)}, {"p": [1.0, 2.0], "q": [1.0, 5.0]}),
        (lambda frame: pd.DataFrame({"p": frame["a"], 0: ["x", "y"]}), {"p": [1.0, 2.0], "0": ["x", "y"]}),
    ],
)
def test_what_the_function_answers_becomes_outputs(answer: Callable[[pd.DataFrame], Any], expected: dict[str, Any]) -> None:
    columns = {"a": np.array([1.0, 2.0]), "v": np.arange(4.0).reshape(2, 2)}
    found = PyfuncPredictor(Answering(answer)).predict(columns)
    assert {name: array.tolist() for name, array in found.items()} == expected
    assert all(array.dtype != object for name, array in found.items() if expected[name] == ["x", "y"])


def test_a_function_that_fails_is_one_line() -> None:
    with pytest.raises(DeploymentError, match="model: it cannot predict: KeyError: 'z'"):
        PyfuncPredictor(Answering(lambda frame: frame["z"])).predict(COLUMNS)
    with pytest.raises(DeploymentError, match=r"the output 'prediction' has the shape \(1,\) for 60 rows"):
        PyfuncPredictor(Answering(lambda frame: [1])).predict(COLUMNS)
    with pytest.raises(DeploymentError, match=r"the output 'prediction' has the shape \(\) for 60 rows"):
        PyfuncPredictor(Answering(lambda frame: 1)).predict(COLUMNS)
