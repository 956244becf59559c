from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from onnx import TensorProto, helper, numpy_helper
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType, StringTensorType
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from mlops_core.exceptions import DeploymentError
from mlops_core.records import Column, Schema
from mlops_format_onnx.onnx_format import OnnxFormat

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mlops_format_onnx.session import OnnxPredictor

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 3)).astype(np.float32)
WORDS = np.array(["a", "b", "c"])[RNG.integers(0, 3, 60)]
LABELS = np.where(X[:, 0] > 0, "late", "on time")
COLUMNS = {"c": X[:, 2].astype(np.float64), "a": X[:, 0].astype(np.float64), "b": X[:, 1].astype(np.float64)}
SCHEMA = Schema(tuple(Column(name, "float64") for name in "abc"))


def predictor(model: Any, schema: Schema | None = None, threads: int = 1) -> OnnxPredictor:
    return OnnxFormat(threads).predictor(model, schema)


def graph(
    inputs: Mapping[str, tuple[int, Sequence[Any] | None]],
    outputs: Mapping[str, tuple[int, Sequence[Any] | None]],
    *nodes: Any,
    **weights: Any,
) -> Any:
    taken, given = [
        [helper.make_tensor_value_info(name, kind, shape) for name, (kind, shape) in side.items()] for side in (inputs, outputs)
    ]
    held = [numpy_helper.from_array(value, name) for name, value in weights.items()]
    made = helper.make_graph(nodes, "graph", taken, given, initializer=held)
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def of_lists() -> Any:
    inputs = [helper.make_tensor_sequence_value_info("x", TensorProto.FLOAT, [None])]
    outputs = [helper.make_tensor_value_info("y", TensorProto.INT64, [])]
    made = helper.make_graph([helper.make_node("SequenceLength", ["x"], ["y"])], "graph", inputs, outputs)
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def same(kind: int, shape: Sequence[Any] | None = (None,), name: str = "x") -> Any:
    return graph({name: (kind, shape)}, {"y": (kind, shape)}, helper.make_node("Identity", [name], ["y"]))


def test_columns_side_by_side_in_the_order_of_the_schema() -> None:
    model = LogisticRegression().fit(X, LABELS)
    answer = predictor(to_onnx(model, X[:1], options={"zipmap": False}), SCHEMA).predict(COLUMNS)
    assert list(answer) == ["label", "probabilities"]
    np.testing.assert_array_equal(answer["label"], model.predict(X))
    assert answer["label"].dtype.kind == "U"
    np.testing.assert_allclose(answer["probabilities"], model.predict_proba(X), atol=1e-5)


def test_the_mappings_of_a_classifier_are_one_column_per_class() -> None:
    model = LogisticRegression().fit(X, LABELS)
    answer = predictor(to_onnx(model, X[:1]), SCHEMA).predict(COLUMNS)
    np.testing.assert_allclose(answer["output_probability"], model.predict_proba(X), atol=1e-5)


def test_without_a_schema_in_the_order_of_the_request() -> None:
    model = LinearRegression().fit(X, X[:, 0])
    answer = predictor(to_onnx(model, X[:1])).predict({"a": X[:, 0], "bc": X[:, 1:]})
    np.testing.assert_allclose(answer["variable"][:, 0], X[:, 0], atol=1e-5)


def test_inputs_by_name_whatever_else_the_request_holds() -> None:
    columns = ColumnTransformer([("word", OneHotEncoder(sparse_output=False), ["word"])], remainder="passthrough")
    frame = pd.DataFrame({"x": X[:, 0], "word": WORDS})
    model = make_pipeline(columns, LogisticRegression()).fit(frame, LABELS)
    types = [("x", FloatTensorType([None, 1])), ("word", StringTensorType([None, 1]))]
    schema = Schema((Column("word", "str"), Column("x", "float64"), Column("unused", "float64")))
    request = {"x": X[:, 0].astype(np.float64), "word": WORDS.astype(object), "unused": X[:, 1]}
    found = predictor(to_onnx(model, initial_types=types, options={"zipmap": False}), schema).predict(request)
    np.testing.assert_array_equal(found["label"], model.predict(frame))


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (TensorProto.BOOL, np.array([True, False])),
        (TensorProto.FLOAT, np.array([1, 2])),
        (TensorProto.FLOAT, np.array([True, False])),
        (TensorProto.DOUBLE, np.array([0.1, np.nan])),
        (TensorProto.FLOAT16, np.array([0.5, 2.0])),
        (TensorProto.INT64, np.array([1, 2**62])),
        (TensorProto.INT8, np.array([-128, 127])),
        (TensorProto.UINT8, np.array([0, 255])),
        (TensorProto.INT64, np.array([True, False])),
        (TensorProto.STRING, np.array(["a", "жук"])),
        (TensorProto.STRING, np.array(["a", "жук"], dtype=object)),
    ],
)
def test_values_are_cast_to_the_graphs_type(kind: int, values: Any) -> None:
    np.testing.assert_array_equal(predictor(same(kind)).predict({"x": values})["y"], values)


@pytest.mark.parametrize(
    ("kind", "values", "cause"),
    [
        (TensorProto.FLOAT, np.array(["a"]), "column 'x' is <U1, the model takes float32 - send such values"),
        (TensorProto.FLOAT, np.array([None]), "column 'x' is object, the model takes float32"),
        (TensorProto.INT64, np.array([1.5]), "column 'x' is float64, the model takes int64"),
        (TensorProto.BOOL, np.array([1]), "column 'x' is int64, the model takes bool"),
        (TensorProto.INT8, np.array([128]), "column 'x' holds a number that is no int8 - send smaller ones"),
        (TensorProto.UINT8, np.array([-1]), "column 'x' holds a number that is no uint8"),
        (TensorProto.STRING, np.array(["a", None], dtype=object), "column 'x' holds a value that is no text"),
    ],
)
def test_what_would_change_a_value_is_refused(kind: int, values: Any, cause: str) -> None:
    with pytest.raises(DeploymentError, match=cause):
        predictor(same(kind)).predict({"x": values})


@pytest.mark.parametrize(
    ("shape", "column"), [((None, 1), (4,)), ((None,), (4, 1)), ((None, 3), (4, 3)), (None, (4,)), ((None, 2, 2), (4, 2, 2))]
)
def test_a_column_has_the_axes_that_the_graph_wants(shape: Any, column: tuple[int, ...]) -> None:
    values = np.arange(np.prod(column), dtype=np.float32).reshape(column)
    answer = predictor(same(TensorProto.FLOAT, shape)).predict({"x": values})["y"]
    np.testing.assert_array_equal(answer.ravel(), values.ravel())


def test_what_does_not_fit_is_said_when_the_model_is_loaded() -> None:
    two = graph(
        {"p": (TensorProto.FLOAT, [None]), "q": (TensorProto.FLOAT, [None])},
        {"y": (TensorProto.FLOAT, [None])},
        helper.make_node("Add", ["p", "q"], ["y"]),
    )
    with pytest.raises(DeploymentError, match="no column 'q' for the input of this name - there are: p, z"):
        predictor(two, Schema((Column("p", "float64"), Column("z", "float64"))))
    with pytest.raises(DeploymentError, match="the input 'X' takes 3 columns, the schema has 2 - correct it"):
        predictor(to_onnx(LinearRegression().fit(X, X[:, 0]), X[:1]), Schema((Column("a", "float64"), Column("b", "float64"))))
    with pytest.raises(DeploymentError, match=r"the input 'x' is a seq\(tensor\(float\)\), which no column is"):
        predictor(of_lists())
    with pytest.raises(DeploymentError, match="onnxruntime cannot load it: ") as caught:
        predictor(graph({"x": (1, [None])}, {"y": (1, [None])}, helper.make_node("Reshape", ["x", "w"], ["y"]), w=np.array([1.5])))
    assert "\n" not in caught.value.message


def test_requests_that_do_not_fit_are_one_line() -> None:
    model = to_onnx(LinearRegression().fit(X, X[:, 0]), X[:1])
    with pytest.raises(DeploymentError, match="no column 'b' in the request - the model takes a, b, c"):
        predictor(model, SCHEMA).predict({"a": X[:, 0], "c": X[:, 2]})
    with pytest.raises(DeploymentError, match="onnxruntime cannot compute it: ") as caught:
        predictor(model).predict({"a": X[:, 0]})
    assert "\n" not in caught.value.message
    total = graph({"x": (1, [None])}, {"y": (1, None)}, helper.make_node("ReduceSum", ["x"], ["y"], keepdims=0))
    with pytest.raises(DeploymentError, match=r"the output 'y' has the shape \(\) for 2 rows"):
        predictor(total).predict({"x": np.ones(2)})


def test_several_threads_get_their_own_answers(capfd: pytest.CaptureFixture[str]) -> None:
    one = predictor(to_onnx(LinearRegression().fit(X, X[:, 0]), X[:1]), SCHEMA, 2)
    requests = [{"a": np.full(4, float(number)), "b": np.zeros(4), "c": np.zeros(4)} for number in range(40)]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(one.predict, requests))
    np.testing.assert_allclose([answer["variable"][0, 0] for answer in answers], range(40), atol=1e-4)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("columns", [{}, {"a": np.ones(2), "b": np.ones(3)}, {"a": np.float64(1)}])
def test_columns_that_are_no_rows_are_an_error_of_deployment(columns: Any) -> None:
    with pytest.raises(DeploymentError, match="the request needs at least one column, and every column as many rows"):
        predictor(same(TensorProto.FLOAT, (None, 2))).predict(columns)


def test_no_rows_give_no_rows() -> None:
    answer = predictor(same(TensorProto.FLOAT, (None, 2))).predict({"a": np.ones(0), "b": np.ones(0)})
    assert answer["y"].shape == (0, 2)
