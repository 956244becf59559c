"""``mlops alerts``: open incidents, and who is told of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from mlops_core.cli.group import DefaultGroup
from mlops_core.cli.options import DURATION, Session, project_options

if TYPE_CHECKING:
    from datetime import timedelta

    from mlops_core.monitoring import Incident, Silence

__all__ = ["command", "standing"]


@click.group("alerts", cls=DefaultGroup)
def command() -> None:
    """Open incidents and silences."""


@command.command("list")
@click.option("--model", help="One model. Default: all.")
@click.option("--all", "everything", is_flag=True, help="Also what is pending, and the last incident of each rule.")
@project_options
def _list(session: Session, model: str | None, everything: bool) -> None:  # noqa: FBT001  click passes flags so
    """Open incidents, oldest first, and silences in effect."""
    monitoring = session.project.monitoring
    incidents, silences = monitoring.incidents(model, resolved=everything), monitoring.silences()
    session.out.record({"incidents": incidents, "silences": silences})
    session.out.table(
        "Incidents" if everything else "Open incidents",
        ("rule", "model", "environment", "since", "condition", "measured", "state"),
        [(one.rule, one.model, one.environment, one.since, one.condition, one.value, standing(one)) for one in incidents],
        empty="none",
    )
    if silences:
        rows = [(one.id, one.rule, one.model, one.environment, one.until, one.by, one.reason) for one in silences]
        session.out.table("Silences", ("id", "rule", "model", "environment", "until", "by", "reason"), rows)


def standing(incident: Incident) -> str:
    """Its state in words, with who looks after it and until when it is silenced."""
    said: list[str] = [incident.state]
    if incident.acknowledged is not None:
        known = incident.acknowledged
        said.append(f"acknowledged by {known.by}" + (f": {known.note}" if known.note else ""))
    if incident.silenced is not None:
        said.append(f"silenced until {incident.silenced:%Y-%m-%d %H:%M:%S}")
    return ", ".join(said)


@command.command("silence")
@click.option("--for", "length", type=DURATION, required=True, help="How long, such as 2h.")
@click.option("--reason", required=True, help="Why; kept with the silence.")
@click.option("--rule", help="Of one rule. Default: of all.")
@click.option("--model", help="Of one model. Default: of all.")
@click.option("--environment", help="Of one environment. Default: of all.")
@click.option("--by", help="Who says so. Default: the login name.")
@project_options
def _silence(
    session: Session, length: timedelta, reason: str, rule: str | None, model: str | None, environment: str | None, by: str | None
) -> None:
    """Send no alerts for a while; what still fires when it is over is told then."""
    made = session.project.monitoring.silence(length, reason, rule=rule, model_id=model, environment=environment, by=by)
    session.out.record(made)
    session.out.line(f"silence {made.id}: {_covered(made)} until {made.until:%Y-%m-%d %H:%M:%S} UTC")


@command.command("unsilence")
@click.argument("silence_id")
@project_options
def _unsilence(session: Session, silence_id: str) -> None:
    """End a silence before its time."""
    ended = session.project.monitoring.unsilence(silence_id)
    session.out.record(ended)
    session.out.line(f"silence {ended.id}: {_covered(ended)} ended")


def _covered(silence: Silence) -> str:
    named = [f"{what} {name}" for what in ("rule", "model", "environment") if (name := getattr(silence, what)) is not None]
    return ", ".join(named) or "every alert"


@command.command("ack")
@click.argument("rule")
@click.argument("model")
@click.argument("environment")
@click.option("--note", default="", help="What is known or done; kept with the incident.")
@click.option("--by", help="Who looks after it. Default: the login name.")
@project_options
def _ack(session: Session, rule: str, model: str, environment: str, note: str, by: str | None) -> None:
    """Say that somebody looks after an open incident: channels hear nothing more of it but its end."""
    known = session.project.monitoring.acknowledge(rule, model, environment, note=note, by=by)
    session.out.record(known)
    session.out.line(f"{model} in {environment}: {rule} {standing(known)}")
