"""``mlops status``: the project at a glance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from mlops_core.cli.alerts import standing
from mlops_core.cli.deployments import show_endpoints
from mlops_core.cli.options import Session, project_options
from mlops_core.cli.output import age
from mlops_core.cli.run import outcome

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mlops_core.drift.schedule import LastCheck
    from mlops_core.operations import LoopStatus
    from mlops_core.records import RunReport

__all__ = ["command"]


@click.command("status")
@click.argument("run_id", required=False)
@project_options
def command(session: Session, run_id: str | None) -> None:
    """The newest pipeline run (or RUN_ID), endpoints, open incidents, and whether a control loop runs."""
    from mlops_core.drift import DriftSchedule
    from mlops_core.operations import loop_status

    project = session.project
    report = project.pipeline().get_pipeline_status(run_id)
    endpoints = project.deployment.list()
    incidents = project.monitoring.incidents()
    loop = loop_status(project.stack)
    checks = list(DriftSchedule(project.stack).latest())
    session.out.record({"run": report, "endpoints": endpoints, "incidents": incidents, "drift": checks, "loop": loop})
    session.told_of_default()
    _show_run(session, report)
    show_endpoints(session, endpoints)
    rows = [(one.rule, one.model, one.environment, one.since, one.condition, standing(one)) for one in incidents]
    session.out.table("Open incidents", ("rule", "model", "environment", "since", "condition", "state"), rows, empty="none")
    _show_checks(session, checks)
    open_work = [one.open.deployment_id for one in endpoints if one.open is not None] + [one.rule for one in incidents]
    lives = [one.live for one in endpoints if one.live is not None]
    open_work += [one.deployment_id for one in lives if one.test is not None and one.test.ended is None]
    if project.stack.settings.drift.schedule is not None:
        open_work.append("drift.schedule")
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


def _show_checks(session: Session, checks: Sequence[LastCheck]) -> None:
    """The newest scheduled check of each model and environment; no table where none was made."""
    rows = [
        (one.model, one.environment, version, age(one.end, session.project.stack.clock.now()), _verdict(found))
        for one in checks
        for version, found in (one.versions or {"": {"reason": one.reason}}).items()
    ]
    if rows:
        session.out.table("Drift checks", ("model", "environment", "version", "until", "verdict"), rows)


def _verdict(found: Mapping[str, Any]) -> str:
    if "reason" in found:
        return f"not checked: {found['reason']}"
    said = f"drift in {', '.join(found['columns'])}" if found["drift_detected"] else "no drift"
    return f"{said} (p {found['p_value']:.2g}, level {found['threshold']:.2g}, {found['rows']:,} rows)"


def _show_loop(session: Session, loop: LoopStatus, open_work: list[str]) -> None:
    if loop.running:
        session.out.line(f"control loop: running on {loop.host} (pid {loop.pid})")
    elif open_work:
        waiting = ", ".join(open_work)
        session.out.line(f"control loop: none runs - start `mlops watch`; waiting for it: {waiting}", style="yellow", wrap=True)
    else:
        session.out.line("control loop: none runs, and nothing waits for one")
