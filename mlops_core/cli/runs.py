"""``mlops runs``: pipeline runs, and what trackers recorded."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from mlops_core.cli.group import DefaultGroup
from mlops_core.cli.options import Session, project_options
from mlops_core.cli.output import age

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlops_core.records import TrackedRun

__all__ = ["command"]

_SHOWN = 4


@click.group("runs", cls=DefaultGroup, default="pipeline")
def command() -> None:
    """Runs. Without a subcommand: the runs of the pipeline."""


@command.command("pipeline")
@project_options
def _pipeline(session: Session) -> None:
    """Runs of the pipeline, newest first."""
    reports = session.project.pipeline().runs()
    session.out.record(reports)
    now = session.project.stack.clock.now()
    rows = [
        (
            one.run_id,
            one.status.value,
            age(one.started, now),
            f"{sum(stage.status == 'succeeded' for stage in one.stages)} of {len(one.stages)}",
            one.error,
        )
        for one in reports
    ]
    session.out.table("Pipeline runs", ("run", "status", "started", "stages done", "error"), rows, empty="none yet - `mlops run`")


@command.command("list")
@click.option("--filter", "filter_string", default="", help='Such as "metrics.loss < 0.5 order by metrics.loss".')
@click.option("--experiment", help="One experiment. Default: all.")
@click.option("--limit", type=int, help="At most this many.")
@project_options
def _list(session: Session, filter_string: str, experiment: str | None, limit: int | None) -> None:
    """Tracked runs that match a filter."""
    _show_runs(session, session.project.tracker.search_runs(filter_string, experiment=experiment, limit=limit))


def _show_runs(session: Session, found: Sequence[TrackedRun]) -> None:
    session.out.record(found)
    now = session.project.stack.clock.now()
    rows = [
        (
            one.run_id,
            one.experiment,
            one.name,
            one.status.value,
            age(one.started, now),
            ", ".join(f"{name}={value:.4g}" for name, value in list(one.metrics.items())[:_SHOWN]),
        )
        for one in found
    ]
    session.out.table("Tracked runs", ("run", "experiment", "name", "status", "started", "metrics"), rows, empty="none found")


@command.command("show")
@click.argument("run_id")
@click.option("--experiment", help="The run's experiment, where several have a run of this id.")
@project_options
def _show(session: Session, run_id: str, experiment: str | None) -> None:
    """One tracked run: params, metrics, tags."""
    run = session.project.tracker.get_run(run_id, experiment=experiment)
    session.out.record(run)
    session.out.pairs(
        f"{run.experiment} / {run.name}: {run.status.value}",
        {
            "run": run.run_id,
            "started": run.started,
            "ended": run.ended,
            **{f"params.{name}": value for name, value in sorted(run.params.items())},
            **{f"metrics.{name}": value for name, value in sorted(run.metrics.items())},
            **{f"tags.{name}": value for name, value in sorted(run.tags.items())},
        },
    )


@command.command("compare")
@click.argument("run_ids", nargs=-1, required=True)
@click.option("--experiment", help="The runs' experiment, where several have runs of these ids.")
@project_options
def _compare(session: Session, run_ids: tuple[str, ...], experiment: str | None) -> None:
    """Params and metrics in which runs differ."""
    compared = session.project.tracker.compare_runs(run_ids, experiment=experiment)
    session.out.record(compared)
    rows: list[tuple[object, ...]] = [(f"params.{name}", *values) for name, values in compared.params.items()]
    rows += [(f"metrics.{name}", *values) for name, values in compared.metrics.items()]
    session.out.table("Differences", ("", *(run.name for run in compared.runs)), rows, empty="none")


@command.command("best")
@click.argument("metric")
@click.option("--minimize", is_flag=True, help="The lowest value is best. Default: the highest.")
@click.option("--experiment", help="One experiment. Default: all.")
@click.option("--filter", "filter_string", default="", help="Only runs that match.")
@project_options
def _best(session: Session, metric: str, minimize: bool, experiment: str | None, filter_string: str) -> None:  # noqa: FBT001  as click passes it
    """The run with the best last value of METRIC."""
    found = session.project.tracker.best_run(metric, maximize=not minimize, experiment=experiment, filter_string=filter_string)
    _show_runs(session, [] if found is None else [found])


@command.command("curves")
@click.argument("run_ids", nargs=-1, required=True)
@click.option("--output", type=click.Path(path_type=Path), required=True, help="The file to write: .png, .svg, or .html for a whole page.")
@click.option("--metric", "metrics", multiple=True, help="Only this metric; may be repeated. Default: all.")
@click.option("--experiment", help="The runs' experiment, where several have runs of these ids.")
@project_options
def _curves(session: Session, run_ids: tuple[str, ...], output: Path, metrics: tuple[str, ...], experiment: str | None) -> None:
    """Draw the metrics of runs by step."""
    file = session.project.tracker.plot_metrics(run_ids, output, metrics=metrics or None, experiment=experiment)
    session.out.record({"file": str(file)})
    session.out.line(f"written to {file}")
