"""``mlops run``: the pipeline, with its progress."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING

import click
from attrs import define, field

from mlops_core.cli.options import Session, project_options
from mlops_core.cli.output import Output, style_of
from mlops_core.records import RunReport, RunStarted, StageFailed, StageFinished, StageProgress, StageStarted

if TYPE_CHECKING:
    from mlops_core.records import Record, StageResult

__all__ = ["command", "outcome"]

_SHOWN = 4


@click.command("run")
@click.argument("stages", nargs=-1)
@click.option("--resume", is_flag=True, help="Go on with the newest run that did not end, or with --run-id.")
@click.option("--run-id", help="The run's id. Default: a new one.")
@project_options
def command(session: Session, stages: tuple[str, ...], resume: bool, run_id: str | None) -> int:  # noqa: FBT001  click passes flags so
    """Run the pipeline's STAGES, by default all of them. Exits 1 if a stage failed or is held."""
    with session.out.busy("starting") as say:
        pipeline = session.project.pipeline()
        teller = _Teller(session.out, say, pipeline.get_pipeline_status)
        known = run_id or (None if resume else f"run-{uuid.uuid4().hex[:12]}")
        report = pipeline.run_pipeline(list(stages) or None, run_id=known, resume=resume, listen=teller)
    teller.end(report)
    session.out.record(report)
    return 0 if report.status == "succeeded" else 1


def outcome(result: StageResult) -> str:
    """What a stage has to tell: its error, its summary, or the first of its metrics."""
    figures = [f"{name}={value:.4g}" for name, value in result.metrics.items() if not name.startswith("baseline_")]
    return result.error or result.summary or ", ".join(figures[:_SHOWN])


@define
class _Teller:
    """Tells a person what happens to the stages of a run, as it happens. That the person has gone away ends no run."""

    out: Output
    say: Callable[[str], None]
    look_up: Callable[[str], RunReport]
    _told: set[str] = field(factory=set, init=False)

    def __call__(self, event: Record) -> None:
        with contextlib.suppress(BrokenPipeError):
            self._tell(event)

    def _tell(self, event: Record) -> None:
        match event:
            case RunStarted(resumed=True):
                for result in self.look_up(event.run_id).stages:
                    if result.status == "succeeded":
                        self._show(result)
            case StageStarted():
                self.say(f"{event.stage} is running")
            case StageProgress(total=None):
                self.say(f"{event.stage} is running: {event.done:g} {event.note}")
            case StageProgress():
                self.say(f"{event.stage} is running: {event.done:g} of {event.total:g} {event.note}")
            case StageFailed(final=False):
                self.out.line(_line(event.result, f"attempt {event.result.attempt}: {event.result.error}"), style="yellow", wrap=True)
            case StageFinished() | StageFailed():
                self._show(event.result)

    def _show(self, result: StageResult) -> None:
        self._told.add(result.stage)
        self.out.line(_line(result, outcome(result)), style=style_of(result.status.value), wrap=True)

    def end(self, report: RunReport) -> None:
        """The stages that no event told of (the run had ended before), and how the run stands."""
        for result in report.stages:
            if result.stage not in self._told and result.status != "pending":
                self._show(result)
        status = report.status.value
        self.out.line(f"run {report.run_id}: {status}" + (f" - {report.error}" if report.error else ""), style=style_of(status), wrap=True)


def _line(result: StageResult, tail: str) -> str:
    return f"  {result.stage:<20} {result.status.value:<10} {result.seconds:6.1f} s  {tail}".rstrip()
