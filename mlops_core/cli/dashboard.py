"""A model in a terminal: figures as sparklines over the window, and what there is to say beside them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from attrs import frozen

from mlops_core.cli.alerts import standing
from mlops_core.cli.output import age, cell, one_line, style_of
from mlops_core.monitoring import History, Incident

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console, ConsoleOptions, RenderableType, RenderResult

    from mlops_core.monitoring.history import Point

__all__ = ["FIGURES", "QUALITY", "Dashboard", "sparkline", "steps_for", "written"]

FIGURES: Final = {
    "throughput": ("throughput", 1.0, "{:.1f}/s"),
    "error rate": ("error_rate", 1.0, "{:.2%}"),
    "p50": ("p50_latency", 1000.0, "{:.1f} ms"),
    "p95": ("p95_latency", 1000.0, "{:.1f} ms"),
    "p99": ("p99_latency", 1000.0, "{:.1f} ms"),
}
"""By label: the field of ``Metrics`` and ``Point``, what it is multiplied by, and how it is written."""

QUALITY: Final = ("figure", "value", "95 % interval", "labelled")

_BARS: Final = "▁▂▃▄▅▆▇█"
_ASCII: Final = "_.-=+*#@"
_BESIDE: Final = 40  # columns of a line that are no sparkline: its label, figure and peak
_LEAST: Final = 10
_DAY: Final = timedelta(days=1)
_MINUTES: Final = timedelta(minutes=10)
_MOST: Final = 200
_LISTED: Final = 8


def steps_for(width: int) -> int:
    """How many steps of the window fit on a terminal of this width."""
    return min(max(_LEAST, width - _BESIDE), _MOST)


def sparkline(values: Sequence[float | None], bars: str = _BARS) -> str:
    """One character per value, from nothing to the largest; a blank for None, and whatever is above zero stands above the lowest."""
    top = max((value for value in values if value is not None), default=0.0)
    drawn = ""
    for value in values:
        level = 0 if not value else max(1, round(value / top * (len(bars) - 1)))
        drawn += " " if value is None else bars[level]
    return drawn


@frozen
class Dashboard:
    """What is drawn, for any width. ``note`` stands at the top, such as why it is old."""

    history: History
    incidents: Sequence[Incident]
    now: datetime
    note: str = ""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw it, the most urgent first: a low terminal shows the upper part."""
        yield from self._head()
        yield self._lines(options.max_width, ascii_only=options.ascii_only)
        yield from self._section("Open incidents", ("rule", "environment", "since", "condition", "state"), self._open(), empty="none")
        yield from self._section("Versions", ("version", "predictions", *FIGURES), self.versions())
        yield from self._section("Errors", ("type", "count", "share"), self._errors())
        yield from self._section("Live quality", QUALITY, self.quality())
        yield from self._section("Recorded figures", ("name", "last", "recorded"), self._values())

    def _head(self) -> Iterator[RenderableType]:
        from rich.text import Text

        metrics, health = self.history.metrics, self.history.health
        where = f"{metrics.environment or 'all environments'}, {f'version {metrics.version}' if metrics.version else 'all versions'}"
        status = health.status.value
        yield Text.assemble(
            (one_line(metrics.model), "bold"),
            "  ",
            (status.upper(), f"bold {style_of(status)}"),
            f"  {where}  {cell(self.now)} UTC  {metrics.total_predictions:,} predictions, {metrics.total_errors:,} errors",
        )
        for said, style in ((self.note, "red"), *((reason, style_of(status)) for reason in health.reasons)):
            if said:
                yield Text(one_line(said), style=style)

    def _lines(self, width: int, *, ascii_only: bool) -> RenderableType:
        from rich.table import Table
        from rich.text import Text

        points = _fitted(self.history.points, steps_for(width))
        grid = Table.grid(padding=(0, 1))
        grid.add_column(no_wrap=True)
        grid.add_column(no_wrap=True)
        grid.add_column(justify="right", no_wrap=True)
        grid.add_column(justify="right", style="dim", no_wrap=True)
        for label, (name, factor, form) in FIGURES.items():
            values = [getattr(point, name) for point in points]
            peak = max((value for value in values if value is not None), default=None)
            style = "red" if name == "error_rate" else "cyan"
            drawn = Text(sparkline(values, _ASCII if ascii_only else _BARS), style=style)
            grid.add_row(
                f"latency {label}" if "latency" in name else label,
                drawn,
                written(getattr(self.history.metrics, name), factor, form),
                f"peak {written(peak, factor, form)}",
            )
        grid.add_row("", Text(_axis(points[0].start, points[-1].end, len(points)), style="dim"))
        return grid

    def _open(self) -> list[tuple[Any, ...]]:
        return [(one.rule, one.environment, age(one.since, self.now), one.detail or one.condition, standing(one)) for one in self.incidents]

    def versions(self) -> list[tuple[Any, ...]]:
        """Rows of the versions' figures; none where there is but one, since it is what stands above."""
        if len(self.history.versions) == 1:
            return []
        return [
            (name, f"{one.total_predictions:,}", *(written(getattr(one, key), factor, form) for key, factor, form in FIGURES.values()))
            for name, one in self.history.versions.items()
        ]

    def quality(self) -> list[tuple[Any, ...]]:
        """Rows of what is known of the predictions since, with the interval of each."""
        found = self.history.metrics.live.items()
        return [(name, one.value, f"{one.low:.4g} to {one.high:.4g}", f"{one.n:,}") for name, one in found]

    def _errors(self) -> list[tuple[Any, ...]]:
        errors = self.history.metrics.errors_by_type
        rows: list[tuple[Any, ...]] = [(name, f"{count:,}", f"{count / sum(errors.values()):.0%}") for name, count in errors.items()]
        return [*rows[:_LISTED], *_rest(rows)]

    def _values(self) -> list[tuple[Any, ...]]:
        rows: list[tuple[Any, ...]] = [(name, one.last, age(one.at, self.now)) for name, one in self.history.values.items()]
        return [*rows[:_LISTED], *_rest(rows)]

    def _section(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], *, empty: str = "") -> Iterator[RenderableType]:
        from rich.table import Table
        from rich.text import Text

        if not rows:
            if empty:
                yield Text.assemble("\n", (f"{title}: ", "bold"), empty)
            return
        yield Text(f"\n{title}", style="bold")
        table = Table.grid(padding=(0, 2))
        for name in columns:
            table.add_column(header=Text(name, style="dim"), overflow="fold")
        table.show_header = True
        for row in rows:
            cells = [one_line(cell(value)) for value in row]
            table.add_row(*(Text(text, style=style_of(text.partition(",")[0])) for text in cells))
        yield table


def written(value: float | None, factor: float, form: str) -> str:
    """A figure in its unit, ``-`` for none."""
    return "-" if value is None else form.format(value * factor)


def _axis(start: datetime, end: datetime, width: int) -> str:
    """Both ends of the lines above, as exact as their distance asks for."""
    form = "%m-%d %H:%M" if end - start > _DAY else "%H:%M" if end - start > _MINUTES else "%H:%M:%S"
    first = start.strftime(form)
    return first + end.strftime(form).rjust(max(len(first) + 1, width - len(first)))


def _rest(rows: Sequence[object]) -> list[tuple[Any, ...]]:
    return [(f"and {len(rows) - _LISTED} more", "", "")] if len(rows) > _LISTED else []


def _fitted(points: Sequence[Point], most: int) -> Sequence[Point]:
    """The last ones that fit, where the terminal has become narrower since they were read."""
    return points[-most:]
