"""Stage ``preprocess``: choose, derive and clean columns before training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Final

from attrs import define, field

from mlops_core.exceptions import PipelineError
from mlops_core.roles import Stage
from mlops_stage_tabular.tables import as_table, as_tuple, check_comparison, check_filters, condition, kept, nearest, need_columns, one_line

if TYPE_CHECKING:
    import pyarrow as pa

    from mlops_core.roles import StageContext

__all__ = ["PreprocessStage"]

_PARTS: Final = ("year", "quarter", "month", "day", "hour", "minute", "second", "weekday", "day_of_year", "week")


def _check_derived(_stage: object, _field: object, derived: Mapping[str, Any]) -> None:
    for comparison in derived.values():
        check_comparison(comparison)


def _check_parts(_stage: object, _field: object, wanted: Mapping[str, Sequence[str]]) -> None:
    for part in (part for parts in wanted.values() for part in parts):
        if part not in _PARTS:
            raise ValueError(f"no part {part!r} of a time - {nearest(part, _PARTS)}")


@define(eq=False, kw_only=True)
class PreprocessStage(Stage):
    """Derives columns, drops rows and columns. What depends on the distribution of the data (filling, scaling, encoding) is left to the
    model's own pipeline, so that training and serving cannot differ.

    In this order: ``derive``, ``parts``, ``filters``, ``required``, ``text``, ``select``, ``drop``.
    """  # noqa: D205  one sentence, then the order

    contract: ClassVar[int] = 1

    derive: Mapping[str, Sequence[Any]] = field(
        factory=dict,
        validator=_check_derived,
        metadata={"help": "new columns of 0 and 1 by a comparison, such as {late: [delay, '>', 15]}; missing stays missing"},
    )
    parts: Mapping[str, Sequence[str]] = field(
        factory=dict,
        validator=_check_parts,
        metadata={"help": "parts of time columns as new columns, such as {departure: [month, weekday, hour]}"},
    )
    filters: tuple[Any, ...] = field(
        default=(),
        converter=as_tuple,
        validator=check_filters,
        metadata={"help": "rows to keep: [column, operator, value] each, such as [month, '<=', 3]"},
    )
    required: tuple[str, ...] = field(
        default=(), converter=as_tuple, metadata={"help": "columns that must not be missing: other rows are dropped"}
    )
    text: tuple[str, ...] = field(default=(), converter=as_tuple, metadata={"help": "columns to take as text, such as codes of digits"})
    select: tuple[str, ...] = field(default=(), converter=as_tuple, metadata={"help": "columns to keep, in this order; none: all"})
    drop: tuple[str, ...] = field(default=(), converter=as_tuple, metadata={"help": "columns to leave out"})

    def run(self, context: StageContext, data_collection: Any) -> Any:
        """Clean a table.

        Returns:
            A ``pyarrow.Table``.

        Raises:
            PipelineError: A column is not in the data, or no row is left.
        """
        import pyarrow.compute as pc

        table = as_table(data_collection, "preprocess", "data_collection")
        before = table.num_rows
        for name, comparison in self.derive.items():
            table = _added(table, name, _flag(table, comparison))
        for name, parts in self.parts.items():
            for part in parts:
                table = _added(table, f"{name}_{part}", _part(table, name, part))
        table = kept(table, self.filters, "preprocess")
        need_columns(table, self.required, "preprocess", "required")
        for name in self.required:
            table = table.filter(pc.is_valid(table[name]))
        if table.num_rows == 0:
            raise PipelineError("preprocess: no row is left - look at 'filters' and 'required'")
        context.log_metrics({"rows": float(table.num_rows), "rows_dropped": float(before - table.num_rows)})
        return self._columns(table)

    def _columns(self, table: pa.Table) -> pa.Table:
        import pyarrow as pa

        need_columns(table, self.text, "preprocess", "text")
        for name in self.text:
            try:
                table = table.set_column(table.column_names.index(name), name, table[name].cast(pa.string()))
            except pa.ArrowException as error:
                raise PipelineError(f"preprocess: text: column {name!r} cannot be taken as text: {one_line(error)}") from error
        need_columns(table, self.select, "preprocess", "select")
        need_columns(table, self.drop, "preprocess", "drop")
        left = [name for name in self.select or table.column_names if name not in self.drop]
        if not left:
            raise PipelineError("preprocess: drop: no column is left - drop fewer")
        return table.select(left)


def _flag(table: pa.Table, comparison: Any) -> pa.ChunkedArray:
    import pyarrow as pa
    import pyarrow.compute as pc

    chosen = condition(table, comparison, "preprocess", "derive")
    try:
        flag = _project(table, chosen)
    except pa.ArrowException as error:
        raise PipelineError(f"preprocess: derive: {list(comparison)} cannot be compared: {one_line(error)}") from error
    known = pc.is_valid(table[comparison[0]])
    return pc.if_else(known, flag, None).cast(pa.int64())


def _project(table: pa.Table, expression: Any) -> pa.ChunkedArray:
    from pyarrow import acero

    source = acero.Declaration("table_source", acero.TableSourceNodeOptions(table))
    project = acero.Declaration("project", acero.ProjectNodeOptions([expression], ["flag"]), [source])
    return project.to_table(use_threads=False)["flag"]  # one thread keeps the order of the rows


def _part(table: pa.Table, name: str, part: str) -> pa.ChunkedArray:
    import pyarrow as pa
    import pyarrow.compute as pc

    need_columns(table, [name], "preprocess", "parts")
    kind = table.schema.field(name).type
    if not pa.types.is_temporal(kind):
        raise PipelineError(f"preprocess: parts: column {name!r} is {kind}, no time - read it as one")
    functions = {"weekday": pc.day_of_week, "week": pc.iso_week}
    try:
        return (functions.get(part) or getattr(pc, part))(table[name])
    except pa.ArrowException as error:
        raise PipelineError(f"preprocess: parts: column {name!r} is {kind}, which has no {part} - leave that part out") from error


def _added(table: pa.Table, name: str, column: pa.ChunkedArray) -> pa.Table:
    if name in table.column_names:
        raise PipelineError(f"preprocess: column {name!r} is in the data already - choose another name")
    return table.append_column(name, column)
