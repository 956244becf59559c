"""``mlops canary``: rollouts in steps."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

import click
from attrs import evolve

from mlops_core.cli.deployments import show_deployment
from mlops_core.cli.options import DURATION, SHARE, Session, patience, project_options
from mlops_core.cli.rollout import RolloutView, show
from mlops_core.exceptions import ConfigError, MLOpsError

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta

    from mlops_core.config.settings import CanarySettings
    from mlops_core.records import Deployment

__all__ = ["command"]

_PAUSE: Final = 2.0


@click.group("canary")
def command() -> None:
    """Give a version a growing share of the requests while it keeps its objectives."""


@command.command("start")
@click.argument("model")
@click.argument("version")
@click.option("--to", "environment", required=True, help="The environment, such as production.")
@click.option("--steps", default="5%,25%,100%", show_default=True, help="Shares of the requests; the last is 100%.")
@click.option("--step-time", type=DURATION, default="2m", show_default=True, help="How long a step lasts at least.")
@click.option("--min-requests", type=click.IntRange(1), default=100, show_default=True, help="Requests that a step must have seen.")
@click.option("--max-error-rate", type=SHARE, help="The share of errors that it must keep to, such as 1%.")
@click.option(
    "--slo", "bounds", multiple=True, help="One more objective: METRIC=BOUND, repeated, such as --slo p95_latency=0.3 in seconds."
)
@click.option("--wait", is_flag=True, help="Stay until it is live, rolled back or held; else `mlops watch` advances it.")
@patience
@project_options
def _start(
    session: Session,
    model: str,
    version: str,
    environment: str,
    wait: bool,  # noqa: FBT001  click passes flags so
    timeout: timedelta,
    **objectives: Any,
) -> None:
    """Begin a canary of VERSION of MODEL."""
    plan = _plan(**objectives)
    deployment, longest = session.project.deployment, timeout.total_seconds()
    if wait and session.out.fancy:
        from rich.live import Live

        def look(one: Deployment) -> None:
            shown.update(RolloutView(deployment.compare(one.deployment_id)), refresh=True)

        with Live(console=session.out.console, auto_refresh=False) as shown:
            done = deployment.start_canary(model, version, environment, canary=plan, wait=True, told=look, timeout=longest)
    else:
        done = deployment.start_canary(model, version, environment, canary=plan, wait=wait, timeout=longest)
    show_deployment(session, done)


def _plan(steps: str, step_time: timedelta, min_requests: int, max_error_rate: float | None, bounds: tuple[str, ...]) -> CanarySettings:
    from mlops_core.config.settings import CanarySettings

    try:
        shares = tuple(SHARE.convert(one.strip(), None, None) for one in steps.split(","))
    except click.BadParameter:
        raise ConfigError(f"canary: --steps {steps!r} are not shares - write 5%,25%,100%") from None
    return CanarySettings(steps=shares, step_time=step_time, min_requests=min_requests, slo=_slo(max_error_rate, bounds))


def _slo(max_error_rate: float | None, bounds: tuple[str, ...]) -> dict[str, float]:
    from mlops_core.deployment.canary import RATES

    slo = {} if max_error_rate is None else {"error_rate": max_error_rate}
    for text in bounds:
        metric, _, bound = text.partition("=")
        if metric in slo:
            raise ConfigError(f"canary: {metric} has two objectives - give it one")
        try:
            slo[metric] = SHARE.convert(bound, None, None) if metric in RATES else float(bound)
        except (ValueError, click.BadParameter):
            raise ConfigError(f"canary: --slo {text!r} is not METRIC=BOUND - write p95_latency=0.3") from None
    return slo


@command.command("status")
@click.argument("deployment")
@click.option("--to", "environment", help="The environment, where DEPLOYMENT is the name of a model.")
@click.option("--live", is_flag=True, help="Refresh every two seconds until it is over, or interrupted.")
@project_options
def _status(
    session: Session,
    deployment: str,
    environment: str | None,
    live: bool,  # noqa: FBT001  click passes flags so
) -> None:
    """How far the rollout DEPLOYMENT (an id, or a model with --to) is: a canary, a shadow or an A/B test."""
    if ("/" in deployment) == (environment is not None):
        raise click.UsageError("give the id of a deployment, or a model and --to ENVIRONMENT")
    where = {"deployment_id": deployment} if environment is None else {"model_id": deployment, "environment": environment}

    def look() -> RolloutView:
        return RolloutView(session.project.deployment.compare(**where))

    if live and session.out.fancy:
        show(session, _stay(session, look))
        return
    show(session, seen := look())
    while live and seen.report.ended is None:
        time.sleep(_PAUSE)
        show(session, seen := look())


def _stay(session: Session, look: Callable[[], RolloutView]) -> RolloutView:
    """Draw on the alternate screen until it is over; a read that fails leaves the picture there, and says why."""
    from rich.live import Live

    seen = look()
    with Live(seen, console=session.out.console, screen=True, auto_refresh=False) as shown:
        while seen.report.ended is None:
            shown.update(seen, refresh=True)
            time.sleep(_PAUSE)
            try:
                seen = look()
            except MLOpsError as error:
                seen = evolve(seen, note=f"no newer figures: {error.message}")
    return seen


@command.command("pause")
@click.argument("deployment_id")
@project_options
def _pause(session: Session, deployment_id: str) -> None:
    """Hold a canary at the share it has."""
    show_deployment(session, session.project.deployment.pause(deployment_id))


@command.command("resume")
@click.argument("deployment_id")
@project_options
def _resume(session: Session, deployment_id: str) -> None:
    """Let a held canary go on."""
    show_deployment(session, session.project.deployment.resume(deployment_id))


@command.command("advance")
@project_options
def _advance(session: Session) -> None:
    """Judge open rollouts once, as `mlops watch` does all the time."""
    changed = session.project.deployment.advance()
    session.out.record(changed)
    rows = [(one.deployment_id, one.status.value, f"{one.weight:.0%}", one.reason) for one in changed]
    session.out.table("Rollouts", ("deployment", "status", "share", "reason"), rows, empty="nothing to change")
