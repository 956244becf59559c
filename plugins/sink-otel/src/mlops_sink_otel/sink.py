"""``sink.otel``: segments to an OpenTelemetry receiver, over OTLP/HTTP."""

from __future__ import annotations

import gzip
import logging
import os
import socket
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, ClassVar, Final, Literal

from attrs import define, field, validators

from mlops_core.exceptions import MonitoringError
from mlops_core.roles import MonitorSink
from mlops_sink_otel.exchange import Answer, Line
from mlops_sink_otel.message import message_of, rejected
from mlops_sink_otel.options import check_headers, check_resource, check_url

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlops_core.records import Segment

__all__ = ["OtelSink"]

_log: Final = logging.getLogger("mlops_core.sink.otel")
_NAME: Final = "sink.otel"
_SLOWEST: Final = 600
_LONGEST_WAIT: Final = 300.0  # seconds; a server that asks for more is asked again after that
_REFUSED: Final = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNPROCESSABLE_ENTITY})
_BUSY: Final = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})
_REMEDIES: Final[Mapping[int, str]] = {
    401: "give it valid credentials in headers",
    403: "give it valid credentials in headers",
    404: "correct the path of url: an OTLP receiver has /v1/metrics",
    405: "correct the path of url: an OTLP receiver has /v1/metrics",
    407: "give the proxy of this environment valid credentials",
    415: "it does not take this encoding: set compression to none, or give the address of an OTLP/HTTP receiver",
}


@define(eq=False)
class OtelSink(MonitorSink):
    """POSTs each batch of segments as one ``ExportMetricsServiceRequest``, of delta sums, exponential histograms and gauges.

    At least once: OTLP knows no idempotency, so what was sent again because its answer was lost counts twice at the receiver, unless
    that drops points of equal attributes, start and end. It cannot be read, so name a sink that can, such as ``sqlite``, beside it.

    >>> OtelSink(headers={"Authorization": "Bearer secret-token"})
    OtelSink(compression='gzip', service='mlops', resource={}, send_timeout=10.0)
    """

    contract = 1
    capabilities: ClassVar[frozenset[str]] = frozenset()

    url: str = field(
        default="http://127.0.0.1:4318/v1/metrics",
        validator=check_url,
        repr=False,
        metadata={"help": "where metrics are posted: the whole address of an OTLP/HTTP receiver, with its path"},
    )
    headers: Mapping[str, str] = field(
        factory=dict,
        validator=check_headers,
        repr=False,
        metadata={"help": "further headers of every request, by name, such as {Authorization: 'Bearer ${TOKEN}'}"},
    )
    compression: Literal["gzip", "none"] = field(
        default="gzip", validator=validators.in_(("gzip", "none")), metadata={"help": "how bodies are sent: gzip or none"}
    )
    service: str = field(default="mlops", validator=validators.min_len(1), metadata={"help": "resource attribute service.name"})
    resource: Mapping[str, str] = field(
        factory=dict, validator=check_resource, metadata={"help": "further resource attributes, such as {deployment.environment.name: eu}"}
    )
    send_timeout: float = field(
        default=10.0,
        validator=validators.and_(validators.gt(0), validators.le(_SLOWEST)),
        metadata={"help": "seconds that connecting, sending and the wait for the answer may each take"},
    )
    _line: Line = field(init=False, repr=False)
    _resumes: float = field(default=0.0, init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self._line = Line(_NAME, self.url, self.send_timeout)

    def check(self) -> None:
        """Send a request without metrics, which every receiver takes."""
        self._send(message_of((), {}))

    def write(self, segments: Sequence[Segment]) -> None:
        """Send them in one request.

        Raises:
            ValueError: The receiver refuses the request for what it holds or for its size, and has taken nothing of it.
            MonitoringError: There is no answer, or another one than success; also, without asking, for as long as it told us to wait.
        """
        body = message_of(segments, self._resource())
        if body:  # segments may hold nothing but samples
            self._send(body)

    def close(self) -> None:
        """Close the connections."""
        self._line.close()

    def _send(self, body: bytes) -> None:
        wait = self._resumes - time.monotonic()
        if wait > 0:
            raise MonitoringError(f"{self._line.told}: asked us to wait {wait:.0f} s more")
        headers = {**self.headers, "Content-Type": "application/x-protobuf"}
        if self.compression == "gzip":
            body, headers = gzip.compress(body, mtime=0), {**headers, "Content-Encoding": "gzip"}
        answer = self._line.post(body, headers)
        self._judge(answer)
        if dropped := rejected(answer.body):
            _log.error("%s: it took the request and dropped %d data points - its log says why", self._line.told, dropped)

    def _judge(self, answer: Answer) -> None:
        """Success is 2xx."""
        if HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES:
            return
        told = f"{self._line.told}: answered {_phrase(answer.status)}"
        if answer.status in _REFUSED:
            raise ValueError(told)
        if answer.status in _BUSY:
            self._resumes = time.monotonic() + min(_seconds(answer.wait), _LONGEST_WAIT)
        if answer.status in _REMEDIES:
            raise MonitoringError(f"{told} - {_REMEDIES[answer.status]}")
        if HTTPStatus.MULTIPLE_CHOICES <= answer.status < HTTPStatus.BAD_REQUEST:
            raise MonitoringError(f"{told} - redirects are not followed: give the address that it leads to as url")
        raise MonitoringError(f"{told} - look at its log; what it lacks is sent again")

    def _resource(self) -> dict[str, str]:
        """One instance per process, since delta streams have one writer each."""
        instance = f"{socket.gethostname()}/{os.getpid()}"
        return {"service.name": self.service, "service.instance.id": instance, **self.resource}


def _phrase(status: int) -> str:
    """The standard's words, not the server's."""
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


def _seconds(wait: str | None) -> float:
    """A Retry-After in seconds or as a date; none, or one that is neither, is no wait of its own."""
    if wait is None:
        return 0.0
    if wait.strip().isdecimal():
        return float(wait)
    try:
        return max(0.0, parsedate_to_datetime(wait).timestamp() - time.time())
    except ValueError:
        return 0.0
