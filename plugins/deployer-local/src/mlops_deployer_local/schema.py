"""Values of a request to columns of arrays, checked against the version's schema."""

from __future__ import annotations

import contextlib
import difflib
import functools
import math
import re
import reprlib
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from mlops_core.records import Column, Schema

__all__ = ["BadRequestError", "columns_of", "kind_of", "matrix_of", "short"]

_SHOWN: Final = 40
_ISO: Final = re.compile(r"\d{4}(-\d\d(-\d\d([T ]\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:?\d\d)?)?)?)?", re.ASCII)
_DOUBLE: Final = 8
_TYPES: Final = {
    "float": (frozenset({float, int}), "numbers"),
    "int": (frozenset({int}), "whole numbers"),
    "bool": (frozenset({bool}), "true or false"),
    "text": (frozenset({str}), "text"),
    "time": (frozenset({str}), "times as ISO 8601 text"),
}
_NONE: Final = type(None)
_NUMBERS: Final = _TYPES["float"][0]


class BadRequestError(Exception):
    """The client's mistake: an HTTP status, one line, and further headers of the answer."""

    def __init__(self, message: str, status: int = 422, *headers: tuple[bytes, bytes]) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.headers = headers


@functools.cache
def kind_of(dtype: str) -> str:
    """What a column of this dtype holds: float, int, bool, time or text."""
    try:
        kind = np.dtype(dtype).kind
    except TypeError:
        return "text"
    return {"f": "float", "i": "int", "u": "int", "b": "bool", "M": "time"}.get(kind, "text")


def columns_of(schema: Schema | None, given: Mapping[str, Sequence[Any]]) -> dict[str, NDArray[Any]]:
    """Arrays in the schema's order; without a schema, of whatever was given.

    Raises:
        BadRequestError: A column is missing, unknown, ragged or of the wrong type; the message names it.
    """
    lengths = {len(values) for values in given.values()}
    if len(lengths) > 1:
        said = ", ".join(f"{name}: {len(values)}" for name, values in sorted(given.items()))
        raise BadRequestError(f"the columns have unlike lengths ({said[:200]}) - give one value per row in each")
    if lengths in (set(), {0}):
        raise BadRequestError("there are no rows - give at least one")
    if schema is None:
        return {name: _untyped(name, values) for name, values in given.items()}
    wanted = [column.name for column in schema.inputs]
    if given.keys() != set(wanted):
        raise _misfit(wanted, given)
    return {column.name: _array(column, given[column.name]) for column in schema.inputs}


def matrix_of(schema: Schema | None, names: Sequence[str], rows: Sequence[Sequence[Any]]) -> dict[str, NDArray[Any]] | None:
    """The same of rows of equal length in one step, where all columns are single float64 values in the schema's order; None elsewhere."""
    if schema is None or not rows or [column.name for column in schema.inputs] != names:
        return None
    if any(column.dtype != "float64" or column.shape for column in schema.inputs):
        return None
    if not all(_NUMBERS.issuperset(map(type, row)) for row in rows):
        return None
    try:
        return dict(zip(names, np.ascontiguousarray(np.array(rows, dtype=np.float64).T), strict=True))
    except OverflowError:
        return None


def _misfit(wanted: Sequence[str], given: Mapping[str, object]) -> BadRequestError:
    for name in wanted:
        if name not in given:
            return BadRequestError(f"column {name!r} is missing - the model takes {', '.join(wanted)}")
    odd = min(given.keys() - set(wanted))
    near = difflib.get_close_matches(odd, wanted, 1)
    hint = f"did you mean {near[0]!r}?" if near else f"the model takes {', '.join(wanted)}"
    return BadRequestError(f"column {odd[:_SHOWN]!r} is unknown - {hint}")


def _untyped(name: str, values: Sequence[Any]) -> NDArray[Any]:
    try:
        array = np.asarray(values)
    except (ValueError, OverflowError) as error:
        raise BadRequestError(f"column {name!r} is ragged - give values of one shape") from error
    return array.astype(object) if array.dtype.kind in "US" else array


def _array(column: Column, values: Sequence[Any]) -> NDArray[Any]:
    if column.dtype == "float64" and not column.shape and _NUMBERS.issuperset(map(type, values)):  # most columns of most models
        with contextlib.suppress(OverflowError):  # it is told below
            return np.array(values, dtype=np.float64)
    kind = kind_of(column.dtype)
    flat = _flat(column, values) if column.shape else values
    types = set(map(type, flat))
    if _NONE in types:
        flat, types = _filled(column, kind, flat), types - {_NONE}
    allowed, said = _TYPES[kind]
    if not types <= allowed:
        wrong = next(value for value in flat if type(value) not in allowed and value is not None)
        raise BadRequestError(f"column {column.name!r}: {short(wrong)} is not of type {column.dtype} - give {said}")
    array = _convert(column, kind, flat)
    return array.reshape(len(values), *column.shape) if column.shape else array


def _flat(column: Column, values: Sequence[Any]) -> list[Any]:
    """The single values of nested rows, each row of the column's shape."""
    level: list[Any] = list(values)
    for size in column.shape:
        if not all(isinstance(part, list) and len(part) == size for part in level):
            raise BadRequestError(f"column {column.name!r} is ragged - give rows of shape {list(column.shape)}")
        level = [item for part in level for item in part]
    return level


def _filled(column: Column, kind: str, values: Sequence[Any]) -> Sequence[Any]:
    """Missing values as NaN, NaT or None, where the column may have them and its type can hold them."""
    if not column.nullable:
        raise BadRequestError(f"column {column.name!r}: a value is missing, and the model was trained without missing ones - give all")
    if kind in {"int", "bool"}:
        raise BadRequestError(f"column {column.name!r}: type {column.dtype} cannot hold a missing value - give all")
    return [math.nan if value is None else value for value in values] if kind == "float" else values


def _convert(column: Column, kind: str, values: Sequence[Any]) -> NDArray[Any]:
    if kind == "text":
        array = np.empty(len(values), dtype=object)
        array[:] = values
        return array
    if kind == "int":
        _check_range(column, values)
    if kind == "time":
        values = ["NaT" if value is None else _iso(column, value) for value in values]
    dtype = np.dtype(column.dtype)
    try:
        if kind == "float" and dtype.itemsize < _DOUBLE:
            return _narrowed(column, dtype, values)
        return np.array(values, dtype=dtype)
    except (OverflowError, ValueError) as error:
        raise BadRequestError(f"column {column.name!r}: a value is not of type {column.dtype} - give {_TYPES[kind][1]}") from error


def _iso(column: Column, value: str) -> str:
    """The text, unless it is one that numpy takes for a time and ISO 8601 does not, such as ``now``."""
    if not _ISO.fullmatch(value):
        raise BadRequestError(f"column {column.name!r}: {short(value)} is not of type {column.dtype} - give {_TYPES['time'][1]}")
    return value


def _narrowed(column: Column, dtype: np.dtype[Any], values: Sequence[float]) -> NDArray[Any]:
    with np.errstate(over="ignore"):  # what overflows is looked for
        array = np.array(values, dtype=dtype)
    for at in np.flatnonzero(np.isinf(array)).tolist():
        if math.isfinite(values[at]):
            most = np.finfo(column.dtype).max
            raise BadRequestError(f"column {column.name!r}: {values[at]} does not fit {column.dtype} - it holds up to {most}")
    return array


def _check_range(column: Column, values: Sequence[int]) -> None:
    limits = np.iinfo(column.dtype)
    for value in (min(values), max(values)):
        if not limits.min <= value <= limits.max:
            raise BadRequestError(f"column {column.name!r}: {value} does not fit {column.dtype} - it holds {limits.min} to {limits.max}")


def short(value: object) -> str:
    """A value in a few words, however large or deep it is."""
    text = _WORDS.repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


_WORDS: Final = reprlib.Repr()
_WORDS.maxlevel, _WORDS.maxstring, _WORDS.maxlong = 2, 2 * _SHOWN, 2 * _SHOWN
