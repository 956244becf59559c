"""The address that a Prometheus server scrapes: one process of a project holds it, the others stand by."""

from __future__ import annotations

import errno
import logging
import os
import socket
import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import Any, Final
from urllib.parse import urlsplit

from attrs import define, field

from mlops_core.exceptions import MonitoringError
from mlops_sink_prometheus.forks import guard_fork

__all__ = ["Listener"]

_log: Final = logging.getLogger("mlops_core.sink.prometheus")
_PATH: Final = "/metrics"
_PATIENCE: Final = 10.0  # seconds that a client may take to ask, or to read on
_TURN: Final = 0.2  # seconds until the thread sees that it is to end
_RETRY: Final = 0.5


@define(eq=False)
class Listener:
    """A daemon thread that answers ``GET /metrics``; while another process holds the port it tries again twice a second.

    ``answer`` makes, for what a client accepts, the type and the body of its answer. Thread-safe. A forked child does not listen, and holds
    nothing of its parent's port, until it is told to.
    """

    host: str
    port: int
    answer: Callable[[str], tuple[str, bytes]] = field(repr=False)
    _server: _Server | None = field(default=None, init=False, repr=False)
    _thread: threading.Thread | None = field(default=None, init=False, repr=False)
    _stop: threading.Event = field(factory=threading.Event, init=False, repr=False)
    _lock: threading.Lock = field(factory=threading.Lock, init=False, repr=False)
    _guarded: bool = field(default=False, init=False)

    @property
    def address(self) -> str | None:
        """Where this process listens, as a URL; None while it does not."""
        server = self._server
        return None if server is None else f"http://{_netloc(self.host, server.server_port)}{_PATH}"

    def start(self) -> None:
        """Start the thread, once."""
        with self._lock:
            if self._thread is not None:
                return
            if not self._guarded:
                self._guarded = True
                guard_fork(self._before_fork, self._after_fork, self._in_child)
            self._stop = threading.Event()
            self._thread = threading.Thread(target=self._run, args=(self._stop,), name="mlops-prometheus", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Give the port back and end the thread. Idempotent."""
        with self._lock:
            thread, self._thread = self._thread, None
            self._stop.set()
        if thread is not None:
            thread.join()

    def _run(self, stop: threading.Event) -> None:
        told = ""
        while not stop.is_set():
            try:
                with self._lock:
                    server = self._server = _Server(self.host, self.port, self.answer)
            except (OSError, UnicodeError) as error:
                if told != str(error):
                    told = str(error)
                    taken = isinstance(error, OSError) and error.errno == errno.EADDRINUSE
                    level = logging.INFO if taken else logging.WARNING  # what nobody has may never be had
                    _log.log(level, "sink prometheus: stands by for %s: %s", _netloc(self.host, self.port), error)
                stop.wait(_RETRY)
                continue
            _log.info("sink prometheus: metrics are at %s", self.address)
            while not stop.is_set():
                server.handle_request()
            with self._lock:
                self._server = None
                server.server_close()

    def _before_fork(self) -> None:
        self._lock.acquire()

    def _after_fork(self) -> None:
        self._lock.release()

    def _in_child(self) -> None:
        self._lock = threading.Lock()
        self._thread, server, self._server = None, self._server, None
        if server is not None:
            server.server_close()


class _Server(ThreadingHTTPServer):
    """A slow client holds its own thread only."""

    allow_reuse_address = os.name != "nt"  # there it would let two processes have one port
    daemon_threads = True
    timeout = _TURN

    def __init__(self, host: str, port: int, answer: Callable[[str], tuple[str, bytes]]) -> None:
        self.answer = answer
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        super().__init__((host, port), _Handler)

    def server_bind(self) -> None:
        """As HTTPServer's, without its look-up of the host's name, which may take long."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]  # type: ignore[assignment]  # typed for every family

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that leaves early is none of our business."""
        _log.debug("sink prometheus: no answer to %s", client_address, exc_info=True)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = _PATIENCE
    protocol_version = "HTTP/1.1"
    server_version = "motadata-mlops"
    sys_version = ""

    def do_GET(self) -> None:
        """Answer with the metrics."""
        if urlsplit(self.path).path != _PATH:
            self._say(HTTPStatus.NOT_FOUND, f"metrics are at {_PATH}\n".encode())
            return
        try:
            content_type, body = self.server.answer(self.headers.get("Accept", ""))
        except MonitoringError as error:
            _log.warning("sink prometheus: a scrape is not answered: %s", error.message)
            self._say(HTTPStatus.SERVICE_UNAVAILABLE, b"the counts cannot be read; the log says why\n")
        else:
            self._say(HTTPStatus.OK, body, content_type)

    do_HEAD = do_GET  # noqa: N815  the server's names

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the server's signature
        """Requests are no news."""
        _log.debug(format, *args)

    def _say(self, status: HTTPStatus, body: bytes, content_type: str = "text/plain; charset=utf-8") -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def _netloc(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
