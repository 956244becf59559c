"""Tables of pandas, polars and pyarrow to Arrow and back, each loaded only if the value comes from it."""

from __future__ import annotations

import importlib
import sys
from datetime import date, time
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["from_table", "holds_objects", "is_table", "same_types", "to_table"]

_KIND: Final = b"mlops.table"
_WHOLE: Final = frozenset({bytes, date, Decimal, str, time})  # a column of objects of one of these types comes back the same


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


def holds_objects(value: Any) -> bool:
    """Whether a pandas frame holds Python objects, as values, labels or categories, that Arrow would give back as others.

    Of a column of objects Arrow guesses a type from what is in it, so these are looked at value by value.
    """
    if _kind(value) != "pandas":
        return False
    columns = [value.iloc[:, number] for number in range(value.shape[1])]
    levels = [value.index.get_level_values(number) for number in range(value.index.nlevels)]
    categories = [one.dtype.categories for one in (*levels, *columns) if one.dtype == "category"]
    objects = (one for one in (value.columns, *levels, *columns, *categories) if one.dtype == object)
    return any(len(kinds) > 1 or not kinds <= _WHOLE for kinds in map(_kinds, objects))


def _kinds(objects: Any) -> set[type]:
    return {type(one) for one in objects[objects.notna()]}


def same_types(value: Any, again: Any) -> bool:
    """Whether a frame has the column types of another one, those of Python objects aside, and its notes."""
    kind = _kind(value)
    if kind == "polars":
        return bool(again.schema == value.schema)
    return kind == "pyarrow" or (
        all(left in {right, "object"} for left, right in zip(map(str, value.dtypes), map(str, again.dtypes), strict=True))
        and value.attrs == again.attrs
    )


def _kind(value: Any) -> str:
    for library, name in (("pyarrow", "Table"), ("pandas", "DataFrame"), ("polars", "DataFrame")):
        wanted = getattr(sys.modules.get(library), name, None)
        if wanted is not None and type(value) is wanted:
            return library
    return ""
