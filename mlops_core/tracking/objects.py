"""Figures and tables as files: each check answers what writes the file, or raises one line."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Final

from mlops_core.exceptions import ExperimentError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["figure_writer", "table_writer"]

_PICTURES: Final = (".png", ".svg", ".pdf", ".jpg", ".jpeg", ".webp")
_PAGE: Final = ".html"
_TABLES: Final = (".csv", ".parquet")


def figure_writer(name: str, figure: Any) -> Callable[[Path], object]:
    """What draws a figure of matplotlib (``savefig``) or plotly (``write_image``, ``write_html``) into a file of the name's ending.

    Raises:
        ExperimentError: Another object, or an ending that it cannot be drawn as.
    """
    form = PurePosixPath(name).suffix.lower()
    drawn = [getattr(figure, method, None) for method in ("savefig", "write_image")]
    draw = next((method for method in drawn if callable(method)), None)
    page = getattr(figure, "write_html", None)
    if draw is None and page is None:
        raise ExperimentError(f"tracker: artifact {name!r}: a {_kind(figure)} is no figure - give one of matplotlib or plotly")
    if form == _PAGE and callable(page):
        return lambda path: page(str(path))
    if form in _PICTURES and draw is not None:
        return lambda path: draw(str(path))
    forms = (*_PICTURES, _PAGE) if page is not None else _PICTURES
    raise ExperimentError(f"tracker: artifact {name!r}: a {_kind(figure)} is not drawn as {form!r} - end the name with {', '.join(forms)}")


def table_writer(name: str, table: Any) -> Callable[[Path], object]:
    """What writes a data frame, or a mapping of columns of equal lengths, into a file of the name's ending.

    Raises:
        ExperimentError: Another object, another ending, or a mapping for Parquet.
    """
    form = PurePosixPath(name).suffix.lower()
    if form not in _TABLES:
        raise ExperimentError(f"tracker: artifact {name!r}: a table is not written as {form!r} - end the name with {' or '.join(_TABLES)}")
    if isinstance(table, Mapping):
        return _columns_writer(name, form, table)
    from narwhals import from_native

    frame: Any = from_native(table, pass_through=True, eager_only=True)
    if frame is table:
        raise ExperimentError(f"tracker: artifact {name!r}: a {_kind(table)} is no table - give a data frame or a mapping of columns")
    return lambda path: (frame.write_csv if form == ".csv" else frame.write_parquet)(str(path))


def _columns_writer(name: str, form: str, columns: Mapping[Any, Any]) -> Callable[[Path], object]:
    if form != ".csv":
        raise ExperimentError(f"tracker: artifact {name!r}: a mapping has no column types - give a data frame, or end the name with .csv")
    if any(isinstance(values, str | bytes) for values in columns.values()):
        raise ExperimentError(f"tracker: artifact {name!r}: a column is a text, and not a list of values - give one value per row in each")
    try:
        rows = list(zip(*(list(values) for values in columns.values()), strict=True))
    except (TypeError, ValueError) as error:
        raise ExperimentError(f"tracker: artifact {name!r}: the columns have unlike lengths - give one value per row in each") from error

    def write(path: Path) -> None:
        with path.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([list(columns), *rows])

    return write


def _kind(value: Any) -> str:
    return f"{type(value).__module__}.{type(value).__qualname__}".removeprefix("builtins.")
