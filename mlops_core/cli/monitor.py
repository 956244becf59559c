"""``mlops monitor``: metrics, health and incidents of a model, and the group of what else is done with measurements."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

import click
from attrs import evolve

from mlops_core.cli import monitor_rules, outcomes, purge
from mlops_core.cli.alerts import standing
from mlops_core.cli.dashboard import FIGURES, QUALITY, Dashboard, steps_for, written
from mlops_core.cli.group import DefaultGroup
from mlops_core.cli.options import DURATION, Session, project_options
from mlops_core.cli.output import cell
from mlops_core.exceptions import MLOpsError

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta

    from mlops_core.monitoring import History

__all__ = ["command"]

_PAUSE: Final = 2.0
_STEPS: Final = 60


@click.group("monitor", cls=DefaultGroup, default="show", any_word=True)
def command() -> None:
    """Metrics, health and incidents of a model: `mlops monitor MODEL` is `mlops monitor show MODEL`.

    A model that is called like a command below is shown with `mlops monitor show`.
    """


command.add_command(outcomes.command)
command.add_command(purge.command)
command.add_command(monitor_rules.command)


@command.command("show")
@click.argument("model")
@click.option("--window", type=DURATION, default="1h", show_default=True, help="How far back, such as 15m or 30d.")
@click.option("--environment", help="One environment. Default: all.")
@click.option("--version", "model_version", help="One version. Default: all.")
@click.option("--live", is_flag=True, help="Refresh every two seconds until interrupted.")
@project_options
def _show(
    session: Session,
    model: str,
    window: timedelta,
    environment: str | None,
    model_version: str | None,
    live: bool,  # noqa: FBT001  click passes flags so
) -> None:
    """Throughput, latency, errors, recorded figures and open incidents of MODEL."""

    def look(steps: int) -> Dashboard:
        monitoring = session.project.monitoring
        history = monitoring.history(model, window, steps, environment=environment, version=model_version)
        incidents = [one for one in monitoring.incidents(model) if environment in (None, one.environment)]
        return Dashboard(history, incidents, session.project.stack.clock.now())

    if live and session.out.fancy:
        _stay(session, look)
        return
    while True:
        _print(session, look)
        if not live:
            return
        time.sleep(_PAUSE)


def _stay(session: Session, look: Callable[[int], Dashboard]) -> None:
    """Draw on the alternate screen, which a terminal gives back as it was; a read that fails leaves the picture there, and says why."""
    from rich.live import Live

    console = session.out.console
    seen = look(steps_for(console.width))
    with Live(seen, console=console, screen=True, auto_refresh=False) as shown:
        while True:
            shown.update(seen, refresh=True)
            time.sleep(_PAUSE)
            try:
                seen = look(steps_for(console.width))
            except MLOpsError as error:
                seen = evolve(seen, note=f"no newer figures: {error.message}")


def _print(session: Session, look: Callable[[int], Dashboard]) -> None:
    out = session.out
    if out.fancy:
        out.console.print(look(steps_for(out.console.width)))
        return
    seen = look(_STEPS)
    history = seen.history
    out.record({"metrics": history.metrics, "health": history.health, "incidents": seen.incidents, "history": history})
    out.pairs(f"{history.metrics.model}: {history.health.status.value}", _figures(history))
    if rows := seen.versions():
        out.table("Versions", ("version", "predictions", *FIGURES), rows)
    if rows := seen.quality():
        out.table("Live quality", QUALITY, rows)
    out.table(
        "Open incidents",
        ("rule", "environment", "since", "condition", "measured", "state"),
        [(one.rule, one.environment, one.since, one.condition, one.value, standing(one)) for one in seen.incidents],
        empty="none",
    )


def _figures(history: History) -> dict[str, Any]:
    metrics = history.metrics
    return {
        "window": f"{metrics.start:%Y-%m-%d %H:%M:%S} to {metrics.end:%H:%M:%S}" if metrics.start and metrics.end else None,
        "predictions": metrics.total_predictions,
        **{
            f"latency {label}" if "latency" in name else label: written(getattr(metrics, name), factor, form)
            for label, (name, factor, form) in FIGURES.items()
        },
        **{f"errors: {name}": count for name, count in metrics.errors_by_type.items()},
        **{name: f"{cell(one.last)} (recorded {cell(one.at)})" for name, one in history.values.items()},
        **{f"reason {number}": reason for number, reason in enumerate(history.health.reasons, 1)},
    }
