"""Formats ``arrow`` and ``parquet``: one table to one file."""

from __future__ import annotations

import os
from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from attrs import define, field

from mlops_core.exceptions import ArtifactError
from mlops_core.roles import Format
from mlops_format_arrow.tables import from_table, holds_objects, is_table, same_types, to_table

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa

__all__ = ["ArrowFormat", "ParquetFormat"]


@define(eq=False)
class _TableFormat(Format):
    """What both formats share: conversion, magic bytes, errors."""

    magic: ClassVar[bytes]

    compression: Literal["zstd", "lz4", "none"] = field(default="zstd", metadata={"help": "how column data is compressed"})

    @abstractmethod
    def _encode(self, table: pa.Table, sink: Any) -> None:
        """Write the table to a path or a file of pyarrow."""

    @abstractmethod
    def _decode(self, source: Any) -> pa.Table:
        """Read the table from a path or a buffer of pyarrow."""

    def accepts(self, value: Any) -> bool:
        """Whether it is a table that comes back as it went: its column types, tried without its rows, and what Python objects it holds."""
        if not is_table(value) or holds_objects(value):
            return False
        import pyarrow as pa

        try:
            empty, sink = to_table(value).slice(0, 0), pa.BufferOutputStream()
            self._encode(empty, sink)
            again = self._decode(pa.BufferReader(sink.getvalue()))
            return bool(again.schema.equals(empty.schema, check_metadata=True)) and same_types(value, from_table(again))
        except (pa.ArrowException, ArithmeticError, ValueError, TypeError):
            return False

    def sniff(self, path: Path) -> bool:
        """Whether the file begins and ends with the format's magic bytes."""
        if not path.is_file():
            return False
        length = len(self.magic)
        with path.open("rb") as stream:
            head = stream.read(length)
            if stream.seek(0, os.SEEK_END) < 2 * length:
                return False
            stream.seek(-length, os.SEEK_END)
            return head == self.magic == stream.read(length)

    def write(self, value: Any, path: Path) -> None:
        """Write a pyarrow table, or a pandas or polars frame."""
        if not self.accepts(value):
            raise ArtifactError(f"format {self.name}: cannot hold this {type(value).__name__} without loss - give a table of plain columns")
        self._encode(to_table(value), str(path))

    def read(self, path: Path) -> Any:
        """The table, as the kind that was written where its library is installed, else as a pyarrow table."""
        try:
            table = self._decode(str(path))
            table.validate(full=True)
            return from_table(table)
        except Exception as error:  # pyarrow raises several unrelated classes for a damaged file
            cause = " ".join(str(error).split())
            raise ArtifactError(f"format {self.name}: {path.name} is no readable table: {cause}") from error


@define(eq=False)
class ParquetFormat(_TableFormat):
    """Tables as Parquet: small, and read by every tool. Column types that do not come back from it are left to ``arrow``."""

    name: ClassVar[str] = "parquet"
    contract: ClassVar[int] = 1
    magic: ClassVar[bytes] = b"PAR1"

    def _encode(self, table: pa.Table, sink: Any) -> None:
        import pyarrow.parquet as pq

        # the compliant spelling would rename the items of lists, so that a table no longer equals itself
        pq.write_table(table, sink, compression=self.compression, use_compliant_nested_type=False)

    def _decode(self, source: Any) -> pa.Table:
        import base64

        import pyarrow as pa
        import pyarrow.parquet as pq

        file = pq.ParquetFile(source)
        table = file.read()
        written = (file.metadata.metadata or {}).get(b"ARROW:schema")
        if written is None:
            return table
        # pyarrow restores most types from the schema it was given; the rest (seconds, width of category codes) by a cast
        schema = pa.ipc.read_schema(pa.py_buffer(base64.b64decode(written)))
        return table if schema.equals(table.schema) else table.cast(schema)


@define(eq=False)
class ArrowFormat(_TableFormat):
    """Tables as Arrow IPC files (Feather version 2): every column type, fast to read."""

    name: ClassVar[str] = "arrow"
    contract: ClassVar[int] = 1
    magic: ClassVar[bytes] = b"ARROW1"

    def _encode(self, table: pa.Table, sink: Any) -> None:
        import pyarrow as pa

        table = table.unify_dictionaries()  # a file holds one dictionary per column
        options = pa.ipc.IpcWriteOptions(compression=None if self.compression == "none" else self.compression)
        with pa.ipc.new_file(sink, table.schema, options=options) as writer:
            writer.write_table(table)

    def _decode(self, source: Any) -> pa.Table:
        import pyarrow as pa

        return pa.ipc.open_file(pa.OSFile(source) if isinstance(source, str) else source).read_all()
