"""``mlops status``: the project at a glance."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from mlops_core.cli.deployments import show_endpoints
from mlops_core.cli.options import Session, project_options
from mlops_core.cli.output import age
from mlops_core.cli.run import outcome

if TYPE_CHECKING:
    from mlops_core.operations import LoopStatus
    from mlops_core.records import RunReport

__all__ = ["command"]


@click.command("status")
@click.argument("run_id", required=False)
@project_options
def command(session: Session, run_id: str | None) -> None:
    """The newest pipeline run (or RUN_ID), endpoints, open incidents, and whether a control loop runs."""
    from mlops_core.operations import loop_status

    project = session.project
    report = project.pipeline().get_pipeline_status(run_id)
    endpoints = project.deployment.list()
    incidents = project.monitoring.incidents()
    loop = loop_status(project.stack)
    session.out.record({"run": report, "endpoints": endpoints, "incidents": incidents, "loop": loop})
    session.told_of_default()
    _show_run(session, report)
    show_endpoints(session, endpoints)
    rows = [(one.rule, one.model, one.environment, one.since, one.condition) for one in incidents]
    session.out.table("Open incidents", ("rule", "model", "environment", "since", "condition"), rows, empty="none")
    open_work = [one.open.deployment_id for one in endpoints if one.open is not None] + [one.rule for one in incidents]
    _show_loop(session, loop, open_work)


def _show_run(session: Session, report: RunReport) -> None:
    rows = [(one.stage, one.status.value, f"{one.seconds:.1f} s", outcome(one)) for one in report.stages]
    since = age(report.started, session.project.stack.clock.now())
    stands = f": {report.status.value} ({report.run_id}, {since})" if report.run_id else ""
    session.out.table(
        f"Pipeline {report.pipeline}{stands}",
        ("stage", "status", "took", "result"),
        rows,
        empty="no run yet - `mlops run`",
    )


def _show_loop(session: Session, loop: LoopStatus, open_work: list[str]) -> None:
    if loop.running:
        session.out.line(f"control loop: running on {loop.host} (pid {loop.pid})")
    elif open_work:
        waiting = ", ".join(open_work)
        session.out.line(f"control loop: none runs - start `mlops watch`; waiting for it: {waiting}", style="yellow", wrap=True)
    else:
        session.out.line("control loop: none runs, and nothing waits for one")
