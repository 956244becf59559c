"""A place between a store and its server where the network breaks, and the processes that die."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pytest
from attrs import define, field

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

WRITER = Path(__file__).with_name("registry_writer.py")
REQUEST = (b"GET ", b"HEAD ", b"PUT ", b"POST ", b"DELETE ")


@define(eq=False)
class Proxy:
    """Forwards TCP from a port of 127.0.0.1 to that of a server, and breaks as it is told."""

    target: int
    seen: int = field(default=0, init=False)  # requests of HTTP
    _socket: socket.socket = field(init=False)
    _open: set[socket.socket] = field(factory=set, init=False)
    _flowing: threading.Event = field(factory=threading.Event, init=False)
    _lock: threading.Lock = field(factory=threading.Lock, init=False)
    _threads: list[threading.Thread] = field(factory=list, init=False)
    _down: bool = field(default=False, init=False)
    _lost: bytes = field(default=b"", init=False)
    _refused: tuple[int, int] = field(default=(0, 0), init=False)

    def __attrs_post_init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._flowing.set()
        self._begin(self._accept)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._flowing.set()
        self._down = True
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._end_all()
        for thread in self._threads:
            thread.join(10)
            assert not thread.is_alive()

    @property
    def port(self) -> int:
        return int(self._socket.getsockname()[1])

    def cut(self) -> None:
        """End every connection, and every new one at once."""
        self._down = True
        self._end_all()

    def hang(self) -> None:
        """Take every byte and forward none."""
        self._flowing.clear()

    def lose_answer(self, to: bytes) -> None:
        """Forward the next request that holds these bytes, wait for the answer, and end the connection in its stead."""
        self._lost = to

    def answer(self, status: int, *, after: int) -> None:
        """HTTP: answer every request but the next ``after`` with this status."""
        self.seen, self._refused = 0, (status, after)

    def recover(self) -> None:
        """Forward again; what hung is gone."""
        self._down, self._lost, self._refused = False, b"", (0, 0)
        self._end_all()
        self._flowing.set()

    def _begin(self, work: Callable[..., None], *arguments: Any) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._socket.accept()
            except OSError:
                return
            if self._down:
                client.close()
                continue
            try:
                server = socket.create_connection(("127.0.0.1", self.target), timeout=10)
            except OSError:
                client.close()
                continue
            server.settimeout(None)
            with self._lock:
                self._open |= {client, server}
            losing = threading.Event()
            self._begin(self._pump, client, server, losing, client)
            self._begin(self._pump, server, client, losing, client)

    def _pump(self, source: socket.socket, sink: socket.socket, losing: threading.Event, client: socket.socket) -> None:
        asking = source is client
        try:
            while data := source.recv(1 << 16):
                self._flowing.wait()
                if asking and self._refuse(data, source):
                    break
                if asking and self._lost and self._lost in data:
                    self._lost = b""
                    losing.set()
                if not asking and losing.is_set():
                    break
                sink.sendall(data)
        except OSError:
            pass  # the other side is gone
        self._end(source, sink)

    def _refuse(self, data: bytes, client: socket.socket) -> bool:
        """Whether a request was answered here."""
        status, after = self._refused
        if not status or not data.startswith(REQUEST):
            return False
        with self._lock:
            self.seen += 1
            if self.seen <= after:
                return False
        body = b"<Error><Code>Refused</Code><Message>No space left on device</Message></Error>"
        head = f"HTTP/1.1 {status} Refused\r\nConnection: close\r\nContent-Type: application/xml\r\nContent-Length: {len(body)}\r\n\r\n"
        client.sendall(head.encode() + (b"" if data.startswith(b"HEAD ") else body))
        client.shutdown(socket.SHUT_WR)
        client.settimeout(5)
        while client.recv(1 << 16):
            pass  # closed over unread bytes, the answer would be lost
        return True

    def _end(self, *sockets: socket.socket) -> None:
        with self._lock:
            self._open -= set(sockets)
        for one in sockets:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _end_all(self) -> None:
        with self._lock:
            mine = list(self._open)
        self._end(*mine)


@pytest.fixture
def proxy() -> Iterator[Callable[[int], Proxy]]:
    """Puts a proxy before a port."""
    made: list[Proxy] = []

    def make(target: int) -> Proxy:
        made.append(Proxy(target))
        return made[-1]

    yield make
    for one in made:
        with one:
            pass
