"""Kinds of columns that a caller declares, where those of the values are not what is meant."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, get_args

import numpy as np
from attrs import field, frozen

from mlops_core.drift.arrays import array_column, object_column
from mlops_core.drift.column import CHUNK, Column, Kind, category_column, is_missing, number_column, problem
from mlops_core.drift.frames import series_column
from mlops_core.exceptions import DriftDetectionError, checks_input
from mlops_core.structure import nearest

if TYPE_CHECKING:
    from narwhals import Series

    from mlops_core.stack import Stack

__all__ = ["INFERRED", "KINDS", "Schema", "configured_schema", "declared_schema", "read_column"]

KINDS: Final[tuple[Kind, ...]] = get_args(Kind)

_NEEDED: Final[Mapping[Kind, str]] = {
    "number": "a number",
    "datetime": "a time such as '2024-01-31T12:00'",
    "duration": "a length of time",
    "boolean": "true or false",
    "category": "a category",
    "text": "text",
}
_TRUTH: Final[Mapping[Any, bool]] = {True: True, False: False, "true": True, "false": False}


@frozen
class Schema:
    """Declared kinds by name; ``order`` are the names by position, for data without names (else they are x0, x1, ...)."""

    kinds: Mapping[str, Kind] = field(factory=dict)
    order: tuple[str, ...] = ()

    def at(self, place: int) -> Kind | None:
        """The declared kind of a column without a name."""
        return self.kinds.get(self.order[place] if place < len(self.order) else f"x{place}")


INFERRED: Final = Schema()
"""Every kind is that of the values."""


@checks_input
def declared_schema(given: Any) -> dict[str, Kind]:
    """What a caller declares: kinds by the columns' names; None for nothing.

    Raises:
        DriftDetectionError: It is no mapping of names to kinds.
    """
    if given is None:
        return {}
    if not isinstance(given, Mapping) or not all(isinstance(name, str) for name in given):
        raise DriftDetectionError(f"drift: schema: expected kinds by column, got {given!r:.60} - give one such as {{'comment': 'text'}}")
    for name, kind in given.items():
        if kind not in KINDS:
            raise DriftDetectionError(f"drift: schema: column {name!r}: {kind!r:.40} is no kind - {nearest(str(kind), KINDS)}")
    return dict(given)


def configured_schema(stack: Stack | None) -> Schema:
    """What the configuration declares for every check."""
    return INFERRED if stack is None else Schema(stack.settings.drift.schema)


def read_column(side: str, name: str, values: Any, kind: Kind | None) -> Column:
    """A column from a 1-D array, a list or a series, of the declared kind; None: of the kind of its values.

    Raises:
        DriftDetectionError: A value is not of that kind, or cannot be compared.
    """
    if kind is None:
        return _natural(side, name, values)
    if kind not in {"text", "category"}:  # the others are mostly what they are declared to be
        try:
            column = _natural(side, name, values)
        except DriftDetectionError:
            column = None
        if column is not None and column.kind == kind:
            return column
    converted = (_converted(side, name, kind, piece) for piece in _pieces(values))
    if kind == "category":
        return category_column(side, name, converted, len(values))
    everything = [value for piece in converted for value in piece]
    if kind in {"text", "number"}:
        return number_column(side, name, np.array(everything, dtype=np.float64), kind)  # None becomes NaN
    return object_column(side, name, everything)


def _natural(side: str, name: str, values: Any) -> Column:
    if isinstance(values, np.ndarray):
        return array_column(side, name, values)
    return object_column(side, name, values) if isinstance(values, list | tuple) else series_column(side, name, values)


def _pieces(values: Sequence[Any] | Series[Any]) -> Iterator[Sequence[Any]]:
    for start in range(0, len(values), CHUNK):
        piece: Any = values[start : start + CHUNK]
        if isinstance(piece, np.ndarray):
            piece = (piece.astype(f"{piece.dtype.kind}8[us]") if piece.dtype.kind in "mM" else piece).tolist()
        yield piece if isinstance(piece, list | tuple) else piece.to_list()


def _converted(side: str, name: str, kind: Kind, values: Sequence[Any]) -> list[Any]:
    convert = _CONVERSIONS[kind]
    found = []
    for value in values:
        try:
            found.append(None if is_missing(value) else convert(value))
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            remedy = f"give {_NEEDED[kind]}, or declare another kind in schema="
            told, discreet = (f"is declared as {kind} and holds {held} - {remedy}" for held in (f"{value!r:.40}", "something else"))
            raise problem(side, name, told, discreet) from error
    return found


def _number(value: Any) -> float:
    return float(value.strip() if isinstance(value, str) else value)


def _moment(value: Any) -> Any:
    return value if isinstance(value, date | np.datetime64) else datetime.fromisoformat(value)


def _length_of_time(value: Any) -> Any:
    return value if isinstance(value, timedelta | np.timedelta64) else timedelta(seconds=value)


def _truth(value: Any) -> bool:
    return _TRUTH[value.strip().lower() if isinstance(value, str) else value]


def _label(value: Any) -> str:
    """A whole number has one label, however it is stored: pandas makes floats of whole numbers where one is missing."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, Mapping | Sequence | set) and not isinstance(value, str):
        raise TypeError
    return str(value)


def _characters(value: Any) -> int:
    """Of text; a whole number is taken for its length, which is all that is kept of live text."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if not isinstance(value, str):
        raise TypeError
    return len(value)


_CONVERSIONS: Final[Mapping[Kind, Callable[[Any], Any]]] = {
    "number": _number,
    "datetime": _moment,
    "duration": _length_of_time,
    "boolean": _truth,
    "category": _label,
    "text": _characters,
}
