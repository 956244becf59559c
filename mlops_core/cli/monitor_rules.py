"""``mlops monitor rules``: the alert rules for another system."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from mlops_core.cli.options import project_options
from mlops_core.exceptions import MonitoringError

if TYPE_CHECKING:
    from mlops_core.cli.options import Session

__all__ = ["command"]


@click.command("rules")
@click.option("--sink", help="The sink whose system they are for. Default: the first that can write rules.")
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="The file to write. Default: standard output.")
@project_options
def command(session: Session, sink: str | None, output: Path | None) -> None:
    """Write the rules of monitoring.alerts and monitoring.slo for the system that a sink feeds, such as Prometheus."""
    from mlops_core.monitoring.rule_file import write_rule_file

    text = write_rule_file(session.project.stack, sink)
    session.out.record({"rules": text})
    if output is not None:
        try:
            output.write_text(text, encoding="utf-8")
        except OSError as error:
            raise MonitoringError(f"rules: --output: {output} cannot be written: {error.strerror or error} - give another file") from error
        session.out.line(f"the rules are in {output}")
    elif not session.out.as_json:
        click.echo(text, nl=False)
