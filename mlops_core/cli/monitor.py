"""``mlops monitor``: metrics, health and incidents of a model, and the group of what else is done with measurements."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from mlops_core.cli import outcomes, purge
from mlops_core.cli.group import DefaultGroup
from mlops_core.cli.options import DURATION, Session, project_options

if TYPE_CHECKING:
    from datetime import timedelta

    from mlops_core.monitoring.metrics import Metrics
    from mlops_core.records import HealthReport

__all__ = ["command"]


@click.group("monitor", cls=DefaultGroup, default="show", any_word=True)
def command() -> None:
    """Metrics, health and incidents of a model: `mlops monitor MODEL` is `mlops monitor show MODEL`.

    A model that is called like a command below is shown with `mlops monitor show`.
    """


command.add_command(outcomes.command)
command.add_command(purge.command)


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
    """Throughput, latency, errors, drift and alerts of MODEL."""
    while True:
        monitoring = session.project.monitoring
        metrics = monitoring.get_metrics(model, window, environment=environment, version=model_version)
        health = monitoring.check_health(model, window, environment=environment, version=model_version)
        if live and session.out.fancy:
            click.clear()
        _print(session, model, metrics, health)
        if not live:
            return
        time.sleep(2)


def _print(session: Session, model: str, metrics: Metrics, health: HealthReport) -> None:
    incidents = session.project.monitoring.incidents(model)
    session.out.record({"metrics": metrics, "health": health, "incidents": incidents})
    session.out.pairs(f"{model}: {health.status.value}", _figures(metrics, health))
    session.out.table(
        "Open incidents",
        ("rule", "environment", "since", "condition", "measured"),
        [(one.rule, one.environment, one.since, one.condition, one.value) for one in incidents],
        empty="none",
    )


def _figures(metrics: Metrics, health: HealthReport) -> dict[str, Any]:
    return {
        "window": f"{metrics.start:%Y-%m-%d %H:%M:%S} to {metrics.end:%H:%M:%S}" if metrics.start and metrics.end else None,
        "predictions": metrics.total_predictions,
        "throughput": _with(metrics.throughput, "{:.1f} per second"),
        "error rate": _with(metrics.error_rate, "{:.2%}"),
        "latency p50 / p95 / p99": " / ".join(
            _with(value and value * 1000, "{:.1f} ms") or "-" for value in (metrics.p50_latency, metrics.p95_latency, metrics.p99_latency)
        ),
        **{f"errors: {name}": count for name, count in metrics.errors_by_type.items()},
        **dict(metrics.values),
        **{f"reason {number}": reason for number, reason in enumerate(health.reasons, 1)},
    }


def _with(value: float | None, form: str) -> str | None:
    return None if value is None else form.format(value)
