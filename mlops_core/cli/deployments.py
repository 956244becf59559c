"""``mlops deployments``: endpoints and their history."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mlops_core.cli.group import DefaultGroup
from mlops_core.cli.options import SHARE, Session, project_options, shares_of
from mlops_core.cli.output import age, plain
from mlops_core.exceptions import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlops_core.records import Deployment, Endpoint, Variant

__all__ = ["command", "show_deployment", "show_endpoints"]


@click.group("deployments", cls=DefaultGroup)
def command() -> None:
    """Endpoints. Without a subcommand: all of them."""


@command.command("list")
@click.option("--environment", help="One environment. Default: all.")
@project_options
def _list(session: Session, environment: str | None) -> None:
    """Every endpoint with what serves it."""
    found = session.project.deployment.list(environment)
    session.out.record(found)
    show_endpoints(session, found)


@command.command("history")
@click.argument("model")
@click.argument("environment")
@project_options
def _history(session: Session, model: str, environment: str) -> None:
    """Every deployment of an endpoint, oldest first."""
    found = session.project.deployment.history(model, environment)
    session.out.record(found)
    now = session.project.stack.clock.now()
    rows = [
        (one.deployment_id, _versions(one.variants), one.status.value, age(one.created, now), age(one.changed, now), one.reason)
        for one in found
    ]
    columns = ("deployment", "version", "status", "begun", "changed", "reason")
    session.out.table(f"Deployments of {model} to {environment}", columns, rows, empty="none yet")


@command.command("shutdown")
@click.argument("environment")
@project_options
def _shutdown(session: Session, environment: str) -> None:
    """Stop the servers of ENVIRONMENT; its routes stay, and the next deployment starts it with them."""
    session.project.deployment.shutdown(environment)
    session.out.line(f"{environment}: stopped")


@command.command("plan")
@click.argument("model")
@click.argument("version")
@click.option("--to", "environment", required=True, help="The environment, such as production.")
@click.option(
    "--weight",
    "weights",
    multiple=True,
    help="Its share of the requests beside what is live, such as 10%; or an A/B test: VERSION=SHARE, repeated. Default: all.",
)
@project_options
def _plan(session: Session, model: str, version: str, environment: str, weights: tuple[str, ...]) -> None:
    """What deploying VERSION (a name or @ALIAS) of MODEL would call, and what would serve then. Changes nothing."""
    match weights:
        case ():
            weight: float | dict[str, float] = 1.0
        case (share,) if "=" not in share:
            try:
                weight = SHARE.convert(share, None, None)
            except click.BadParameter:
                raise ConfigError(f"plan: --weight {share!r} is no share - write 10%, or VERSION=SHARE for an A/B test") from None
        case _:
            weight = shares_of("plan", weights, version)
    found = session.project.deployment.plan(model, version, environment, weight=weight)
    session.out.record(found)
    rows = [(number, call.name, json.dumps(plain(dict(call.arguments)))) for number, call in enumerate(found.calls, 1)]
    session.out.table(f"Calls to deploy {model} {version} to {environment}", ("", "call", "arguments"), rows, empty="none are needed")
    for kind, count in found.instances.items():
        session.out.line(f"serving then: {count} x {kind}")
    for note in found.notes:
        session.out.line(note)


@command.command("image")
@click.argument("model")
@click.argument("version")
@click.option("--into", required=True, type=click.Path(path_type=Path), help="A new folder for the Dockerfile and what it needs.")
@project_options
def _image(session: Session, model: str, version: str, into: Path) -> None:
    """Write the Dockerfile of a server for VERSION of MODEL, and for all versions of its format."""
    from mlops_core.deployment.image import write_image

    project = session.project
    folder = write_image(project.versioning.get_version(model, version), into, project.stack.settings.models.trust)
    session.out.record({"folder": str(folder)})
    session.out.line(f"{folder}: Dockerfile, requirements.txt, wheels - build it with: docker build {folder}")


def show_endpoints(session: Session, found: Sequence[Endpoint]) -> None:
    """A table of endpoints; ``state`` is what the deployer says of itself."""
    rows = [
        (
            one.environment,
            one.model,
            _shares(one.routes),
            _on_its_way(one.open) if one.open else None,
            ", ".join(f"{one.version} until {_moment(one)}" for one in one.kept),
            ", ".join(f"{name} {_megabytes(said) if name == 'memory' else said}" for name, said in one.detail.items()),
            one.url,
        )
        for one in found
    ]
    columns = ("environment", "model", "serving", "on its way", "kept for a rollback", "state", "url")
    session.out.table("Endpoints", columns, rows, empty="none yet - `mlops deploy MODEL VERSION --to staging`")


def _on_its_way(one: Deployment) -> str:
    share = f" at {one.weight:.0%}" if one.weight else ""
    return f"{one.status.value}: {_versions(one.variants)}{share}"


def _moment(one: Deployment) -> str:
    return f"{one.retire_at:%Y-%m-%d %H:%M}" if one.retire_at else "its end"


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.0f} MB"


def _shares(variants: Sequence[Variant]) -> str:
    return ", ".join(f"{one.version} ({one.weight:.0%})" for one in variants)


def _versions(variants: Sequence[Variant]) -> str:
    """The version of a deployment; the versions and their shares of an A/B test."""
    return variants[0].version if len(variants) == 1 else _shares(variants)


def show_deployment(session: Session, done: Deployment) -> None:
    """One deployment as it stands now."""
    session.out.record(done)
    session.out.pairs(
        f"{done.deployment_id}: {done.status.value}",
        {
            "model": done.model,
            "environment": done.environment,
            "version": _versions(done.variants),
            "share of the requests": f"{done.weight:.0%}",
            "url": done.url,
            "reason": done.reason,
        },
    )
