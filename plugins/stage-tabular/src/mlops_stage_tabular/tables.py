"""What the stages share about tables: conversion to Arrow, columns by name, comparisons of a column with a value."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from mlops_core.exceptions import PipelineError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import pyarrow as pa
    import pyarrow.compute as pc

__all__ = [
    "OPERATORS",
    "as_table",
    "as_tuple",
    "check_comparison",
    "check_filters",
    "condition",
    "kept",
    "nearest",
    "need_columns",
    "one_line",
    "plain",
]

OPERATORS: Final = ("=", "!=", "<", "<=", ">", ">=", "in", "not in")
_LISTED: Final = 12


def as_table(value: Any, stage: str, name: str) -> pa.Table:
    """A plain pyarrow table of a table or frame (pandas, polars, and what else narwhals knows).

    Raises:
        PipelineError: It is no table, a column of it fits no type, two have one name, or it has no rows.
    """
    import narwhals as nw
    import pyarrow as pa

    kind = type(value).__name__
    if not isinstance(value, pa.Table):
        try:
            frame = nw.from_native(value, eager_only=True)
        except TypeError as error:
            raise PipelineError(f"{stage}: {name} is a {kind}, no table - give a pyarrow table or a frame") from error
        except nw.exceptions.NarwhalsError as error:
            raise PipelineError(f"{stage}: {name} cannot be read: {one_line(error)} - give another {kind}") from error
        try:
            value = frame.to_arrow()
        except (pa.ArrowException, ArithmeticError, ValueError, TypeError) as error:
            raise PipelineError(f"{stage}: {name} has a column that fits no type: {one_line(error)} - give it a dtype") from error
    if value.num_rows == 0:
        raise PipelineError(f"{stage}: {name} has no rows - look at the filters of the stages before it")
    return plain(value, f"{stage}: {name}")


def plain(table: pa.Table, told: str) -> pa.Table:
    """The table with one kind of missing value and of text: NaN is null, categories are their values, decimals are float64.

    Raises:
        PipelineError: Two columns have one name.
    """
    twice = _twice(table.column_names)
    if twice is not None:
        raise PipelineError(f"{told} has several columns called {twice!r} - rename all but one")
    for number, (name, column) in enumerate(zip(table.column_names, table.columns, strict=True)):
        found = _plain_column(column)
        if found is not column:
            table = table.set_column(number, name, found)
    return table


def _plain_column(column: pa.ChunkedArray) -> pa.ChunkedArray:
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_string_view(column.type):
        column = column.cast(pa.large_string())
    if pa.types.is_decimal(column.type):
        column = column.cast(pa.float64())
    if pa.types.is_floating(column.type) and pc.any(pc.is_nan(column)).as_py():
        column = pc.if_else(pc.is_nan(column), None, column)
    return column


def one_line(error: BaseException) -> str:
    """What a library says, without its line breaks."""
    return " ".join(str(error).split())


def as_tuple(values: Iterable[Any]) -> tuple[Any, ...]:
    """A list of an option as it is kept."""
    return tuple(values)


def need_columns(table: pa.Table, names: Iterable[str], stage: str, option: str) -> None:
    """Refuse a name that the table does not have, naming the nearest that it has, or that is given twice.

    Raises:
        PipelineError: With the first such name.
    """
    names = list(names)
    twice = _twice(names)
    if twice is not None:
        raise PipelineError(f"{stage}: {option}: {twice!r} is named twice - once is enough")
    for name in names:
        if name not in table.column_names:
            raise PipelineError(f"{stage}: {option}: no column {name!r} in the data - {nearest(name, table.column_names)}")


def _twice(names: Sequence[Any]) -> Any:
    return next((name for number, name in enumerate(names) if name in names[:number]), None)


def nearest(name: Any, known: Sequence[str]) -> str:
    """``did you mean 'x'?``, or what there is."""
    near = difflib.get_close_matches(str(name), known, 1)
    if near:
        return f"did you mean {near[0]!r}?"
    return f"there are: {', '.join(known[:_LISTED]) or 'none'}{', ...' if len(known) > _LISTED else ''}"


def kept(table: pa.Table, filters: Sequence[Any], stage: str, option: str = "filters") -> pa.Table:
    """Rows for which every ``[column, operator, value]`` is true; a comparison with a missing value is not.

    Raises:
        PipelineError: A filter names no column, or compares unlike types.
    """
    for one in filters:
        table = _evaluated(partial(table.filter, condition(table, one, stage, option)), one, stage, option)
    return table


def check_comparison(comparison: Any) -> None:
    """Refuse what is no ``[column, operator, value]``, before there is a table.

    Raises:
        ValueError: It has another form, an unknown operator, or no list after ``in``.
    """
    if not _is_list(comparison) or len(comparison) != 3:  # noqa: PLR2004  column, operator, value
        raise ValueError(f"{comparison!r} is no comparison - write one such as [month, '<=', 3]")
    name, operator, value = comparison
    if operator not in OPERATORS:
        raise ValueError(f"no operator {operator!r} - {nearest(operator, OPERATORS)}")
    if operator in {"in", "not in"} and not _is_list(value):
        raise ValueError(f"{operator!r} takes a list - write [{name}, {operator}, [{value}]]")


def check_filters(_stage: object, _field: object, filters: Sequence[Any]) -> None:
    """Validator of an option that lists comparisons."""
    for one in filters:
        check_comparison(one)


def condition(table: pa.Table, comparison: Any, stage: str, option: str) -> pc.Expression:
    """``[column, operator, value]``, as ``check_comparison`` takes it, as an expression over the table.

    Raises:
        PipelineError: It names no column, or compares unlike types.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    name, operator, value = comparison
    need_columns(table, [name], stage, option)
    column, kind = pc.field(name), table.schema.field(name).type
    if operator in {"in", "not in"}:
        values = _evaluated(lambda: pa.array(list(value)).cast(kind), comparison, stage, option)
        found = column.isin(values)
        return found if operator == "in" else ~found & column.is_valid()
    other = _evaluated(lambda: _scalar(value, kind), comparison, stage, option)
    ways = {"=": column == other, "!=": column != other, "<": column < other, "<=": column <= other}
    return ways.get(operator, column > other if operator == ">" else column >= other)


def _is_list(value: Any) -> bool:
    """Whether it is a list as configurations write them: text is none."""
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


def _scalar(value: Any, kind: pa.DataType) -> pa.Scalar:
    import pyarrow as pa

    scalar = pa.scalar(value)
    return scalar.cast(kind) if pa.types.is_temporal(kind) and isinstance(value, str) else scalar


def _evaluated(make: Callable[[], Any], comparison: Sequence[Any], stage: str, option: str) -> Any:
    import pyarrow as pa

    try:
        return make()
    except (pa.ArrowException, ArithmeticError, ValueError, TypeError) as error:
        raise PipelineError(f"{stage}: {option}: {list(comparison)} cannot be compared: {one_line(error)}") from error
