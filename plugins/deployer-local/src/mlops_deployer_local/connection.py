"""One HTTP connection: uvicorn's, with deadlines, a bound on the head of a request, and an end that fails nobody.

A connection that is to end is never cut while its client may be about to send: the next answer says ``Connection: close``, and one that
stays silent is closed only after a second of silence. Whatever a client does or leaves out, a timer runs: for the head of a request, for a
body whose answer is known already, for silence, and for an answer that is not taken.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final, cast

import orjson
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from mlops_deployer_local.answers import Answer, Reply
from mlops_deployer_local.parser import Parser

if TYPE_CHECKING:
    import asyncio

    from uvicorn._types import ASGI3Application
    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

__all__ = ["Connection", "Gate"]

_HEAD_LIMIT: Final = 64 << 10
_SILENCE: Final = 1.0
_CLOSE: Final = (b"connection", b"close")
Begin = Callable[[Mapping[str, Any], bytes, Reply], None]


class Gate:
    """What all connections of a process share."""

    def __init__(self, patience: float, begin: Begin) -> None:
        self.patience, self.begin = patience, begin
        self.draining = False


class Connection(HttpToolsProtocol):
    """A client's connection."""

    def __init__(self, *args: Any, gate: Gate, **options: Any) -> None:
        super().__init__(*args, **options)
        self.parser = cast("Any", Parser(self, self._parsed_head))  # uvicorn's type is httptools' own class
        self.gate = gate
        self.head = 0
        self.receiving = False
        self.awaiting = False
        self.parsing = False
        self.refused = False
        self.arrived: RequestResponseCycle | None = None
        self.deadline: asyncio.TimerHandle | None = None
        self.ending: asyncio.TimerHandle | None = None
        self.resting = 0.0
        self.keeper: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client is there: it has a while to say what it wants."""
        super().connection_made(cast("asyncio.Transport", transport))
        self._await_head()
        if self.gate.draining:
            self.drain()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client has gone."""
        self._stop_waiting()
        for timer in (self.keeper, self.ending):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Bytes came; behind those it began with, the head of a request may have only so many."""
        if self.refused:
            return
        self.head += len(data)
        self.parsing = True
        super().data_received(data)
        self.parsing = False
        if self.arrived is not None:
            cycle, self.arrived = self.arrived, None
            self._begin(cycle)
        if self.transport.is_closing():
            return
        if self.awaiting:
            if self.head > _HEAD_LIMIT:
                self._refuse(431, "the head of the request is too large")
            elif self.deadline is None:
                self._await_head()
        elif self.keeper is None and not self.receiving and not self._busy():
            self._let_go()  # what came was no request, and ended the wait for one

    def on_message_begin(self) -> None:
        """A request begins."""
        self.receiving, self.head = True, 0
        self._stop_waiting()
        self.awaiting = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Its head is complete, and its body the application's business."""
        if self.parser.should_upgrade():
            return
        self._stop_waiting()
        self.awaiting = False
        super().on_headers_complete()
        if self.gate.draining:
            self.cycle.keep_alive = False

    def on_message_complete(self) -> None:
        """It is complete."""
        if self.parser.should_upgrade():
            return
        self.receiving = False
        if self.cycle.response_complete:
            self._stop_waiting()
            self.resting = self.loop.time()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """An answer is written."""
        self.resting = self.loop.time()
        if self.refused and not self.pipeline:
            self.transport.close()
        super().on_response_complete()
        if self.transport.is_closing():
            self._end()
        elif self._is_early():
            self._expect()

    def timeout_keep_alive_handler(self) -> None:
        """It was silent for long enough."""
        self._end()

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

    def _is_early(self) -> bool:
        """Whether the request whose body is being received has its answer already."""
        return self.receiving and not self.awaiting and self.cycle.response_complete

    def _is_behind(self) -> bool:
        """Whether another request is answered before the one that is being received, if there is one."""
        if self.receiving and not self.awaiting:
            return any(cycle is self.cycle for cycle, _ in self.pipeline)
        return self._busy()

    def _close_if_silent(self) -> None:
        if not self._busy() and (not self.receiving or self._is_early()):
            self._end()

    def _end(self) -> None:
        """Close it: what is written may still be taken, for as long as a request may take to arrive."""
        self.transport.close()
        if self.ending is None and self.transport.get_write_buffer_size():
            self.ending = self.loop.call_later(self.gate.patience, self.transport.abort)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        """Wait for the end of what is being parsed: a request that is there as a whole needs no task."""
        if self.parsing and self.arrived is None:
            self.arrived = cycle
        else:
            super()._start_asgi_task(cycle, app)

    def _begin(self, cycle: RequestResponseCycle) -> None:
        if cycle.more_body or self.flow.write_paused or self.transport.is_closing():
            super()._start_asgi_task(cycle, self.app)
        else:
            self.gate.begin(cycle.scope, bytes(cycle.body), partial(self._reply, cycle))

    def _reply(self, cycle: RequestResponseCycle, answer: Answer) -> None:
        """Write head and body in one piece: each write is a call of the system and a packet."""
        cycle.response_started = cycle.response_complete = True
        if cycle.disconnected:
            return
        closing = not cycle.keep_alive or _CLOSE in answer.headers or (self.refused and not self.pipeline)
        head = [STATUS_LINE[answer.status], b"content-type: %b\r\ncontent-length: %d\r\n" % (answer.kind, len(answer.body))]
        head += [b"%b: %b\r\n" % one for one in answer.headers]
        if closing and _CLOSE not in answer.headers:
            head.append(b"connection: close\r\n")
        head += [b"\r\n", answer.body if cycle.scope["method"] != "HEAD" else b""]
        self.transport.write(b"".join(head))
        if closing:
            self._end()
        elif self.pipeline:
            self.on_response_complete()
        else:
            self._rest()

    def _rest(self) -> None:
        """Keep the connection while it is silent, for a while: by one timer for many requests, where uvicorn has one for each."""
        self.flow.resume_reading()
        self.resting = self.loop.time()
        if self.keeper is None:
            self.keeper = self.loop.call_later(self.timeout_keep_alive, self._let_go)

    def _let_go(self) -> None:
        self.keeper = None
        if self.receiving or self._busy() or self.timeout_keep_alive_task is not None:
            return  # whoever answers keeps it then
        left = self.resting + self.timeout_keep_alive - self.loop.time()
        if left > 0:
            self.keeper = self.loop.call_later(left, self._let_go)
        else:
            self._end()

    def _await_head(self) -> None:
        self.awaiting = True
        self._expect()

    def _expect(self) -> None:
        self._stop_waiting()
        self.deadline = self.loop.call_later(self.gate.patience, self._expire)

    def _stop_waiting(self) -> None:
        if self.deadline is not None:
            self.deadline.cancel()
            self.deadline = None

    def _expire(self) -> None:
        self.deadline = None
        if self.receiving:
            self._refuse(408, "the request took too long to arrive")
        else:
            self._end()

    def _refuse(self, status: int, message: str) -> None:
        """Answer and close. Where others are answered before, or this one has been, there is no place for an answer: only for the end."""
        self._stop_waiting()
        if self._is_behind():
            self.refused = True
            if self.receiving and not self.awaiting:
                self.pipeline.popleft()
            return
        if self._is_early():
            self._end()
            return
        body = orjson.dumps({"error": message})
        head = b"content-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % len(body)
        self.transport.write(STATUS_LINE[status] + head + body)
        self._end()
