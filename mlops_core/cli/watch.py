"""``mlops watch``: the control loop in the foreground."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from mlops_core.cli.options import Session, project_options

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["command"]


@click.command("watch")
@click.option("--once", is_flag=True, help="Run every pass once and end.")
@project_options
def command(session: Session, once: bool) -> None:  # noqa: FBT001  click passes flags so
    """Advance canaries, evaluate alerts, check drift, deliver spools and sweep leftovers, until interrupted.

    One loop of a project works at a time; a second one stands by and takes over.
    """
    from mlops_core.monitoring.listening import listen
    from mlops_core.operations import ControlLoop, Upkeep

    upkeep = Upkeep(session.project.stack)
    try:
        loop = ControlLoop(session.project.stack, upkeep.passes())
        if once:
            worked = loop.turn()
            session.out.record(loop.status())
            session.out.line("every pass ran once" if worked else "another loop holds the lease")
            loop.release()
            return
        listen(session.project.stack.parts.sinks)
        with _told() as stop:
            session.out.line("watching; end with Ctrl-C")
            loop.run(stop)
            session.out.line("stopped")
    finally:
        upkeep.close()


@contextmanager
def _told() -> Iterator[threading.Event]:
    """Set when the process is told to end; what a signal did before, it does again afterwards."""
    stop = threading.Event()
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
