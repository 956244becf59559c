"""What a command prints: tables for a terminal, aligned plain lines in a pipe, JSON where asked for."""

from __future__ import annotations

import json
import sys
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import click
from attrs import define

from mlops_core.records import Record

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = ["Output", "age", "plain"]


def plain(value: Any) -> Any:
    """JSON values of a record or of a container of records."""
    if isinstance(value, Record):
        derived = {name: plain(getattr(value, name)) for name in value if isinstance(getattr(type(value), name, None), property)}
        return {**value.to_dict(), **derived}
    if isinstance(value, dict):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(one) for one in value]
    if isinstance(value, datetime):
        return value.isoformat()
    return value.total_seconds() if isinstance(value, timedelta) else value


def age(at: datetime | None, now: datetime) -> str:
    """How long ago, in the largest fitting unit."""
    if at is None:
        return "-"
    seconds = max(0, (now - at).total_seconds())
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= size:
            return f"{seconds / size:.0f}{unit} ago"
    return f"{seconds:.0f}s ago"


@define
class Output:
    """Where results go. ``as_json``: one JSON document per command, nothing else on standard output."""

    as_json: bool = False

    @property
    def fancy(self) -> bool:
        """Whether a person looks at a terminal."""
        return not self.as_json and sys.stdout.isatty()

    def record(self, value: Any) -> None:
        """Print the JSON of a value, with ``--json`` only."""
        if self.as_json:
            click.echo(json.dumps(plain(value), indent=2, ensure_ascii=False, default=str))

    def line(self, text: str, *, style: str = "") -> None:
        """Print a line for people."""
        if self.as_json:
            return
        click.secho(text, fg=style or None) if self.fancy else click.echo(text)

    def pairs(self, title: str, pairs: Mapping[str, Any]) -> None:
        """Print names and values below a title."""
        self.table(title, ("", ""), [(name, _cell(value)) for name, value in pairs.items()])

    def table(self, title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]], *, empty: str = "nothing yet") -> None:
        """Print rows; ``empty`` stands in for none."""
        if self.as_json:
            return
        cells = [[_cell(value) for value in row] for row in rows]
        if not cells:
            click.echo(f"{title}: {empty}" if title else empty)
        elif self.fancy:
            _rich_table(title, columns, cells)
        else:
            _plain_table(title, columns, cells)


def _cell(value: Any) -> str:
    if value is None or value == "":
        return "-"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    return str(value)


def _rich_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title or None, title_justify="left", title_style="bold", header_style="bold", show_header=any(columns))
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    Console().print(table)


def _plain_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    if title:
        click.echo(title)
    shown = [list(columns), *rows] if any(columns) else list(rows)
    widths = [max(len(row[i]) for row in shown) for i in range(len(columns))]
    for row in shown:
        click.echo("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
