"""One column of either side of a check: numbers, or codes of categories, with the missing values counted."""

from __future__ import annotations

from itertools import repeat
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from mlops_core.exceptions import DriftDetectionError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = [
    "CHUNK",
    "CHUNK_OF_ROWS",
    "MISSING_CODE",
    "MOST_CATEGORIES",
    "Column",
    "Kind",
    "boolean_column",
    "category_column",
    "checked",
    "is_missing",
    "number_column",
    "problem",
]

Kind: TypeAlias = Literal["number", "datetime", "duration", "boolean", "category", "text"]

MOST_CATEGORIES: Final = 10_000
MISSING_CODE: Final = -1
CHUNK: Final = 1 << 16
CHUNK_OF_ROWS: Final = "chunk"
"""The side of data that is one part of several."""
_FEWEST: Final = 2
_NOTHING: Final = frozenset({"NAType", "NaTType", "NoneType"})
_LONGEST: Final = 60


@frozen(eq=False)
class Column:
    """Values of one column.

    ``data``: for a number, a datetime (microseconds since 1970, UTC), a duration (seconds) or text (its length in characters) float64 with
    NaN where one is missing; for a boolean or a category int64 codes into ``categories``, -1 where one is missing.
    """

    name: str
    kind: Kind
    data: NDArray[Any]
    missing: int = 0
    categories: tuple[str, ...] = ()

    @property
    def is_numeric(self) -> bool:
        """Whether the values are numbers rather than codes."""
        return self.kind not in {"boolean", "category"}

    @property
    def is_comparable(self) -> bool:
        """Whether it holds the two values that a test needs."""
        return len(self.data) - self.missing >= _FEWEST

    def present(self) -> NDArray[Any]:
        """The values that are not missing."""
        if not self.missing:
            return self.data
        found: NDArray[Any] = self.data[~np.isnan(self.data) if self.is_numeric else self.data != MISSING_CODE]
        return found


def problem(side: str, name: str, text: str, discreet: str = "") -> DriftDetectionError:
    """The one line about a column of a side; where it shows a value, ``discreet`` is the text without it."""
    shown = name if len(name) <= _LONGEST else f"{name[:_LONGEST]}..."
    place = f"drift: {side} data: column {shown!r}"
    error = DriftDetectionError(f"{place} {text}")
    if discreet:
        error.discreet = f"{place} {discreet}"
    return error


def number_column(side: str, name: str, values: NDArray[np.float64], kind: Kind = "number") -> Column:
    """A numeric column; NaN is a missing value.

    Raises:
        DriftDetectionError: A value is infinite, or fewer than two are present (rows, on the current side).
    """
    finite = np.isfinite(values)
    missing = 0
    if not finite.all():
        missing = int(np.isnan(values).sum())
        infinite = len(values) - int(finite.sum()) - missing
        if infinite:
            raise problem(side, name, f"holds {infinite} infinite values - replace them by a number, or by NaN to count them as missing")
    return checked(side, Column(name, kind, values, missing))


def boolean_column(side: str, name: str, values: NDArray[np.float64]) -> Column:
    """A column of 0, 1 and NaN."""
    codes = np.where(np.isnan(values), MISSING_CODE, values).astype(np.int64)
    missing = int((codes == MISSING_CODE).sum())
    return checked(side, Column(name, "boolean", codes, missing, ("False", "True")))


def category_column(side: str, name: str, pieces: Iterable[Sequence[Any]], rows: int) -> Column:
    """A column of categories, given in pieces; ``rows`` values in all. Categories are sorted by their text.

    Raises:
        DriftDetectionError: There are more than 10,000 categories (told before all are read), or fewer than two values.
    """
    index: dict[Any, int] = {}
    codes = np.empty(rows, dtype=np.int64)
    done = 0
    for piece in pieces:
        for value in dict.fromkeys(piece):
            if value not in index and not is_missing(value):
                index[value] = len(index)
        if len(index) > MOST_CATEGORIES:
            raise problem(side, name, f"has more than {MOST_CATEGORIES:,} categories - group them, or declare it as text in schema=")
        codes[done : done + len(piece)] = np.fromiter(map(index.get, piece, repeat(MISSING_CODE)), np.int64, len(piece))
        done += len(piece)
    labels = [str(value) for value in index]
    order = sorted(range(len(labels)), key=labels.__getitem__)
    place = np.full(len(labels) + 1, MISSING_CODE, dtype=np.int64)  # the last one, which -1 finds, is that of a missing value
    place[order] = np.arange(len(labels))
    codes = place[codes]
    missing = int((codes == MISSING_CODE).sum())
    return checked(side, Column(name, "category", codes, missing, tuple(labels[i] for i in order)))


def is_missing(value: Any) -> bool:
    """Whether a Python object stands for a missing value: None, NaN, or what pandas uses."""
    return type(value).__name__ in _NOTHING or (isinstance(value, float) and value != value)  # noqa: PLR0124  only NaN differs from itself


def checked(side: str, column: Column) -> Column:
    """The column, if it has what a side needs; raises ``DriftDetectionError``."""
    present = len(column.data) - column.missing
    if side == CHUNK_OF_ROWS:
        return column  # what all of them hold together is looked at
    if side == "current" and len(column.data) >= _FEWEST:
        return column  # values that have stopped to come are what a check is to find: their missing share is compared
    if present == 0:
        raise problem(side, column.name, "holds only missing values - name other columns in columns=")
    if not column.is_comparable:
        raise problem(side, column.name, f"has {present} value - give at least {_FEWEST}")
    return column
