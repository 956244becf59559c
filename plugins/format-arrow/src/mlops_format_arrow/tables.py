"""Tables of pandas, polars and pyarrow to Arrow and back, each loaded only if the value comes from it."""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["from_table", "is_table", "to_table"]

_KIND: Final = b"mlops.table"


def is_table(value: Any) -> bool:
    """Whether the value is a pyarrow table, or a pandas or polars frame: decided by its type, importing nothing."""
    return _kind(value) != ""


def to_table(value: Any) -> pa.Table:
    """The Arrow table of a value, with a note in its metadata of what it was."""
    import pyarrow as pa

    kind = _kind(value)
    if kind == "pyarrow":
        return value
    table = pa.Table.from_pandas(value) if kind == "pandas" else value.to_arrow()
    return table.replace_schema_metadata({**(table.schema.metadata or {}), _KIND: kind.encode()})


def from_table(table: pa.Table) -> Any:
    """What ``to_table`` was given, or the Arrow table where that library is not installed."""
    notes = dict(table.schema.metadata or {})
    kind = notes.pop(_KIND, b"pyarrow").decode()
    if kind == "pyarrow":
        return table
    table = table.replace_schema_metadata(notes or None)
    try:
        library = importlib.import_module(kind if kind in {"pandas", "polars"} else "")
    except (ImportError, ValueError):
        return table
    return table.to_pandas() if kind == "pandas" else library.from_arrow(table)


def _kind(value: Any) -> str:
    for library, name in (("pyarrow", "Table"), ("pandas", "DataFrame"), ("polars", "DataFrame")):
        wanted = getattr(sys.modules.get(library), name, None)
        if wanted is not None and type(value) is wanted:
            return library
    return ""
