"""The request and answer bodies: Open Inference Protocol v2, and the forms that MLflow's scoring server takes."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import orjson
from attrs import frozen
from numpy.typing import NDArray

from mlops_core.records import ModelVersion, Schema
from mlops_deployer_local.schema import BadRequestError, columns_of, kind_of, matrix_of, short

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Columns = Mapping[str, NDArray[Any]]

__all__ = ["INFER", "INVOCATIONS", "Form", "dump", "metadata", "parse"]

_FORMS: Final = ("dataframe_split", "dataframe_records", "inputs", "instances")
_DATATYPES: Final = {
    "BOOL": "bool",
    **{f"{sign}{bits}": "int" for sign in ("INT", "UINT") for bits in (8, 16, 32, 64)},
    **{f"FP{bits}": "float" for bits in (16, 32, 64)},
    "BYTES": "text",
}
_SENT: Final = {"bool": "BOOL", "int": "INT64", "float": "FP64", "text": "BYTES", "time": "BYTES"}
_MOST_AXES: Final = 8
_FITS: Final = {("int", "float"), ("text", "time")}


@frozen
class Form:
    """One protocol: ``read`` a body to columns, ``write`` an answer."""

    read: Callable[[dict[str, Any], Schema | None], dict[str, NDArray[Any]]]
    write: Callable[[dict[str, Any], ModelVersion, Columns, str], dict[str, Any]]


def parse(body: bytes) -> dict[str, Any]:
    """The JSON mapping of a body.

    Raises:
        BadRequestError: It is not JSON (NaN is not), or no mapping.
    """
    try:
        data = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadRequestError(f"the body is not JSON: {error} - send an object as the protocol has it; NaN is written null", 400) from error
    if not isinstance(data, dict):
        raise BadRequestError("the body is not a JSON object - see the protocol", 400)
    return data


def dump(data: Any) -> bytes:
    """JSON; NaN and infinity become null."""
    return orjson.dumps(data, option=orjson.OPT_SERIALIZE_NUMPY)


# --- Open Inference Protocol v2 -----------------------------------------------------------------------------------------


def _read_infer(data: dict[str, Any], schema: Schema | None) -> dict[str, NDArray[Any]]:
    tensors = data.get("inputs")
    if not isinstance(tensors, list) or not tensors or not all(isinstance(one, dict) for one in tensors):
        raise BadRequestError("'inputs' is not a list of tensors - give one per column, each with name, shape, datatype and data", 400)
    known = {} if schema is None else {column.name: column for column in schema.inputs}
    given: dict[str, Sequence[Any]] = {}
    for tensor in tensors:
        name = tensor.get("name")
        if not isinstance(name, str):
            raise BadRequestError("a tensor has no 'name' - name the column it holds", 400)
        if name in given:
            raise BadRequestError(f"tensor {name!r} is there twice - give each column once", 400)
        column = known.get(name)
        given[name] = _tensor(name, tensor, None if column is None else kind_of(column.dtype))
    return columns_of(schema, given)


def _tensor(name: str, tensor: dict[str, Any], kind: str | None) -> list[Any]:
    """The values of a tensor, one nested list per row. Where all are missing, the datatype says nothing: clients have to give some."""
    datatype, shape = tensor.get("datatype"), tensor.get("shape")
    held = _DATATYPES.get(datatype) if isinstance(datatype, str) else None
    if held is None:
        raise BadRequestError(f"tensor {name!r}: unknown datatype {short(datatype)} - known are {', '.join(_DATATYPES)}", 400)
    if not isinstance(shape, list) or not shape or not all(type(size) is int and size > 0 for size in shape):
        raise BadRequestError(f"tensor {name!r}: 'shape' is not a list of sizes above zero - the first is the number of rows", 400)
    if len(shape) > _MOST_AXES:
        raise BadRequestError(f"tensor {name!r}: 'shape' has {len(shape)} sizes - give at most {_MOST_AXES}", 400)
    values = _single(name, shape, tensor.get("data"))
    if kind is not None and held != kind and (held, kind) not in _FITS and values.count(None) < len(values):
        raise BadRequestError(
            f"tensor {name!r}: datatype {datatype} does not fit the column, which holds {kind} values - send {_SENT[kind]}"
        )
    for size in reversed(_trailing(shape)):
        values = [values[at : at + size] for at in range(0, len(values), size)]
    return values


def _single(name: str, shape: list[int], values: Any) -> list[Any]:
    """The single values of the data, which may be nested."""
    if not isinstance(values, list):
        raise BadRequestError(f"tensor {name!r}: 'data' is not a list - give one value per row", 400)
    flat: list[Any] = values
    for _ in range(len(shape) - 1):
        if flat and all(isinstance(part, list) for part in flat):
            flat = [item for part in flat for item in part]
    wanted = math.prod(shape)
    if len(flat) != wanted:
        raise BadRequestError(f"tensor {name!r}: shape {shape} needs {wanted} values, there are {len(flat)} - correct one of them")
    return flat


def _trailing(shape: list[int]) -> list[int]:
    """The shape of one row; a column of single values may be written as [n] or as [n, 1]."""
    return [] if shape[1:] == [1] else shape[1:]


def _write_infer(request: dict[str, Any], version: ModelVersion, outputs: Columns, prediction_id: str) -> dict[str, Any]:
    tensors = [
        {"name": name, "shape": list(values.shape), "datatype": _datatype(values), "data": _plain(values.ravel())}
        for name, values in outputs.items()
    ]
    asked = request.get("id")
    return {
        "model_name": version.model,
        "model_version": version.version,
        "id": asked if isinstance(asked, str) else prediction_id,
        "parameters": {"prediction_id": prediction_id},
        "outputs": tensors,
    }


def _datatype(values: NDArray[Any]) -> str:
    kind, bits = values.dtype.kind, values.dtype.itemsize * 8
    return {"b": "BOOL", "i": f"INT{bits}", "u": f"UINT{bits}", "f": f"FP{bits}"}.get(kind, "BYTES")


def _plain(values: NDArray[Any]) -> Any:
    """What orjson writes: numbers as the array itself, anything else as a list."""
    return np.ascontiguousarray(values) if values.dtype.kind in "iufb" and values.dtype.itemsize > 1 else values.tolist()


def metadata(version: ModelVersion, versions: Sequence[str]) -> dict[str, Any]:
    """What a model takes and gives, in the protocol's words."""

    def tensors(columns: Sequence[Any]) -> list[dict[str, Any]]:
        return [{"name": one.name, "datatype": _column_datatype(one.dtype), "shape": [-1, *one.shape]} for one in columns]

    schema = version.schema
    return {
        "name": version.model,
        "versions": list(versions),
        "platform": f"mlops_{version.format or 'unknown'}",
        "inputs": [] if schema is None else tensors(schema.inputs),
        "outputs": [] if schema is None else tensors(schema.outputs),
    }


def _column_datatype(dtype: str) -> str:
    return _datatype(np.empty(0, dtype)) if kind_of(dtype) in {"float", "int", "bool"} else "BYTES"


INFER: Final = Form(_read_infer, _write_infer)


# --- MLflow's scoring server --------------------------------------------------------------------------------------------


def _read_invocation(data: dict[str, Any], schema: Schema | None) -> dict[str, NDArray[Any]]:
    forms = [form for form in _FORMS if form in data]
    if len(forms) != 1:
        raise BadRequestError(f"give exactly one of {', '.join(_FORMS)} - the body has {', '.join(map(repr, forms)) or 'none'}", 400)
    value = data[forms[0]]
    if forms[0] == "dataframe_split":
        names, rows = _split(value)
        found = matrix_of(schema, names, rows)
        return columns_of(schema, {name: [row[at] for row in rows] for at, name in enumerate(names)}) if found is None else found
    if isinstance(value, dict) and forms[0] == "inputs":
        if not all(isinstance(values, list) for values in value.values()):
            raise BadRequestError("'inputs' has a column that is not a list - give a list with one value per row", 400)
        return columns_of(schema, value)
    if not isinstance(value, list):
        raise BadRequestError(f"{forms[0]!r} is not a list of rows - give [{{'x': 1.5}}]", 400)
    if value and all(isinstance(row, dict) for row in value):
        return columns_of(schema, _records(value))
    if schema is not None and len(schema.inputs) == 1 and forms[0] != "dataframe_records":
        return columns_of(schema, {schema.inputs[0].name: value})
    raise BadRequestError(f"{forms[0]!r} is not a list of objects - give each row as {{column: value}}", 400)


def _split(value: Any) -> tuple[list[str], list[list[Any]]]:
    names, rows = (value.get("columns"), value.get("data")) if isinstance(value, dict) else (None, None)
    if not isinstance(names, list) or not isinstance(rows, list) or not all(isinstance(name, str) for name in names):
        raise BadRequestError("'dataframe_split' needs 'columns', a list of names, and 'data', a list of rows", 400)
    if len(set(names)) < len(names):
        raise BadRequestError("'dataframe_split' names a column twice - give each once", 400)
    for at, row in enumerate(rows):
        if not isinstance(row, list) or len(row) != len(names):
            raise BadRequestError(f"'dataframe_split': row {at} is not a list of {len(names)} values - give one per column")
    return names, rows


def _records(rows: list[dict[str, Any]]) -> dict[str, list[Any]]:
    names = list(rows[0])
    for at, row in enumerate(rows):
        if row.keys() != rows[0].keys():
            odd = min(row.keys() ^ rows[0].keys())
            raise BadRequestError(f"row {at}: column {odd[:40]!r} is not in every row - give the same columns in each")
    return {name: [row[name] for row in rows] for name in names}


def _write_invocation(request: dict[str, Any], version: ModelVersion, outputs: Columns, prediction_id: str) -> dict[str, Any]:
    del request
    lists = {name: _plain(values) for name, values in outputs.items()}
    if len(lists) == 1:
        predictions: Any = next(iter(lists.values()))
    else:
        columns = [values.tolist() for values in outputs.values()]
        predictions = [dict(zip(lists, row, strict=True)) for row in zip(*columns, strict=True)]
    return {"predictions": predictions, "model": version.model, "version": version.version, "prediction_id": prediction_id}


INVOCATIONS: Final = Form(_read_invocation, _write_invocation)
