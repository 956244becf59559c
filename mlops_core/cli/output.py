"""What a command prints: tables for a terminal, aligned plain lines in a pipe, JSON where asked for."""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import click
from attrs import define, field

from mlops_core.records import Record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from rich.console import Console

__all__ = ["Output", "age", "cell", "one_line", "plain", "style_of"]

_STYLES: Final = {
    **dict.fromkeys(("succeeded", "live", "healthy", "finished"), "green"),
    **dict.fromkeys(("failed", "unhealthy", "rollback_failed", "drift", "firing"), "red"),
    **dict.fromkeys(("held", "paused", "degraded", "interrupted", "canary", "rolled_back"), "yellow"),
}


_HARMLESS: Final = {code: "\ufffd" for code in (*range(32), *range(127, 160)) if chr(code) not in "\t\n"}
"""What a terminal obeys may stand in a name or in metadata, which come from elsewhere."""
_ON_ONE_LINE: Final = {**_HARMLESS, ord("\t"): " ", ord("\n"): " "}


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


def one_line(text: str) -> str:
    """A text that a terminal shows and does not obey, without breaks."""
    return text.translate(_ON_ONE_LINE)


def style_of(word: str) -> str:
    """The colour of a word of state; none for any other text."""
    return _STYLES.get(word, "")


@define
class Output:
    """Where results go. ``as_json``: one JSON document per command, nothing else on standard output."""

    as_json: bool = False
    _shown_on: Any = field(default=None, init=False, repr=False)

    @property
    def fancy(self) -> bool:
        """Whether a person looks at a terminal."""
        return not self.as_json and sys.stdout.isatty()

    def record(self, value: Any) -> None:
        """Print the JSON of a value, with ``--json`` only."""
        if self.as_json:
            click.echo(json.dumps(plain(value), indent=2, ensure_ascii=False, default=str))

    def line(self, text: str, *, style: str = "", wrap: bool = False) -> None:
        """Print a line for people; ``wrap``: a terminal breaks it between words."""
        if self.as_json:
            return
        text = text.translate(_HARMLESS)
        if not self.fancy:
            click.echo(text)
            return
        from rich.text import Text

        self.console.print(Text(text, style=style), soft_wrap=not wrap)

    @contextmanager
    def busy(self, text: str) -> Iterator[Callable[[str], None]]:
        """Show in a terminal that something goes on; call what is given to say what. Lines printed meanwhile stand above."""
        if not self.fancy:
            yield lambda _: None
            return
        from rich.text import Text

        with self.console.status(Text(text)) as status:
            yield lambda said: status.update(Text(said))

    def pairs(self, title: str, pairs: Mapping[str, Any]) -> None:
        """Print names and values below a title."""
        self.table(title, ("", ""), [(name, cell(value)) for name, value in pairs.items()])

    def table(self, title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]], *, empty: str = "nothing yet") -> None:
        """Print rows; ``empty`` stands in for none."""
        if self.as_json:
            return
        cells = [[one_line(cell(value)) for value in row] for row in rows]
        if not cells:
            click.echo(f"{title}: {empty}" if title else empty)
        elif self.fancy:
            self._draw(title, columns, cells)
        else:
            _plain_table(title, columns, cells)

    def _draw(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        from rich.table import Table
        from rich.text import Text

        if title:
            self.console.print(Text(title, style="bold"), soft_wrap=True)
        table = Table(header_style="bold", show_header=any(columns))
        for column in columns:
            table.add_column(Text(column), overflow="fold")
        for row in rows:
            table.add_row(*(Text(cell, style=style_of(cell)) for cell in row))
        self.console.print(table)

    @property
    def console(self) -> Console:
        """The terminal, for what is drawn on it whole."""
        if self._shown_on is None:
            from rich.console import Console

            self._shown_on = Console(highlight=False)
        console: Console = self._shown_on
        return console


def cell(value: Any) -> str:
    """The text of a value in a table: four digits of a float, seconds of a time, ``-`` for nothing."""
    if value is None or value == "":
        return "-"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(cell, value))}]"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    return str(value)


def _plain_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    if title:
        click.echo(title)
    shown = [list(columns), *rows] if any(columns) else list(rows)
    widths = [max(len(row[i]) for row in shown) for i in range(len(columns))]
    for row in shown:
        click.echo("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
