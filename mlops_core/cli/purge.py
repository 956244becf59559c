"""``mlops monitor purge``: erase what is kept of single predictions."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta

import click

from mlops_core.cli.options import MOMENT, Session, project_options
from mlops_core.cli.output import cell

__all__ = ["command"]


@click.command("purge")
@click.option("--before", type=MOMENT, help="What is older: a time such as 2024-05-01T12:00Z, or 30d for 30 days ago.")
@click.option("--id", "ids", multiple=True, help="What is of this prediction; may be given several times.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@project_options
def command(session: Session, before: datetime | timedelta | None, ids: tuple[str, ...], yes: bool) -> int:  # noqa: FBT001  click passes flags so
    """Erase samples, failures and logged predictions of the tenant. Counts and figures stay."""
    if before is None and not ids:
        raise click.UsageError("purge: nothing is named - give --before or --id")
    until = _time(session, before) if isinstance(before, timedelta) else before and before.astimezone(UTC)
    if not yes and not _agreed(session, until, ids):
        session.out.line("nothing is erased")
        return 1
    count = session.project.monitoring.purge(before=until, ids=ids)
    session.out.record({"erased": count})
    session.out.line(f"{count} row{'' if count == 1 else 's'} erased")
    return 0


def _time(session: Session, ago: timedelta) -> datetime:
    try:
        return session.project.stack.clock.now() - ago
    except OverflowError:
        raise click.UsageError("--before: reaches too far into the past - write a later time") from None


def _agreed(session: Session, until: datetime | None, ids: tuple[str, ...]) -> bool:
    """Ask whoever sits at the terminal; the question stands beside the answer, on standard error."""
    if not sys.stdin.isatty():
        raise click.UsageError("purge: nobody can be asked, since the input is no terminal - call again with --yes")
    named = [f"all before {cell(until)} UTC"] * (until is not None) + [f"predictions {', '.join(ids)}"] * bool(ids)
    return click.confirm(
        f"Erase samples, failures and logged predictions of tenant {session.project.stack.tenant}: {' and '.join(named)}?", err=True
    )
