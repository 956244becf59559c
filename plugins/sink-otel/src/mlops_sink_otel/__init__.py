"""Segments of predictions to an OpenTelemetry receiver."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlops_core.hookspecs import hookimpl

if TYPE_CHECKING:
    from mlops_core.roles import MonitorSink

__all__ = ["mlops_monitor_sink"]


@hookimpl
def mlops_monitor_sink() -> type[MonitorSink]:
    """Hand over the sink; protobuf is loaded with it."""
    from mlops_sink_otel.sink import OtelSink

    return OtelSink
