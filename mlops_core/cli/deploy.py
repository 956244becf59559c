"""``mlops deploy``: put a version into use."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from mlops_core.cli.deployments import show_deployment
from mlops_core.cli.options import DEADLINE, Session, patience, project_options, shares_of
from mlops_core.exceptions import ConfigError

if TYPE_CHECKING:
    from datetime import timedelta
    from typing import Any

__all__ = ["command"]


@click.command("deploy")
@click.argument("model")
@click.argument("version")
@click.option("--to", "environment", required=True, help="The environment, such as staging.")
@click.option("--weight", "weights", multiple=True, help="An A/B test: VERSION=SHARE, repeated, such as --weight 1=0.9 --weight 2=0.1.")
@click.option("--until", type=DEADLINE, help="When the A/B test ends: a time such as 2024-05-01T12:00Z, or 7d for 7 days from now.")
@click.option("--then", default="hold", show_default=True, help="How it ends: hold the shares, best takes all, or this VERSION does.")
@click.option("--metric", help="What best is decided by. Default: error_rate.")
@click.option("--shadow", is_flag=True, help="Give it copies of the requests only, and its answers to nobody.")
@click.option("--no-wait", is_flag=True, help="Only write it down; `mlops watch` carries it out.")
@patience
@project_options
def command(
    session: Session,
    model: str,
    version: str,
    environment: str,
    weights: tuple[str, ...],
    shadow: bool,  # noqa: FBT001  click passes flags so
    no_wait: bool,  # noqa: FBT001  click passes flags so
    timeout: timedelta,
    **end: Any,
) -> None:
    """Deploy VERSION (a name or @ALIAS) of MODEL; with --weight, share the requests among versions."""
    deployment = session.project.deployment
    longest = timeout.total_seconds()
    if weights and shadow:
        raise ConfigError("deploy: --shadow takes no requests and has no --weight - leave one of them out")
    if not weights and (end["until"] is not None or end["then"] != "hold" or end["metric"] is not None):
        raise ConfigError("deploy: --until, --then and --metric say how an A/B test ends - name its versions with --weight")
    if weights and no_wait:
        raise ConfigError("deploy: an A/B test is waited for - leave --no-wait out")
    if shadow:
        done = deployment.start_shadow(model, version, environment, wait=not no_wait, timeout=longest)
    elif weights:
        done = deployment.set_traffic(model, environment, shares_of("deploy", weights, version), timeout=longest, **end)
    else:
        done = deployment.deploy_model(model, version, environment, wait=not no_wait, timeout=longest)
    show_deployment(session, done)
