"""Whatever a caller calls data, as a table of columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
from attrs import evolve, frozen

from mlops_core.drift.arrays import table_columns
from mlops_core.drift.column import CHUNK_OF_ROWS, Column, Kind, checked, problem
from mlops_core.drift.frames import from_native, named_series
from mlops_core.drift.guard import name_list
from mlops_core.drift.sampling import RowSample
from mlops_core.drift.schema import INFERRED, Schema, read_column
from mlops_core.exceptions import DriftDetectionError, checks_input

__all__ = ["SAMPLED_ROWS", "Table", "column_names", "read_table", "read_values"]

SAMPLED_ROWS: Final = 100_000
"""How many rows of data in chunks are kept."""

_TAKEN: Final = "a numpy array, a pandas, polars or pyarrow table in memory, a dict of columns, a list of rows, or an iterator of these"
_TABLE_DIMENSIONS: Final = 2


@frozen(eq=False)
class Table:
    """Columns of equal length, in order. ``named`` is False where the names are positions: x0, x1, ..."""

    columns: tuple[Column, ...]
    rows: int
    named: bool

    @checks_input
    def select(self, side: str, wanted: Sequence[str]) -> Table:
        """Only these columns.

        Raises:
            DriftDetectionError: One of them is not there, or none is wanted.
        """
        found = {column.name: column for column in self.columns}
        for name in wanted:
            if name not in found:
                known = ", ".join(list(found)[:10])
                raise problem(side, name, f"is not there (there are: {known}) - name existing columns")
        return evolve(self, columns=tuple(found[name] for name in wanted))


def read_table(side: str, data: Any, columns: Sequence[str] | None = None, schema: Schema = INFERRED) -> Table:
    """Read one side of a check; ``side`` is ``reference`` or ``current``, for messages. Kinds that the schema leaves out are inferred.

    Columns that are not wanted are not looked at where that can be told beforehand. Of an iterator of chunks 100,000 rows are drawn.

    Raises:
        DriftDetectionError: It is empty, of a kind that cannot be read, or a column holds what no test can compare; one line naming it.
    """
    table = _sampled(side, data, columns, schema) if isinstance(data, Iterator) else _read(side, data, columns, schema)
    if columns is not None and not table.columns and not isinstance(data, Iterator):  # none of them is there: say which are
        table = _read(side, data, None, schema)
    if not table.columns or not table.rows:
        raise DriftDetectionError(f"drift: {side} data: it is empty - give at least one column and two rows")
    return table if columns is None else table.select(side, columns)


@checks_input
def column_names(columns: Any) -> tuple[str, ...] | None:
    """The columns that a caller wants, once each; None for all.

    Raises:
        DriftDetectionError: It is no list of names, or an empty one.
    """
    if columns is None:
        return None
    names = name_list(columns)
    if not names:
        raise DriftDetectionError(f"drift: columns: expected names, got {columns!r:.60} - name at least one, or leave it out for all")
    return names


def read_values(side: str, data: Any, what: str) -> Column:
    """Read one column, such as labels; ``what`` names it in messages."""
    table = _read(side, data, None, INFERRED)
    if len(table.columns) != 1:
        raise DriftDetectionError(f"drift: {side} {what}: expected one column, got {len(table.columns)} - give one value per row")
    return evolve(table.columns[0], name=what)


def _sampled(side: str, chunks: Iterator[Any], wanted: Sequence[str] | None, schema: Schema) -> Table:
    """100,000 rows of all chunks."""
    sample, named = RowSample(SAMPLED_ROWS, np.random.default_rng(0)), False
    for chunk in chunks:
        table = _read(CHUNK_OF_ROWS, chunk, wanted, schema)
        named = table.named
        if table.rows:
            sample.add(table.columns, table.rows)
    return Table(tuple(checked(side, column) for column in sample.columns), sample.rows, named)


def _read(side: str, data: Any, wanted: Sequence[str] | None, schema: Schema) -> Table:
    if isinstance(data, np.ndarray):
        return _from_array(side, data, schema)
    if isinstance(data, Mapping):
        return _from_mapping(side, {name: values for name, values in data.items() if wanted is None or name in wanted}, schema)
    if isinstance(data, list | tuple):
        return _from_list(side, data, schema)
    frame, series = from_native(side, data)
    if frame is not None:
        named = named_series(side, frame, wanted)
        return _table([read_column(side, name, one, schema.kinds.get(name)) for name, one in named.items()], named=True)
    if series is not None:
        name = str(series.name or "x0")
        return _table([read_column(side, name, series, schema.kinds.get(name) or schema.at(0))], named=False)
    kind = f"{type(data).__module__}.{type(data).__qualname__}"
    raise DriftDetectionError(f"drift: {side} data: a {kind} cannot be read - give {_TAKEN}")


def _from_array(side: str, data: np.ndarray[Any, Any], schema: Schema) -> Table:
    if data.dtype.names:
        return _table([read_column(side, name, data[name], schema.kinds.get(name)) for name in data.dtype.names], named=True)
    if data.ndim not in {1, _TABLE_DIMENSIONS}:
        raise DriftDetectionError(f"drift: {side} data: it has {data.ndim} dimensions - give one (values) or two (rows, columns)")
    if not data.size:
        return Table((), 0, named=False)
    if data.ndim == 1 or schema.kinds:
        return _unnamed(side, [data] if data.ndim == 1 else list(data.T), schema)
    return _table(table_columns(side, data), named=False)


def _from_mapping(side: str, data: Mapping[Any, Any], schema: Schema) -> Table:
    columns = [_column(side, str(name), values, schema.kinds.get(str(name))) for name, values in data.items()]
    for column in columns:
        if len(column.data) != len(columns[0].data):
            told = f"has {len(column.data)} rows where {columns[0].name!r} has {len(columns[0].data)} - give columns of equal length"
            raise problem(side, column.name, told)
    return _table(columns, named=True)


def _column(side: str, name: str, values: Any, kind: Kind | None) -> Column:
    if isinstance(values, np.ndarray | list | tuple):
        return read_column(side, name, values, kind)
    _, series = from_native(side, values)
    if series is None:
        raise problem(side, name, f"is a {type(values).__qualname__} - give an array, a list or a series")
    return read_column(side, name, series, kind)


def _from_list(side: str, data: Sequence[Any], schema: Schema) -> Table:
    first = data[0] if data else None
    if isinstance(first, Mapping):
        if not all(isinstance(row, Mapping) for row in data):
            raise DriftDetectionError(f"drift: {side} data: only some of its rows are mappings - give rows of one kind")
        names = dict.fromkeys(name for row in data for name in row)
        return _from_mapping(side, {name: [row.get(name) for row in data] for name in names}, schema)
    if isinstance(first, list | tuple | np.ndarray):
        widths = {len(row) if isinstance(row, list | tuple | np.ndarray) else 0 for row in data}
        if len(widths) > 1:
            raise DriftDetectionError(f"drift: {side} data: its rows have different lengths - give rows of one length")
        return _unnamed(side, list(zip(*data, strict=True)), schema)
    return _unnamed(side, [data], schema) if data else Table((), 0, named=False)


def _unnamed(side: str, columns: Sequence[Any], schema: Schema) -> Table:
    return _table([read_column(side, f"x{i}", values, schema.at(i)) for i, values in enumerate(columns)], named=False)


def _table(columns: Sequence[Column], *, named: bool) -> Table:
    return Table(tuple(columns), len(columns[0].data) if columns else 0, named)
