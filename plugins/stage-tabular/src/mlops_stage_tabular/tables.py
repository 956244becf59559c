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

__all__ = ["OPERATORS", "as_table", "as_tuple", "condition", "is_list", "kept", "nearest", "need_columns"]

OPERATORS: Final = ("=", "!=", "<", "<=", ">", ">=", "in", "not in")
_LISTED: Final = 12


def as_table(value: Any, stage: str, name: str) -> pa.Table:
    """A pyarrow table of a table or frame (pandas, polars, and what else narwhals knows).

    Raises:
        PipelineError: It is no table, or has no rows.
    """
    import narwhals as nw
    import pyarrow as pa

    if not isinstance(value, pa.Table):
        try:
            value = nw.from_native(value, eager_only=True).to_arrow()
        except TypeError as error:
            raise PipelineError(f"{stage}: {name} is a {type(value).__name__}, no table - give a pyarrow table or a frame") from error
    if value.num_rows == 0:
        raise PipelineError(f"{stage}: {name} has no rows - look at the filters of the stages before it")
    return value


def as_tuple(values: Iterable[Any]) -> tuple[Any, ...]:
    """A list of an option as it is kept."""
    return tuple(values)


def need_columns(table: pa.Table, names: Iterable[str], stage: str, option: str) -> None:
    """Refuse a name that the table does not have, naming the nearest that it has.

    Raises:
        PipelineError: With the first such name.
    """
    for name in names:
        if name not in table.column_names:
            raise PipelineError(f"{stage}: {option}: no column {name!r} in the data - {nearest(name, table.column_names)}")


def nearest(name: Any, known: Sequence[str]) -> str:
    """``did you mean 'x'?``, or what there is."""
    near = difflib.get_close_matches(str(name), known, 1)
    if near:
        return f"did you mean {near[0]!r}?"
    return f"there are: {', '.join(known[:_LISTED]) or 'none'}{', ...' if len(known) > _LISTED else ''}"


def kept(table: pa.Table, filters: Sequence[Any], stage: str, option: str = "filters") -> pa.Table:
    """Rows for which every ``[column, operator, value]`` is true; a comparison with a missing value is not.

    Raises:
        PipelineError: A filter is malformed, or compares unlike types.
    """
    for one in filters:
        table = _evaluated(partial(table.filter, condition(table, one, stage, option)), one, stage, option)
    return table


def condition(table: pa.Table, comparison: Any, stage: str, option: str) -> pc.Expression:
    """``[column, operator, value]`` as an expression over the table.

    Raises:
        PipelineError: It is malformed or names no column.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    if not is_list(comparison) or len(comparison) != 3:  # noqa: PLR2004  column, operator, value
        raise PipelineError(f"{stage}: {option}: {comparison!r} is no comparison - write one such as [month, '<=', 3]")
    name, operator, value = comparison
    need_columns(table, [name], stage, option)
    if operator not in OPERATORS:
        raise PipelineError(f"{stage}: {option}: no operator {operator!r} - {nearest(str(operator), OPERATORS)}")
    column, kind = pc.field(name), table.schema.field(name).type
    if operator in {"in", "not in"}:
        if not is_list(value):
            raise PipelineError(f"{stage}: {option}: {operator!r} takes a list - write [{name}, {operator}, [{value}]]")
        values = _evaluated(lambda: pa.array(list(value)).cast(kind), comparison, stage, option)
        found = column.isin(values)
        return found if operator == "in" else ~found & column.is_valid()
    other = _evaluated(lambda: _scalar(value, kind), comparison, stage, option)
    ways = {"=": column == other, "!=": column != other, "<": column < other, "<=": column <= other}
    return ways.get(operator, column > other if operator == ">" else column >= other)


def is_list(value: Any) -> bool:
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
        cause = " ".join(str(error).split())
        raise PipelineError(f"{stage}: {option}: {list(comparison)} cannot be compared: {cause}") from error
