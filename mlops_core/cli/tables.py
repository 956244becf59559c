"""Tables that a command is given: CSV by the standard library, everything else through the installed formats."""

from __future__ import annotations

import csv
import gzip
import io
from typing import TYPE_CHECKING, Any

from mlops_core.exceptions import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from mlops_core.stack import Stack

__all__ = ["read_table"]

_MISSING = frozenset({"", "NA", "NaN", "nan", "null", "None"})


def read_table(path: Path, stack: Stack) -> Any:
    """A table: a dict of arrays for ``.csv`` and ``.csv.gz``, else whatever the format of the content gives.

    In a CSV file a column is numeric if each of its values reads as a number; an empty field, NA or NaN is missing.

    Raises:
        ConfigError: The file is missing, unreadable, or no table.
    """
    if not path.is_file():
        raise ConfigError(f"{path}: there is no such file - give a CSV, Parquet or Arrow file")
    if path.name.endswith((".csv", ".csv.gz")):
        return _read_csv(path)
    from mlops_core.artifacts import Artifacts

    return Artifacts(stack).format_of(path).read(path)


def _read_csv(path: Path) -> dict[str, Any]:
    try:
        opened = gzip.open if path.suffix == ".gz" else open
        with opened(path, "rb") as stream, io.TextIOWrapper(stream, encoding="utf-8-sig", newline="") as text:
            header, *rows = csv.reader(text)
    except (OSError, EOFError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"{path}: not a CSV file in UTF-8: {error} - save it as one") from error
    except ValueError:
        raise ConfigError(f"{path}: the file is empty - its first line names the columns") from None
    twice = next((name for number, name in enumerate(header) if name in header[:number]), None)
    if twice is not None:
        raise ConfigError(f"{path}:1: several columns are called {twice!r} - rename all but one")
    ragged = next((number for number, row in enumerate(rows, 2) if len(row) != len(header)), None)
    if ragged is not None:
        raise ConfigError(f"{path}:{ragged}: {len(rows[ragged - 2])} fields, the header has {len(header)} - give each row one per column")
    return {name: _column(values) for name, values in zip(header, zip(*rows, strict=True), strict=True)} if rows else {}


def _column(values: Sequence[str]) -> Any:
    import numpy as np

    try:
        return np.array([float("nan") if value in _MISSING else float(value) for value in values])
    except ValueError:
        return np.array([None if value in _MISSING else value for value in values], dtype=object)
