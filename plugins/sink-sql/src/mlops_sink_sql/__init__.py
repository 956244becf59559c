"""Monitoring segments in SQLite through SQLAlchemy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlops_core.hookspecs import hookimpl

if TYPE_CHECKING:
    from mlops_core.roles import MonitorSink

__all__ = ["mlops_monitor_sink"]


@hookimpl
def mlops_monitor_sink() -> type[MonitorSink]:
    """Hand over the sink; SQLAlchemy is loaded with it."""
    from mlops_sink_sql.sqlite import SqliteSink

    return SqliteSink
