"""``mlops tracking``: what is still to be delivered to the trackers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from mlops_core.cli.options import project_options

if TYPE_CHECKING:
    from mlops_core.cli.options import Session

__all__ = ["command"]


@click.group("tracking")
def command() -> None:
    """The spool of tracked runs."""


@command.command("sync")
@project_options
def _sync(session: Session) -> None:
    """Deliver what runs of dead processes left in the spool."""
    recovered = session.project.tracker.recover()
    delivered = session.project.tracker.flush()
    session.out.record({"recovered": recovered, "delivered": delivered})
    session.out.line(f"recovered {recovered}; " + ("everything is delivered" if delivered else "a tracker cannot be reached yet"))
