"""``mlops check``: every mistake of the configuration, before anything runs."""

from __future__ import annotations

import click

from mlops_core.cli.options import Session, project_options

__all__ = ["command"]


@click.command("check")
@click.option("--connect", is_flag=True, help="Also reach every backend.")
@project_options
def command(session: Session, connect: bool) -> int:  # noqa: FBT001  click passes flags so
    """Check mlops.yaml: keys, types, plugins, stages. Exits 2 and shows every mistake with its line and column."""
    from mlops_core.pipeline.plan import problems as of_the_pipeline
    from mlops_core.stack import check

    problems = check(session.path, session.profile, connect=connect, further=of_the_pipeline)
    session.out.record({"problems": problems})
    if problems:
        for problem in problems:
            click.echo(problem, err=True)
        return 2
    session.out.line("the configuration is sound" + (" and every backend answers" if connect else ""))
    return 0
