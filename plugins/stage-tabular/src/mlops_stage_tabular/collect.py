"""Stages ``csv`` and ``parquet``: a file of the project as a table."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

from attrs import define, field

from mlops_core.exceptions import PipelineError
from mlops_core.roles import Stage
from mlops_stage_tabular.tables import as_tuple, check_filters, kept, nearest, need_columns, one_line, plain

if TYPE_CHECKING:
    import pyarrow as pa

    from mlops_core.roles import StageContext

__all__ = ["CsvStage", "ParquetStage"]

_BLOCK: Final = 16 << 20
_MISSING: Final = ("", "NA", "N/A", "NaN", "nan", "NULL", "null", "None")


@define(eq=False, kw_only=True)
class _FileStage(Stage):
    """What both share: finding the file, choosing columns and rows, telling how much there is."""

    path: Path = field(converter=Path, metadata={"help": "the file, relative to the project's folder"})
    columns: tuple[str, ...] = field(default=(), converter=as_tuple, metadata={"help": "columns to keep, in this order; none: all"})
    filters: tuple[Any, ...] = field(
        default=(),
        converter=as_tuple,
        validator=check_filters,
        metadata={"help": "rows to keep: [column, operator, value] each, such as [month, '<=', 3]"},
    )

    @abstractmethod
    def _read(self, path: Path) -> pa.Table:
        """The whole file, or what of it the columns and filters need."""

    def run(self, context: StageContext) -> Any:
        """Read the file.

        Returns:
            A ``pyarrow.Table``.

        Raises:
            PipelineError: The file is missing or unreadable, a column is not in it or in it twice, or no row is left.
        """
        import pyarrow as pa

        path = context.root / self.path
        if not path.exists():
            raise PipelineError(f"{self._name}: path: no file {self.path} - {_nearest_file(path)}")
        try:
            table = self._read(path)
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            raise PipelineError(f"{self._name}: path: {self.path} cannot be read: {one_line(error)}") from error
        table = plain(table, f"{self._name}: path: {self.path}")
        need_columns(table, self.columns, self._name, "columns")
        table = kept(table, self.filters, self._name)
        if table.num_rows == 0:
            raise PipelineError(f"{self._name}: no row of {self.path} is left - look at 'filters'")
        table = table.select(list(self.columns)) if self.columns else table
        context.log_params({"path": self.path.name})
        context.log_metrics({"rows": float(table.num_rows)})
        context.progress(table.num_rows, table.num_rows, "rows read")
        return table

    @property
    def _name(self) -> str:
        return type(self).__name__.removesuffix("Stage").lower()


def _one_character(_stage: object, _field: object, delimiter: str) -> None:
    if len(delimiter) != 1 or not delimiter.isascii() or delimiter in "\r\n":
        raise ValueError(f"{delimiter!r} is not one character of ASCII - give one such as ';'")


@define(eq=False, kw_only=True)
class CsvStage(_FileStage):
    """Reads a CSV file, packed (``.gz``, ``.bz2``, ``.zst``) or not. Types are inferred from the first 16 MiB."""

    contract: ClassVar[int] = 1

    delimiter: str = field(default=",", validator=_one_character, metadata={"help": "the character between fields"})
    missing: tuple[str, ...] = field(default=_MISSING, converter=as_tuple, metadata={"help": "texts that mean a missing value"})
    types: Mapping[str, str] = field(
        factory=dict, metadata={"help": "types of columns that are inferred wrongly, such as {code: string, temp: float64}"}
    )

    def _read(self, path: Path) -> pa.Table:
        from pyarrow import csv

        convert = csv.ConvertOptions(
            column_types={name: _type(self._name, name, kind) for name, kind in self.types.items()},
            null_values=list(self.missing),
            strings_can_be_null=True,
        )
        parse = csv.ParseOptions(delimiter=self.delimiter)
        return csv.read_csv(path, read_options=csv.ReadOptions(block_size=_BLOCK), parse_options=parse, convert_options=convert)


@define(eq=False, kw_only=True)
class ParquetStage(_FileStage):
    """Reads a Parquet file, or a folder of them; of the columns, only those that are kept or compared."""

    contract: ClassVar[int] = 1

    def _read(self, path: Path) -> pa.Table:
        from pyarrow import dataset

        data = dataset.dataset(path, format="parquet")
        compared = [column for column, _, _ in self.filters if column in data.schema.names]
        need_columns(data.schema.empty_table(), self.columns, self._name, "columns")
        return data.to_table(columns=list(dict.fromkeys([*self.columns, *compared])) if self.columns else None)


def _type(stage: str, column: str, kind: str) -> pa.DataType:
    import pyarrow as pa

    try:
        return pa.type_for_alias(kind)
    except ValueError as error:
        raise PipelineError(f"{stage}: types: {column}: no type {kind!r} - use one such as int64, float64, string, bool, date32") from error


def _nearest_file(path: Path) -> str:
    try:
        names = sorted(one.name for one in path.parent.iterdir() if not one.name.startswith("."))
    except OSError:
        return f"there is no folder {path.parent.name}"
    return nearest(path.name, names)
