"""Alerts over HTTP: to a webhook, or to a Prometheus Alertmanager."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlops_core.hookspecs import hookimpl

if TYPE_CHECKING:
    from mlops_core.roles import AlertChannel

__all__ = ["mlops_alert_channel"]


@hookimpl
def mlops_alert_channel(name: str) -> type[AlertChannel]:
    """Hand over the class of ``webhook`` or ``alertmanager``."""
    if name == "webhook":
        from mlops_alert_http.webhook import Webhook

        return Webhook
    from mlops_alert_http.alertmanager import Alertmanager

    return Alertmanager
