"""``mlops check``: every mistake of the configuration, before anything runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

from mlops_core.cli.options import Session, project_options

if TYPE_CHECKING:
    from mlops_core.roles import Deployer
    from mlops_core.stack import Stack

__all__ = ["command"]

_TIMEOUT: Final = 30.0  # seconds that reaching an environment may take


@click.command("check")
@click.option("--connect", is_flag=True, help="Also reach every backend.")
@project_options
def command(session: Session, connect: bool) -> int:  # noqa: FBT001  click passes flags so
    """Check mlops.yaml: keys, types, plugins, stages. Exits 2 and shows every mistake with its line and column."""
    from mlops_core.pipeline.plan import problems as of_the_pipeline
    from mlops_core.stack import check

    problems = check(session.path, session.profile, connect=connect, further=of_the_pipeline, attach=_attach)
    session.out.record({"problems": problems})
    if problems:
        for problem in problems:
            click.echo(problem, err=True)
        return 2
    session.told_of_default()
    session.out.line("the configuration is sound" + (" and every backend answers" if connect else ""))
    return 0


def _attach(stack: Stack, environment: str, deployer: Deployer) -> None:
    """Hand a deployer the ports of its environment, as deploying to it does."""
    from mlops_core.deployment import Ports
    from mlops_core.deployment.tokens import tokens_of

    deployer.attach(environment, Ports(stack, environment, _TIMEOUT, guarded=bool(tokens_of(stack, environment))))
