"""Requests over a connection that is kept. Neither the path nor headers nor what a server says is shown: all may hold secrets."""

from __future__ import annotations

import base64
import os
import re
import socket
import ssl
from contextlib import suppress
from http.client import HTTPConnection, HTTPException, HTTPSConnection, RemoteDisconnected
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import SplitResult, unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from attrs import define, field, frozen

from mlops_core.exceptions import MonitoringError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Answer", "Line"]

_HERE: Final = re.compile(r"localhost|127(\.[0-9]+){3}|::1", re.ASCII)
_LONGEST: Final = 1 << 20
_CAUSES: Final[Mapping[type, str]] = {
    ConnectionRefusedError: "nobody listens there - start it, or correct url",
    socket.gaierror: "its name is not known - correct the host of url",
    ssl.SSLCertVerificationError: "its certificate is not valid - renew it, or let this machine trust its issuer",
    ssl.SSLError: "does not speak TLS as expected - is it http and not https?",
    ConnectionError: "the connection broke before an answer - look at its log",
    HTTPException: "answers, but not as HTTP does - is it https and not http?",
}
"""Narrower types first."""


@frozen
class Answer:
    """What a server said: ``wait`` is its Retry-After as it stands."""

    status: int
    wait: str | None
    body: bytes


@define(eq=False)
class Line:
    """The way to one address, over connections that are kept. Thread-safe; a forked child uses none of its parent's.

    A proxy is used as the environment says, but never to reach this machine. Redirects are not followed.
    """

    name: str
    url: str = field(repr=False)
    timeout: float
    _kept: list[tuple[int, HTTPConnection]] = field(
        factory=list, init=False, repr=False
    )  # each with its process; one is used by whoever takes it

    @property
    def told(self) -> str:
        """Where it leads, as messages show it."""
        return f"{self.name}: {urlsplit(self.url).netloc}"

    def post(self, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Send the body; of a kept connection that the server has closed meanwhile, again over a new one.

        Raises:
            MonitoringError: There is no answer: one line with the host, the cause and the remedy.
        """
        try:
            kept = self._take()
            if kept is not None:
                try:
                    return self._ask(kept, body, headers)
                except (RemoteDisconnected, BrokenPipeError, ConnectionResetError):
                    pass
            return self._ask(self._connection(), body, headers)
        except (OSError, HTTPException, UnicodeError) as error:
            raise MonitoringError(f"{self.told}: {self._cause(error)}") from error

    def close(self) -> None:
        """Close the connections that are not in use. Idempotent."""
        while (kept := self._take()) is not None:
            kept.close()

    def _take(self) -> HTTPConnection | None:
        """A connection of this process that nobody uses; what a child finds of its parent's is closed, in the child only."""
        with suppress(IndexError):
            while True:
                pid, connection = self._kept.pop()
                if pid == os.getpid():
                    return connection
                connection.close()
        return None

    def _connection(self) -> HTTPConnection:
        parts = urlsplit(self.url)
        host, secure = parts.hostname or "", parts.scheme == "https"
        kind = HTTPSConnection if secure else HTTPConnection
        proxy = _proxy_of(parts)
        if proxy is None:
            return kind(host, parts.port, timeout=self.timeout)
        made = kind(proxy.hostname or "", proxy.port, timeout=self.timeout)
        if secure:
            made.set_tunnel(host, parts.port or 443, headers=_credentials(proxy))
        return made

    def _ask(self, connection: HTTPConnection, body: bytes, headers: Mapping[str, str]) -> Answer:
        """One exchange; the connection is kept if it is good for another one."""
        parts = urlsplit(self.url)
        proxy = _proxy_of(parts) if parts.scheme == "http" else None
        target = parts._replace(scheme="", netloc="").geturl() or "/"
        if proxy is not None:
            target, headers = self.url, {**_credentials(proxy), **headers}
        good = False
        try:
            connection.request("POST", target, body, {"User-Agent": "motadata-mlops", **headers})
            answer = connection.getresponse()
            told = answer.read(_LONGEST)
            good = answer.isclosed() and not answer.will_close  # closed: nothing of it is left on the connection
        finally:
            self._kept.append((os.getpid(), connection)) if good else connection.close()
        return Answer(answer.status, answer.getheader("Retry-After"), told)

    def _cause(self, error: Exception) -> str:
        if isinstance(error, TimeoutError):
            return f"no answer within {self.timeout:g} s - is it overloaded, or behind a firewall? else raise send_timeout"
        known = next((told for kind, told in _CAUSES.items() if isinstance(error, kind)), None)
        if known is None and isinstance(error, OSError) and error.strerror:
            return f"not reached: {error.strerror} - correct url, or repair the network"
        return known or "the proxy of this environment lets nothing through - look at its log"  # what is left is its refusal of a tunnel


def _proxy_of(parts: SplitResult) -> SplitResult | None:
    host = parts.hostname or ""
    told = getproxies().get(parts.scheme)
    if not told or _HERE.fullmatch(host) or proxy_bypass(host):
        return None
    return urlsplit(told if "//" in told else f"http://{told}")


def _credentials(proxy: SplitResult) -> dict[str, Any]:
    if not proxy.username:
        return {}
    given = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}".encode()
    return {"Proxy-Authorization": f"Basic {base64.b64encode(given).decode('ascii')}"}
