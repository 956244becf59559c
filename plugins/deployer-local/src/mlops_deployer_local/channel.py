"""Questions and answers as JSON lines over a socket, between supervisor and worker, and between a deploying process and the supervisor."""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
import socket
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Handler = Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]

__all__ = ["LIMIT", "Channel", "RefusalError", "answer_all", "ask_once"]

_LOG: Final = logging.getLogger("mlops_core.deployer.local")
LIMIT: Final = 16 << 20
"""Bytes of the longest line: routes of thousands of endpoints fit."""


class RefusalError(Exception):
    """The other side answered with an error; ``kind`` tells a conflict from the rest."""

    def __init__(self, message: str, kind: str = "error", head: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.kind = kind
        self.head = head


class Channel:
    """Questions to the other side, each with a number, so that none waits for the answer of another."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._numbers = itertools.count()
        self._open: dict[int, asyncio.Future[dict[str, Any] | None]] = {}
        self._hearing = asyncio.create_task(self._hear())

    async def ask(self, question: dict[str, Any]) -> dict[str, Any]:
        """One question, one answer.

        Raises:
            RefusalError: The answer is an error.
            ConnectionError: The other side has gone.
        """
        if self._hearing.done():
            raise ConnectionError("the other side has gone")
        number = next(self._numbers)
        self._open[number] = answered = asyncio.get_running_loop().create_future()
        try:
            self._writer.write(json.dumps({**question, "number": number}).encode() + b"\n")
            await self._writer.drain()
            answer = await answered
        finally:
            del self._open[number]
        if answer is None:
            raise ConnectionError("the other side has gone")
        return _accepted(answer)

    def close(self) -> None:
        """Ask nothing more."""
        self._writer.close()

    async def _hear(self) -> None:
        try:
            while line := await self._reader.readline():
                answer = json.loads(line)
                number = answer.pop("number", None)  # none of a process of an earlier release, which answers one after the other
                answered = self._open.get(next(iter(self._open), -1) if number is None else number)
                if answered is not None and not answered.done():
                    answered.set_result(answer)
        except (OSError, ValueError) as error:
            _LOG.warning("channel: an answer could not be read: %s", error)
        finally:
            for answered in self._open.values():
                if not answered.done():
                    answered.set_result(None)


async def answer_all(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, handle: Handler) -> None:
    """Begin to answer questions in the order in which they come, until the other side has gone; returns once all are answered."""
    async with asyncio.TaskGroup() as answering:
        while line := await reader.readline():
            answering.create_task(_answer(json.loads(line), writer, handle))


async def _answer(question: dict[str, Any], writer: asyncio.StreamWriter, handle: Handler) -> None:
    try:
        answer = await handle(question)
    except RefusalError as refusal:
        answer = {"error": refusal.message, "kind": refusal.kind, "head": refusal.head}
    writer.write(json.dumps({**answer, "number": question.get("number")}).encode() + b"\n")
    await writer.drain()


def ask_once(port: int, question: dict[str, Any], timeout: float) -> dict[str, Any]:
    """The same for a caller without an event loop, on a connection of its own over the loopback interface."""
    with socket.create_connection(("127.0.0.1", port), timeout) as connection, connection.makefile("rwb") as stream:
        stream.write(json.dumps(question).encode() + b"\n")
        stream.flush()
        line = stream.readline(LIMIT)
    if not line:
        raise ConnectionError("the supervisor has gone")
    return _accepted(json.loads(line))


def _accepted(answer: dict[str, Any]) -> dict[str, Any]:
    if "error" in answer:
        raise RefusalError(answer["error"], answer.get("kind", "error"), answer.get("head"))
    return answer
