"""One HTTP connection: uvicorn's, with deadlines, a bound on the head of a request, and an end that fails nobody.

A connection that is to end is never cut while its client may be about to send: the next answer says ``Connection: close``, and one that
stays silent is closed only after a second of silence.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

import orjson
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from mlops_deployer_local.parser import Parser

if TYPE_CHECKING:
    import asyncio

    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

__all__ = ["Connection", "Gate"]

_HEAD_LIMIT: Final = 64 << 10
_SILENCE: Final = 1.0


class Gate:
    """What all connections of a process share."""

    def __init__(self, head_timeout: float) -> None:
        self.head_timeout = head_timeout
        self.draining = False


class Connection(HttpToolsProtocol):
    """A client's connection."""

    def __init__(self, *args: Any, gate: Gate, **options: Any) -> None:
        super().__init__(*args, **options)
        self.parser = cast("Any", Parser(self, self._parsed_head))  # uvicorn's type is httptools' own class
        self.gate = gate
        self.head = 0
        self.receiving = False
        self.deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client is there: it has a while to say what it wants."""
        super().connection_made(cast("asyncio.Transport", transport))
        self._await_head()
        if self.gate.draining:
            self.drain()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client has gone."""
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Bytes came; behind those it began with, the head of a request may have only so many."""
        self.head += len(data)
        super().data_received(data)
        if self.deadline is not None and self.head > _HEAD_LIMIT and not self.transport.is_closing():
            self._refuse(431, "the head of the request is too large")

    def on_message_begin(self) -> None:
        """A request begins."""
        self.receiving, self.head = True, 0
        self._await_head()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Its head is complete, and its body the application's business."""
        if self.parser.should_upgrade():
            return
        self._stop_waiting()
        super().on_headers_complete()
        if self.gate.draining:
            self.cycle.keep_alive = False

    def on_message_complete(self) -> None:
        """It is complete."""
        if self.parser.should_upgrade():
            return
        self.receiving = False
        super().on_message_complete()

    def drain(self) -> None:
        """End after the next answer, or after a second of silence."""
        if self._busy():
            self.cycle.keep_alive = False
        else:
            self.loop.call_later(_SILENCE, self._close_if_silent)

    def send_400_response(self, msg: str) -> None:
        """What cannot be parsed."""
        self._refuse(400, "this is not a valid HTTP request")

    def _parsed_head(self) -> tuple[bytes, list[tuple[bytes, bytes]]]:
        line = b"%b %b HTTP/%b\r\n" % (self.parser.get_method(), self.url, self.parser.get_http_version().encode())
        return line, self.headers

    def _busy(self) -> bool:
        """Whether a request is being answered; before the first one there is no cycle, whatever its type says."""
        cycle = cast("RequestResponseCycle | None", self.cycle)
        return cycle is not None and not cycle.response_complete

    def _close_if_silent(self) -> None:
        if not self.receiving and not self._busy() and not self.transport.is_closing():
            self.transport.close()

    def _await_head(self) -> None:
        self._stop_waiting()
        self.deadline = self.loop.call_later(self.gate.head_timeout, self._expire)

    def _stop_waiting(self) -> None:
        if self.deadline is not None:
            self.deadline.cancel()
            self.deadline = None

    def _expire(self) -> None:
        self.deadline = None
        if self.receiving:
            self._refuse(408, "the request took too long to arrive")
        else:
            self.transport.close()

    def _refuse(self, status: int, message: str) -> None:
        self._stop_waiting()
        body = orjson.dumps({"error": message})
        head = b"content-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % len(body)
        self.transport.write(STATUS_LINE[status] + head + body)
        self.transport.close()
