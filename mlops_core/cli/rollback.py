"""``mlops rollback``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from mlops_core.cli.deployments import show_deployment
from mlops_core.cli.options import Session, patience, project_options

if TYPE_CHECKING:
    from datetime import timedelta

__all__ = ["command"]


@click.command("rollback")
@click.argument("deployment_id", required=False)
@click.option("--model", help="In place of the id: the model, with --environment.")
@click.option("--environment", help="In place of the id: the environment, with --model.")
@click.option("--reason", default="rolled back by hand", show_default=True, help="Kept in the journal.")
@patience
@project_options
def command(
    session: Session, deployment_id: str | None, model: str | None, environment: str | None, reason: str, timeout: timedelta
) -> None:
    """Return to what served before; a first deployment is withdrawn."""
    if (deployment_id is None) == (model is None or environment is None):
        raise click.UsageError("give the id of a deployment, or --model and --environment")
    done = session.project.deployment.rollback_deployment(
        deployment_id, model_id=model, environment=environment, reason=reason, timeout=timeout.total_seconds()
    )
    show_deployment(session, done)
