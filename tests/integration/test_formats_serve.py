"""Models of the formats that are no pickles, deployed on the local server: another process composes the formats with their options."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

from mlops_core import Project
from mlops_core.exceptions import DeploymentError

if TYPE_CHECKING:
    from pathlib import Path

CONFIGURATION: Final = """\
version: 1
tracker: []
registry: sqlite
environments: {{staging: local}}
monitoring: {{sinks: []}}
formats: [json, {{use: onnx, threads: 2}}, {safetensors}, mlflow, joblib, mlflow-pyfunc]
"""
NET: Final = """
class Doubling:
    def __init__(self, arrays, schema):
        self.weights, self.names = arrays["w"], [one.name for one in schema.inputs]

    def predict(self, columns):
        return {"y": sum(columns[name] for name in self.names) * self.weights[0]}
"""
SCHEMA: Final = {"inputs": [{"name": "a", "dtype": "float64"}, {"name": "b", "dtype": "float64"}]}
REQUEST: Final = {"a": [1.0, 3.0], "b": [2.0, 4.0]}
MLMODEL: Final = {"flavors": {"onnx": {"data": "model.onnx"}, "python_function": {"loader_module": "mlflow.onnx", "data": "model.onnx"}}}


def doubled_sum() -> ModelProto:
    ends = [
        helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 2]),
        helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, 1]),
    ]
    weights = numpy_helper.from_array(np.full((2, 1), 2.0, np.float32), "w")
    graph = helper.make_graph([helper.make_node("MatMul", ["x", "w"], ["y"])], "graph", ends[:1], ends[1:], [weights])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def open_project(folder: Path, safetensors: str) -> Project:
    (folder / "net.py").write_text(NET)
    (folder / "mlops.yaml").write_text(CONFIGURATION.format(safetensors=safetensors))
    return Project.open(folder)


def test_each_format_predicts_in_the_serving_process(tmp_path: Path) -> None:
    mlflow = tmp_path / "mlflow"
    mlflow.mkdir()
    (mlflow / "MLmodel").write_text(json.dumps(MLMODEL))
    (mlflow / "model.onnx").write_bytes(doubled_sum().SerializeToString())
    models: dict[str, dict[str, Any]] = {
        "onnx": {"model": doubled_sum()},
        "safetensors": {"model": {"w": np.array([2.0])}},
        "mlflow": {"model_path": mlflow},
    }
    with open_project(tmp_path, "{use: safetensors, predictor: './net.py:Doubling'}") as project:
        try:
            for name, given in models.items():
                version = project.versioning.version_model(name, schema=SCHEMA, **given)
                assert project.versioning.get_version(name).format == name
                project.deployment.deploy_model(name, version, "staging")
                answer = project.deployment.predict(name, "staging", REQUEST)
                np.testing.assert_allclose(np.ravel(answer.outputs["y"]), [6.0, 14.0])
        finally:
            project.deployment.shutdown("staging")


def test_arrays_that_nothing_predicts_with_are_not_deployed(tmp_path: Path) -> None:
    with open_project(tmp_path, "safetensors") as project:
        version = project.versioning.version_model("arrays", model={"w": np.array([2.0])}, schema=SCHEMA)
        try:
            with pytest.raises(DeploymentError, match="name the class of yours that does: formats:") as caught:
                project.deployment.deploy_model("arrays", version, "staging")
        finally:
            project.deployment.shutdown("staging")
        assert "\n" not in caught.value.message
