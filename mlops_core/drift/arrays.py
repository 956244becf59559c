"""Arrays of numpy and Python lists to columns."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from mlops_core.drift.column import CHUNK, boolean_column, category_column, is_missing, number_column, problem

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from mlops_core.drift.column import Column

__all__ = ["array_column", "object_column", "table_columns"]

_NUMBERS: Final = (int, float, Decimal, np.integer, np.floating)
_MICROSECONDS: Final = 1e6


def table_columns(side: str, values: NDArray[Any]) -> list[Column]:
    """The columns of a (rows, columns) array, named x0, x1, ..."""
    if values.dtype.kind in "fiu" and not isinstance(values, np.ma.MaskedArray):
        across = np.ascontiguousarray(values.T, dtype=np.float64)
        return [number_column(side, f"x{i}", row) for i, row in enumerate(across)]
    return [array_column(side, f"x{i}", values[:, i]) for i in range(values.shape[1])]


def array_column(side: str, name: str, values: NDArray[Any]) -> Column:
    """A column from a 1-D array of any dtype.

    Raises:
        DriftDetectionError: Of a dtype that no test can compare, or with values that none can.
    """
    if values.ndim != 1:
        raise problem(side, name, f"has {values.ndim} dimensions - give one value per row")
    if isinstance(values, np.ma.MaskedArray):
        return object_column(side, name, values.tolist())
    kind = values.dtype.kind
    if kind in "fiu":
        return number_column(side, name, values.astype(np.float64, copy=False))
    if kind == "b":
        return boolean_column(side, name, values.astype(np.float64))
    if kind in "mM":
        return _time_column(side, name, values)
    if kind in "UST":
        return category_column(side, name, _pieces(values.astype(str) if kind == "S" else values), len(values))
    if kind == "O":
        return object_column(side, name, values.tolist())
    raise problem(side, name, f"is of dtype {values.dtype} - give numbers, booleans, text or times")


def object_column(side: str, name: str, values: Sequence[Any]) -> Column:
    """A column from Python objects, which must be of one kind.

    Raises:
        DriftDetectionError: They are of several kinds, or of one that no test can compare.
    """
    kinds = {type(value) for value in values if not is_missing(value)}
    if not kinds or _all(kinds, str):
        return category_column(side, name, _pieces(values), len(values))
    if _all(kinds, bool, np.bool_):
        return boolean_column(side, name, _floats(side, name, values))
    if _all(kinds, *_NUMBERS) and not any(issubclass(kind, bool) for kind in kinds):
        return number_column(side, name, _floats(side, name, values))
    if _all(kinds, date, np.datetime64):
        moments = [np.datetime64("NaT", "us") if is_missing(value) else _moment(value) for value in values]
        return _time_column(side, name, np.array(moments, dtype="datetime64[us]"))
    if _all(kinds, timedelta, np.timedelta64):
        lengths = [np.timedelta64("NaT", "us") if is_missing(value) else np.timedelta64(value) for value in values]
        return _time_column(side, name, np.array(lengths, dtype="timedelta64[us]"))
    told = ", ".join(sorted(kind.__name__ for kind in kinds))
    if len(kinds) > 1:
        raise problem(side, name, f"mixes {told} - give values of one kind")
    raise problem(side, name, f"holds values of type {told} - give numbers, booleans, text or times")


def _all(kinds: set[type], *wanted: type) -> bool:
    return all(issubclass(kind, wanted) for kind in kinds)


def _floats(side: str, name: str, values: Sequence[Any]) -> NDArray[np.float64]:
    try:
        return np.array([np.nan if is_missing(value) else float(value) for value in values], dtype=np.float64)
    except OverflowError as error:
        raise problem(side, name, "holds a number beyond 1e308 - scale the values down") from error


def _moment(value: Any) -> Any:
    """Zones are unknown to numpy: a moment in one is told in UTC, one without is taken for UTC."""
    if isinstance(value, datetime) and value.tzinfo is not None:
        value = value.astimezone(UTC).replace(tzinfo=None)
    return np.datetime64(value)


def _time_column(side: str, name: str, values: NDArray[Any]) -> Column:
    moments = values.dtype.kind == "M"
    whole = values.astype("datetime64[us]" if moments else "timedelta64[us]").astype(np.int64)
    numbers = np.where(np.isnat(values), np.nan, whole.astype(np.float64))
    return number_column(side, name, numbers, "datetime") if moments else number_column(side, name, numbers / _MICROSECONDS, "duration")


def _pieces(values: Any) -> Iterator[Sequence[Any]]:
    for start in range(0, len(values), CHUNK):
        piece = values[start : start + CHUNK]
        yield piece.tolist() if isinstance(piece, np.ndarray) else piece
