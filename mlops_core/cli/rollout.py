"""A rollout in a terminal: its versions side by side, the step it is at, and how much evidence there is."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from attrs import frozen

from mlops_core.cli.dashboard import FIGURES, written
from mlops_core.cli.output import age, cell, one_line, style_of
from mlops_core.deployment.canary import thresholds
from mlops_core.records import Rollout, RolloutReport, VersionFigures

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import timedelta

    from rich.console import Console, ConsoleOptions, RenderableType, RenderResult

    from mlops_core.cli.options import Session

__all__ = ["RolloutView", "show"]

_BAR: Final = 20
_MOST: Final = 6.0  # powers of ten that are written out
_COLUMNS: Final = ("version", "role", "share", "requests", "errors", "error rate", "p50", "p95", "p99")
_EVIDENCE: Final = {"worse": "worse than the live version", "no_worse": "no worse than the live version", "within": "within its objectives"}


@frozen
class RolloutView:
    """What is drawn, for any width. ``note`` stands at the top, such as why it is old."""

    report: RolloutReport
    note: str = ""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw it."""
        from rich.table import Table
        from rich.text import Text

        one, status = self.report.deployment, self.report.deployment.status.value
        head = f"  {one.deployment_id}  {cell(self.report.at)} UTC"
        yield Text.assemble((one_line(one.model), "bold"), "  ", (status.upper(), f"bold {style_of(status)}"), head)
        for said, style in ((self.note, "red"), (one.reason, style_of(status))):
            if said:
                yield Text(one_line(said), style=style)
        grid = Table.grid(padding=(0, 2))
        for name, value in self.facts().items():
            grid.add_row(Text(name, style="dim"), Text(one_line(cell(value))))
        yield grid
        yield Text()
        yield _table(self.columns(), self.rows())
        yield from self._bars(ascii_only=options.ascii_only)

    def facts(self) -> dict[str, str]:
        """What stands above the versions: where the rollout is, and what it waits for."""
        one, now = self.report.deployment, self.report.at
        found = {"began": age(self.report.started, now)}
        if self.report.ended is not None:
            return {**found, "ended": age(self.report.ended, now)}
        if self.report.kind == "canary" and one.rollout is not None:
            return {**found, **_steps(one.rollout, self.report)}
        if one.test is not None:
            then = f"best by {one.test.metric}" if one.test.then == "best" else one.test.then
            return {**found, "ends": f"{_left(one.test.ends - now)}, then {then}"}
        return found

    def columns(self) -> tuple[str, ...]:
        """Of the table of versions; a shadow's has the copies that were dropped."""
        return (*_COLUMNS, "dropped") if self.report.kind == "shadow" else _COLUMNS

    def rows(self) -> list[tuple[Any, ...]]:
        """One per version."""
        return [_row(one) + ((f"{one.dropped:,}",) if self.report.kind == "shadow" else ()) for one in self.report.figures]

    def evidence(self) -> Iterator[tuple[str, float, float]]:
        """What each test of a canary is about, and the natural logarithms of its e-value and of the one that decides."""
        plan = self.report.deployment.rollout
        if self.report.kind == "canary" and plan is not None:
            for name, needed in thresholds(plan).items():
                about, _, metric = name.removeprefix("evidence.").partition(".")
                told = f"{_EVIDENCE[about]} by {metric}" if metric and about in _EVIDENCE else _EVIDENCE.get(about, f"{about} {metric}")
                yield told, plan.metrics.get(name, 0.0), needed

    def _bars(self, *, ascii_only: bool) -> Iterator[RenderableType]:
        from rich.table import Table
        from rich.text import Text

        found = list(self.evidence())
        if not found:
            return
        yield Text("\nEvidence", style="bold")
        grid = Table.grid(padding=(0, 2))
        for about, value, needed in found:
            filled = round(min(max(value / needed, 0.0), 1.0) * _BAR)
            bar = ("#" if ascii_only else "█") * filled + ("." if ascii_only else "░") * (_BAR - filled)
            style = "cyan" if value < needed else "green" if about in {_EVIDENCE["no_worse"], _EVIDENCE["within"]} else "red"
            grid.add_row(Text(about), Text(bar, style=style), Text(f"{_power(value)} of {_power(needed)}"))
        yield grid


def show(session: Session, view: RolloutView) -> None:
    """Print it: drawn on a terminal, else as plain lines."""
    out = session.out
    out.record(view.report)
    if out.fancy:
        out.console.print(view)
        return
    one = view.report.deployment
    out.pairs(f"{one.deployment_id}: {one.status.value}", {**view.facts(), "reason": one.reason})
    out.table("Versions", view.columns(), view.rows())
    if rows := [(about, _power(value), _power(needed)) for about, value, needed in view.evidence()]:
        out.table("Evidence", ("", "e-value", "decides at"), rows)


def _table(columns: tuple[str, ...], rows: list[tuple[Any, ...]]) -> RenderableType:
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2))
    for name in columns:
        table.add_column(header=Text(name, style="dim"), overflow="fold")
    table.show_header = True
    for row in rows:
        table.add_row(*(Text(one_line(cell(value))) for value in row))
    return table


def _row(one: VersionFigures) -> tuple[Any, ...]:
    figures = [written(getattr(one, name), factor, form) for label, (name, factor, form) in FIGURES.items() if label in _COLUMNS]
    return (one.version, one.role, f"{one.weight:.0%}", f"{one.requests:,}", f"{one.errors:,}", *figures)


def _steps(plan: Rollout, report: RolloutReport) -> Mapping[str, str]:
    now, at = report.at, (plan.step_started or report.started) + plan.step_time
    shares = "  ".join(f"[{share:.0%}]" if number == plan.step else f"{share:.0%}" for number, share in enumerate(plan.steps))
    seen = f"{min(report.step_requests, plan.min_requests)} of {plan.min_requests} requests"
    return {
        "steps": shares,
        "this step": f"{seen}, {_left(at - now)}",
        "deadline": f"{_left(plan.ends - now)}, then {plan.at_deadline}" if plan.ends else "-",
        "verdict": plan.verdict or "-",
    }


def _left(span: timedelta) -> str:
    """A time that is left, in the two largest units."""
    seconds = math.ceil(span.total_seconds())
    if seconds <= 0:
        return "its time is up"
    for unit, size, smaller, part in (("d", 86400, "h", 3600), ("h", 3600, "m", 60), ("m", 60, "s", 1)):
        if seconds >= size:
            return f"{seconds // size}{unit} {seconds % size // part}{smaller} left"
    return f"{seconds}s left"


def _power(logarithm: float) -> str:
    """The number of which this is the natural logarithm: an e-value may be larger than any float."""
    tens = logarithm / math.log(10)
    return f"{math.exp(logarithm):.3g}" if abs(tens) < _MOST else f"1e{tens:.0f}"
