"""Monitoring segments in SQLite or PostgreSQL through SQLAlchemy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlops_core.hookspecs import hookimpl

if TYPE_CHECKING:
    from mlops_core.roles import MonitorSink

__all__ = ["mlops_monitor_sink"]


@hookimpl
def mlops_monitor_sink(name: str) -> type[MonitorSink]:
    """Hand over the sink of this name; SQLAlchemy is loaded with it."""
    if name == "postgres":
        from mlops_sink_sql.postgres import PostgresSink

        return PostgresSink
    from mlops_sink_sql.sqlite import SqliteSink

    return SqliteSink
