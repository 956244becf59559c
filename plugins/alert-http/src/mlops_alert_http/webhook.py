"""``alert.webhook``: one JSON document per alert, to an address of yours."""

from __future__ import annotations

import hashlib
import hmac
import json
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Final
from urllib.parse import quote

from attrs import define, evolve, field, validators

from mlops_alert_http.exchange import exchange
from mlops_alert_http.options import header_field, send_timeout_field, url_field
from mlops_core.roles import AlertChannel

if TYPE_CHECKING:
    from mlops_core.records import Alert

__all__ = ["Webhook"]

_VERSION: Final = 1
_VISIBLE: Final = "".join(map(chr, range(0x21, 0x7F)))


@define(eq=False)
class Webhook(AlertChannel):
    """POSTs each alert as JSON. A repeated delivery carries the same ``Idempotency-Key``, by which the receiver drops it.

    The document has ``version`` (1) and the fields of ``mlops_core.records.Alert``: ``key``, ``tenant``, ``rule``, ``model``,
    ``environment``, ``state`` (``firing`` or ``resolved``), ``at`` (ISO 8601, UTC), ``summary``, ``value`` (null: no data) and ``labels``.
    An answer of 2xx is delivery; everything else is a ``MonitoringError``, and the core sends the alert again at the next pass.

    >>> Webhook(url="https://hooks.example/T0/secret-token")
    Webhook(send_timeout=10.0)
    """

    contract: ClassVar[int] = 1

    url: str = url_field("where alerts are posted: an http or https address")
    headers: Mapping[str, str] = header_field()
    secret: str | None = field(
        default=None,
        validator=validators.optional(validators.min_len(1)),
        repr=False,
        metadata={"help": "key of an HMAC-SHA256 of the body, sent as X-MLOps-Signature: sha256=HEX; none: unsigned"},
    )
    send_timeout: float = send_timeout_field()

    def send(self, alert: Alert) -> None:
        """Post it; raises ``MonitoringError`` if the answer is not 2xx."""
        body = _document(alert)
        headers = {**self.headers, "Content-Type": "application/json", "Idempotency-Key": quote(alert.key, safe=_VISIBLE)}
        if self.secret is not None:
            key = self.secret.encode("utf-8", "surrogateescape")  # the bytes that a variable of the environment really has
            headers["X-MLOps-Signature"] = f"sha256={hmac.new(key, body, hashlib.sha256).hexdigest()}"
        exchange("alert.webhook", self.url, headers, self.send_timeout, body)


def _document(alert: Alert) -> bytes:
    """ASCII, so that no receiver has to guess an encoding; JSON knows no infinity, which becomes null."""
    finite = alert if alert.value is None or math.isfinite(alert.value) else evolve(alert, value=None)
    return json.dumps({"version": _VERSION, **finite.to_dict()}, allow_nan=False).encode("ascii")
