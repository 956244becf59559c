"""Folders as MLflow writes them."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from attrs import frozen
from onnx import ModelProto, TensorProto, helper, numpy_helper
from skl2onnx import to_onnx
from sklearn.linear_model import LogisticRegression

from mlops_format_mlflow.library import import_mlflow

if TYPE_CHECKING:
    from collections.abc import Iterator

X = np.random.default_rng(0).normal(size=(60, 3)).astype(np.float32)
Y = (X[:, 0] > 0).astype(int)
NEEDS = ["scikit-learn"]


@frozen
class Folders:
    """Folders of MLflow by flavour, and the models that they were made of."""

    onnx: Path
    beside: Path
    pickled: Path
    python: Path
    classifier: Any
    graph: ModelProto


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """MLflow warns of how it is used here, and of itself."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def weighted() -> ModelProto:
    """A model from ``x`` (n, 3) to ``y`` (n, 3) with a tensor that can lie in another file."""
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, 3]) for name in "xy"]
    weights = numpy_helper.from_array(2 * np.eye(3, dtype=np.float32), "w")
    graph = helper.make_graph([helper.make_node("MatMul", ["x", "w"], ["y"])], "graph", ends[:1], ends[1:], [weights])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Folders:
    home = tmp_path_factory.mktemp("folders")
    classifier = LogisticRegression().fit(X, Y)
    graph: ModelProto = to_onnx(classifier, X[:1], options={"zipmap": False})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        by_onnx, by_sklearn, pyfunc = (import_mlflow(f"mlflow.{name}") for name in ("onnx", "sklearn", "pyfunc"))

        class Total(pyfunc.PythonModel):  # type: ignore[misc, name-defined]  # MLflow is imported late
            def predict(self, context, model_input, params=None):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202  MLflow reads them
                return model_input.sum(axis=1)

        by_onnx.save_model(graph, home / "onnx", pip_requirements=NEEDS)
        by_onnx.save_model(weighted(), home / "beside", pip_requirements=NEEDS, size_threshold=0)
        by_sklearn.save_model(classifier, home / "pickled", pip_requirements=NEEDS, serialization_format="cloudpickle")
        pyfunc.save_model(home / "python", python_model=Total(), pip_requirements=NEEDS)
    return Folders(home / "onnx", home / "beside", home / "pickled", home / "python", classifier, graph)
