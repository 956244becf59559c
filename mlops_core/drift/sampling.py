"""A uniform sample of the rows of data that comes in chunks.

Each row draws a random number, and the rows with the smallest are kept: a sample without replacement, whatever the number and the size of
the chunks. Tests against it are tests of two samples like any others, so their p-values hold; what it costs is power, and only against
changes that so many rows cannot show.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from attrs import define, evolve, field
from numpy.random import Generator
from numpy.typing import NDArray

from mlops_core.drift.column import CHUNK_OF_ROWS, MISSING_CODE, MOST_CATEGORIES, Column, problem

if TYPE_CHECKING:
    from collections.abc import Sequence


__all__ = ["RowSample"]


@define(eq=False)
class RowSample:
    """At most ``size`` rows of all that were added, as columns; ``seen`` counts them all."""

    size: int
    rng: Generator
    seen: int = field(default=0, init=False)
    columns: tuple[Column, ...] = field(default=(), init=False)
    _drawn: NDArray[np.float64] = field(factory=lambda: np.zeros(0), init=False)

    @property
    def rows(self) -> int:
        """How many are kept."""
        return len(self._drawn)

    def add(self, chunk: Sequence[Column], rows: int) -> None:
        """Draw for the rows of a chunk.

        Raises:
            DriftDetectionError: Its columns are others than those before, or of other kinds.
        """
        drawn = self.rng.random(rows)
        columns = tuple(chunk)
        if self.rows == self.size:
            likely = np.flatnonzero(drawn < self._drawn.max())  # most rows of a late chunk are not
            columns, drawn = _pick(columns, likely), drawn[likely]
        columns = _join(self.columns, columns) if self.seen else columns
        everything = np.concatenate([self._drawn, drawn])
        if len(everything) > self.size:
            kept = np.sort(np.argpartition(everything, self.size)[: self.size])
            columns, everything = _pick(columns, kept), everything[kept]
        self.columns, self._drawn, self.seen = columns, everything, self.seen + rows


def _pick(columns: Sequence[Column], rows: NDArray[np.int64]) -> tuple[Column, ...]:
    return tuple(_counted(column, column.data[rows]) for column in columns)


def _join(columns: Sequence[Column], chunk: Sequence[Column]) -> tuple[Column, ...]:
    found = {column.name: column for column in chunk}
    names = [column.name for column in columns]
    if set(names) != set(found):
        other = next(name for name in (*names, *found) if name not in found or name not in names)
        raise problem(CHUNK_OF_ROWS, other, "is in some of the chunks only - give the same columns in each, or name those to read")
    return tuple(_joined(column, found[column.name]) for column in columns)


def _joined(before: Column, after: Column) -> Column:
    if after.missing == len(after.data) or before.missing == len(before.data):  # nothing tells the kind of one of them
        known, blank = (before, after) if after.missing == len(after.data) else (after, before)
        empty = np.full(len(blank.data), np.nan) if known.is_numeric else np.full(len(blank.data), MISSING_CODE)
        sides = (before.data, empty) if blank is after else (empty, after.data)
        return _counted(known, np.concatenate(sides))
    if before.kind != after.kind:
        raise problem(
            CHUNK_OF_ROWS, before.name, f"is of kind {before.kind} in one chunk and {after.kind} in another - convert one of them"
        )
    if before.categories == after.categories:
        return _counted(before, np.concatenate([before.data, after.data]))
    labels = tuple(sorted({*before.categories, *after.categories}))
    if len(labels) > MOST_CATEGORIES:
        told = f"has more than {MOST_CATEGORIES:,} categories in all chunks - group them, or declare it as text in schema="
        raise problem(CHUNK_OF_ROWS, before.name, told)
    place = {label: code for code, label in enumerate(labels)}
    codes = np.concatenate([_recoded(column, place) for column in (before, after)])
    return _counted(evolve(before, categories=labels), codes)


def _recoded(column: Column, place: dict[str, int]) -> NDArray[np.int64]:
    codes = np.array([*(place[label] for label in column.categories), MISSING_CODE], dtype=np.int64)
    found: NDArray[np.int64] = codes[column.data]  # -1, of a missing value, finds the last one
    return found


def _counted(column: Column, data: NDArray[np.float64] | NDArray[np.int64]) -> Column:
    missing = np.isnan(data) if column.is_numeric else data == MISSING_CODE
    return evolve(column, data=data, missing=int(missing.sum()))
