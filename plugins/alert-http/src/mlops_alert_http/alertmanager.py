"""``alert.alertmanager``: alerts in a Prometheus Alertmanager, which groups, silences and routes them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, ClassVar, Final

from attrs import define, field, validators

from mlops_alert_http.exchange import exchange
from mlops_alert_http.options import header_field, send_timeout_field, url_field
from mlops_core.exceptions import MonitoringError
from mlops_core.roles import AlertChannel

if TYPE_CHECKING:
    from attrs import Attribute

    from mlops_core.records import Alert

__all__ = ["Alertmanager"]

_NAME: Final = "alert.alertmanager"
_FOREIGN: Final = re.compile(r"[^a-zA-Z0-9_]", re.ASCII)
_PATHS: Final = ("/api/v2", "/api/v2/alerts")
_YEARS: Final = timedelta(days=3650)


def _check_root(_: object, option: Attribute[str], url: str) -> None:
    if "?" in url or url.rstrip("/").endswith(_PATHS):
        raise MonitoringError(f"{option.name}: is more than where the Alertmanager is - write http://alertmanager.example:9093")


@define(eq=False)
class Alertmanager(AlertChannel):
    """POSTs each alert to ``<url>/api/v2/alerts``. Idempotent: an alert with equal labels is the same alert.

    Labels are ``alertname`` (the rule), ``tenant``, ``model``, ``environment``, ``severity`` and the alert's own; annotations
    ``summary``, ``key`` and ``value``. An Alertmanager resolves by itself, at ``endsAt``, what it is not told again; so a firing alert
    carries one that is ``lasts`` after it was sent, a resolved one the time of its end. An answer of 2xx is delivery; everything else is a
    ``MonitoringError``, and the core sends the alert again at the next pass.

    >>> Alertmanager(url="http://alertmanager.example:9093", severity="page")
    Alertmanager(severity='page', lasts=datetime.timedelta(days=7), send_timeout=10.0)
    """

    contract: ClassVar[int] = 1

    url: str = url_field("where it is, such as http://alertmanager.example:9093, with its route prefix if it has one", _check_root)
    severity: str = field(default="warning", validator=validators.min_len(1), metadata={"help": "label severity, if the alert has none"})
    lasts: timedelta = field(
        default=timedelta(days=7),
        validator=validators.and_(validators.gt(timedelta()), validators.le(_YEARS)),
        metadata={"help": "how long the Alertmanager keeps a firing alert that nobody resolves"},
    )
    headers: Mapping[str, str] = header_field()
    send_timeout: float = send_timeout_field()

    def check(self) -> None:
        """Ask for its status; no alert is sent. Raises ``MonitoringError``."""
        exchange(_NAME, f"{self._api}/status", self.headers, self.send_timeout)

    def send(self, alert: Alert) -> None:
        """Post it; raises ``MonitoringError`` if the answer is not 2xx."""
        ends = alert.at if alert.state == "resolved" else max(alert.at, datetime.now(UTC)) + self.lasts
        annotations = {"summary": alert.summary, "key": alert.key} | ({} if alert.value is None else {"value": repr(float(alert.value))})
        document = {"labels": self._labels(alert), "annotations": annotations, "startsAt": _rfc3339(alert.at), "endsAt": _rfc3339(ends)}
        headers = {**self.headers, "Content-Type": "application/json"}
        exchange(_NAME, f"{self._api}/alerts", headers, self.send_timeout, json.dumps([document]).encode("ascii"))

    @property
    def _api(self) -> str:
        return f"{self.url.rstrip('/')}/api/v2"

    def _labels(self, alert: Alert) -> dict[str, str]:
        own = {_label_name(name): value for name, value in sorted(alert.labels.items())}
        fixed = {"alertname": alert.rule, "tenant": alert.tenant, "model": alert.model, "environment": alert.environment}
        return {"severity": self.severity, **own, **fixed}


def _label_name(name: str) -> str:
    """A name by Prometheus's rule ``[a-zA-Z_][a-zA-Z0-9_]*``, of which those with two ``_`` in front are Prometheus's own."""
    plain = _FOREIGN.sub("_", name)
    return f"_{plain.lstrip('_')}" if not plain or plain[0].isdigit() or plain.startswith("__") else plain


def _rfc3339(at: datetime) -> str:
    return at.astimezone(UTC).isoformat()
