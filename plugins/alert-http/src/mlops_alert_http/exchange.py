"""One request, and what became of it in one line. Neither address nor headers nor what a server says is shown: all may hold secrets."""

from __future__ import annotations

import re
import socket
import ssl
from http import HTTPStatus
from http.client import HTTPException
from typing import TYPE_CHECKING, Final
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import HTTPHandler, HTTPSHandler, OpenerDirector, ProxyHandler, Request, UnknownHandler

from mlops_core.exceptions import MonitoringError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["exchange"]

_AGENT: Final = "motadata-mlops"
_HERE: Final = re.compile(r"localhost|127(\.[0-9]+){3}|::1", re.ASCII)
_PROXY: Final = "the proxy of this environment has no usable address - correct http_proxy and https_proxy"
_REMEDIES: Final[Mapping[int, str]] = {
    400: "it does not take this document: look at its log",
    401: "give it valid credentials in headers",
    403: "give it valid credentials in headers",
    404: "correct the path of url",
    405: "correct the path of url",
    407: "give the proxy of this environment valid credentials",
    410: "the address is given up: correct url",
    413: "it takes no document of this size: look at its log",
    429: "it is asked too often: the alert is sent again at the next pass",
}
_CAUSES: Final[Mapping[type, str]] = {
    ConnectionRefusedError: "nobody listens there - start it, or correct url",
    socket.gaierror: "its name is not known - correct the host of url",
    ssl.SSLError: "does not speak TLS as expected - is it http and not https?",
    ConnectionError: "the connection broke before an answer - look at its log",
    HTTPException: "answers, but not as HTTP does - is it https and not http?",
    str: _PROXY,  # words of urllib itself, which finds nothing wrong but a proxy: the option's validator has seen the address
}
"""Narrower types first."""


def exchange(plugin: str, url: str, headers: Mapping[str, str], seconds: float, body: bytes | None = None) -> None:
    """POST the body, or GET without one; a 2xx answer is success. Redirects are not followed.

    A proxy is used as the environment says, but never to reach this machine.

    Raises:
        MonitoringError: Any other answer or none: one line with the plugin, the host, the cause and the remedy.
    """
    parts = urlsplit(url)
    place = f"{plugin}: {parts.netloc}"
    asked = Request(url, body, {"User-Agent": _AGENT, **headers})  # noqa: S310  the option's validator has seen the scheme
    try:
        with _opener(parts.hostname or "").open(asked, timeout=seconds) as answer:
            status = int(answer.status)
    except (OSError, HTTPException) as error:
        raise MonitoringError(f"{place}: {_cause(error, seconds)}") from error
    except ValueError as error:  # of ProxyHandler
        raise MonitoringError(f"{place}: {_PROXY}") from error
    if not HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        raise MonitoringError(f"{place}: answered {_status(status)} - {_remedy(status)}")


def _opener(host: str) -> OpenerDirector:
    """Without the handlers that follow redirects and turn answers into exceptions, or that open files."""
    opener = OpenerDirector()
    for handler in (ProxyHandler({} if _HERE.fullmatch(host) else None), HTTPHandler(), HTTPSHandler(), UnknownHandler()):
        opener.add_handler(handler)
    return opener


def _status(status: int) -> str:
    """The standard's words, not the server's."""
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


def _remedy(status: int) -> str:
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        return "redirects are not followed: give the address that it leads to as url"
    if status in _REMEDIES:
        return _REMEDIES[status]
    return "look at its log" if status < HTTPStatus.INTERNAL_SERVER_ERROR else "look at its log; the alert is sent again at the next pass"


def _cause(error: OSError | HTTPException, seconds: float) -> str:
    cause = error.reason if isinstance(error, URLError) else error
    if isinstance(cause, TimeoutError):
        return f"no answer within {seconds:g} s - is it overloaded, or behind a firewall? else raise send_timeout"
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"its certificate is not valid ({cause.verify_message}) - renew it, or let this machine trust its issuer"
    known = next((told for kind, told in _CAUSES.items() if isinstance(cause, kind)), None)
    if known is None and isinstance(cause, OSError) and cause.strerror:
        return f"not reached: {cause.strerror} - correct url, or repair the network"
    return known or "the proxy of this environment lets nothing through - look at its log"  # what is left is its refusal of a tunnel
