"""Predicting with an ONNX model from named columns, by onnxruntime.

This module is the same, byte for byte but for the import of ``graphs``, in format-onnx and format-mlflow: plugins do not import each other.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from attrs import define, field, frozen

from mlops_core.exceptions import DeploymentError
from mlops_core.records import Schema
from mlops_format_onnx.graphs import one_line

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

__all__ = ["OnnxPredictor"]

_TYPES: Final = {
    "tensor(bool)": "bool",
    "tensor(double)": "float64",
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(string)": "object",
    **{f"tensor({kind}{bits})": f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)},
}
_FATAL: Final = 4  # what goes wrong is raised; onnxruntime need not print it as well


@frozen
class _Input:
    """What the graph asks for. ``shape`` has None for a free axis, and is None where the graph does not say."""

    name: str
    dtype: str
    shape: tuple[int | None, ...] | None


@define(eq=False)
class OnnxPredictor:
    """Outputs have the names that the graph gives them, one row per row of the request.

    Inputs are filled by name, each from the column so called, cast to the graph's type where that keeps the values. A graph with one
    input that no column is called like gets all columns side by side, in the order of the schema. Safe from several threads.

    Raises:
        DeploymentError: onnxruntime cannot load the model, or the schema's columns do not fit its inputs.
    """

    model: Any
    schema: Schema | None = None
    threads: int = 1
    _session: Any = field(init=False)
    _inputs: tuple[_Input, ...] = field(init=False)
    _outputs: tuple[str, ...] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._session = _session(self.model.SerializeToString(), self.threads)
        self._inputs = tuple(_input(one) for one in self._session.get_inputs())
        self._outputs = tuple(one.name for one in self._session.get_outputs())
        if self.schema is not None:
            self._by_name([one.name for one in self.schema.inputs])
            self._check_width(self.schema)

    def predict(self, columns: Mapping[str, NDArray[Any]]) -> Mapping[str, NDArray[Any]]:
        """Predict rows given as one array per column.

        Raises:
            DeploymentError: A column is missing or of a wrong type, or the graph cannot be computed.
        """
        import numpy as np

        names = [one.name for one in self.schema.inputs] if self.schema is not None else list(columns)
        missing = [name for name in names if name not in columns]
        if missing:
            raise DeploymentError(f"model: no column {missing[0]!r} in the request - the model takes {', '.join(names)}")
        arrays = {name: np.asarray(columns[name]) for name in names}
        rows = _rows(arrays)
        if self._by_name(names):
            feed = {one.name: _fitted(arrays[one.name], one) for one in self._inputs}
        else:
            feed = {self._inputs[0].name: _matrix(arrays, self._inputs[0])}
        try:
            answers = self._session.run(None, feed)
        except Exception as error:  # onnxruntime has a class for each of its codes
            raise DeploymentError(f"model: onnxruntime cannot compute it: {one_line(error)}") from error
        return {name: _answer(name, answer, rows) for name, answer in zip(self._outputs, answers, strict=True)}

    def _by_name(self, names: Sequence[str]) -> bool:
        """Whether inputs are filled by name; else there is one, for all columns."""
        absent = [one.name for one in self._inputs if one.name not in names]
        if absent and len(self._inputs) > 1:
            raise DeploymentError(f"model: no column {absent[0]!r} for the input of this name - there are: {', '.join(names) or 'none'}")
        return not absent

    def _check_width(self, schema: Schema) -> None:
        wanted = self._inputs[0].shape if self._inputs else None
        if wanted is None or len(wanted) != 2 or wanted[1] is None or self._by_name([one.name for one in schema.inputs]):  # noqa: PLR2004
            return
        width = sum(math.prod(one.shape) for one in schema.inputs)
        if width != wanted[1]:
            raise DeploymentError(
                f"model: the input {self._inputs[0].name!r} takes {wanted[1]} columns, the schema has {width} - correct it"
            )


def _rows(arrays: Mapping[str, NDArray[Any]]) -> int:
    """How many rows every column has."""
    lengths = {array.shape[:1] for array in arrays.values()}
    if len(lengths) != 1 or lengths == {()}:
        raise DeploymentError("model: the request needs at least one column, and every column as many rows - send one value for each row")
    return int(lengths.pop()[0])


def _session(content: bytes, threads: int) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = _FATAL
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # a thread that waits leaves the core to others
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime has a class for each of its codes
        raise DeploymentError(f"model: onnxruntime cannot load it: {one_line(error)}") from error


def _input(found: Any) -> _Input:
    dtype = _TYPES.get(found.type)
    if dtype is None:
        raise DeploymentError(
            f"model: the input {found.name!r} is a {found.type}, which no column is - export it with tensors of plain types"
        )
    shape = None if found.shape is None else tuple(axis if isinstance(axis, int) else None for axis in found.shape)
    return _Input(found.name, dtype, shape or None)


def _fitted(array: NDArray[Any], wanted: _Input) -> NDArray[Any]:
    """One column as its input, with the further axis of one value that exported columns mostly have."""
    column = _cast(array, wanted.dtype, wanted.name)
    axes = len(wanted.shape) if wanted.shape is not None else column.ndim
    if column.ndim == 1 and axes == 2:  # noqa: PLR2004  a matrix of one column
        return column[:, None]
    return column[:, 0] if column.ndim == 2 and axes == 1 and column.shape[1] == 1 else column  # noqa: PLR2004  the other way


def _matrix(arrays: Mapping[str, NDArray[Any]], wanted: _Input) -> NDArray[Any]:
    import numpy as np

    return np.hstack([_cast(array, wanted.dtype, name).reshape(len(array), math.prod(array.shape[1:])) for name, array in arrays.items()])


def _cast(array: NDArray[Any], dtype: str, name: str) -> NDArray[Any]:
    """The column in the input's type; what would change a value other than by rounding is refused."""
    import numpy as np

    if dtype == "object":
        text = array.astype(object)
        if not all(isinstance(one, str) for one in text.flat):
            raise DeploymentError(f"model: column {name!r} holds a value that is no text - the model takes text without missing values")
        return text
    if array.dtype.kind not in "biuf" or not (np.can_cast(array.dtype, dtype, "same_kind") or _is_whole(array, dtype)):
        raise DeploymentError(f"model: column {name!r} is {array.dtype}, the model takes {dtype} - send such values")
    with np.errstate(over="ignore"):
        cast = array.astype(dtype, copy=False)
    if cast.dtype.kind in "iu" and not np.array_equal(cast, array):
        raise DeploymentError(f"model: column {name!r} holds a number that is no {dtype} - send smaller ones")
    return np.ascontiguousarray(cast)


def _is_whole(array: NDArray[Any], dtype: str) -> bool:
    """Whole numbers may go to whole numbers of another sign: what does not fit is told apart by value."""
    import numpy as np

    return array.dtype.kind in "iu" and np.dtype(dtype).kind in "iu"


def _answer(name: str, answer: Any, rows: int) -> NDArray[Any]:
    """One row per row; text as text; the mappings of a classifier as one column per class, in the order of its classes."""
    import numpy as np

    if isinstance(answer, list) and answer and isinstance(answer[0], dict):
        answer = np.array([list(one.values()) for one in answer])
    try:
        array = np.asarray(answer)
    except ValueError as error:  # a sequence of tensors of several shapes
        raise DeploymentError(f"model: the output {name!r} is no one array - export one row for each row") from error
    if array.ndim == 0 or len(array) != rows:
        raise DeploymentError(f"model: the output {name!r} has the shape {array.shape} for {rows} rows - export one row for each row")
    return array.astype(str) if array.dtype == object else array
