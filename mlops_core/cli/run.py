"""``mlops run``: the pipeline, with its progress."""

from __future__ import annotations

import threading
import uuid
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from mlops_core.cli.options import Session, project_options
from mlops_core.exceptions import MLOpsError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlops_core.mlops_pipeline import MLOpsPipeline
    from mlops_core.records import RunReport, StageResult

__all__ = ["command"]

_POLL = 0.25
_SHOWN = 5
_STYLES = {"succeeded": "green", "failed": "red", "held": "yellow"}


@click.command("run")
@click.argument("stages", nargs=-1)
@click.option("--resume", is_flag=True, help="Go on with the newest run that did not end, or with --run-id.")
@click.option("--run-id", help="The run's id. Default: a new one.")
@project_options
def command(session: Session, stages: tuple[str, ...], resume: bool, run_id: str | None) -> int:  # noqa: FBT001  click passes flags so
    """Run the pipeline's STAGES, by default all of them. Exits 1 if a stage failed or is held."""
    pipeline = session.project.pipeline()
    known = run_id or (None if resume else f"run-{uuid.uuid4().hex[:12]}")
    with _progress(session, pipeline, known) as shown:
        report = pipeline.run_pipeline(list(stages) or None, run_id=known, resume=resume)
    session.out.record(report)
    for result in report.stages:
        if result.stage not in shown:
            session.out.line(_line(result), style=_STYLES.get(result.status.value, ""))
    session.out.line(f"run {report.run_id}: {report.status.value}" + (f" - {report.error}" if report.error else ""))
    return 0 if report.status == "succeeded" else 1


def _line(result: StageResult) -> str:
    figures = [f"{name}={value:.4g}" for name, value in result.metrics.items() if not name.startswith("baseline_")]
    tail = result.error or result.summary or ", ".join(figures[:_SHOWN])
    return f"  {result.stage:<20} {result.status.value:<10} {result.seconds:6.1f} s  {tail or ''}".rstrip()


@contextmanager
def _progress(session: Session, pipeline: MLOpsPipeline, run_id: str | None) -> Iterator[set[str]]:
    """Show stages as they end, read from the journal as another process would; answers those shown."""
    shown: set[str] = set()
    if run_id is None or session.out.as_json:
        yield shown
        return
    stop = threading.Event()
    watcher = threading.Thread(target=_follow, args=(session, pipeline, run_id, shown, stop), daemon=True)
    watcher.start()
    try:
        yield shown
    finally:
        stop.set()
        watcher.join()


def _follow(session: Session, pipeline: MLOpsPipeline, run_id: str, shown: set[str], stop: threading.Event) -> None:
    from rich.console import Console

    console = Console()
    with console.status("starting") as status:
        while not stop.wait(_POLL):
            try:
                report = pipeline.get_pipeline_status(run_id)
            except MLOpsError:  # the run has no entry yet
                continue
            _show_ended(report, shown, session)
            running = next((one.stage for one in report.stages if one.status == "running"), None)
            status.update(f"{running} is running" if running else "working")


def _show_ended(report: RunReport, shown: set[str], session: Session) -> None:
    for result in report.stages:
        if result.status in {"succeeded", "failed", "skipped", "held"} and result.stage not in shown:
            shown.add(result.stage)
            session.out.line(_line(result), style=_STYLES.get(result.status.value, ""))
