"""Questions and answers as JSON lines over a socket, between supervisor and worker, and between a deploying process and the supervisor."""

from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable

    Handler = Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]

__all__ = ["LIMIT", "RefusalError", "answer_all", "ask", "ask_once"]

LIMIT: Final = 16 << 20
"""Bytes of the longest line: routes of thousands of endpoints fit."""


class RefusalError(Exception):
    """The other side answered with an error; ``kind`` tells a conflict from the rest."""

    def __init__(self, message: str, kind: str = "error", head: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.kind = kind
        self.head = head


async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, question: dict[str, Any]) -> dict[str, Any]:
    """One question, one answer.

    Raises:
        RefusalError: The answer is an error.
        ConnectionError: The other side has gone.
    """
    writer.write(json.dumps(question).encode() + b"\n")
    await writer.drain()
    line = await reader.readline()
    if not line:
        raise ConnectionError("the other side has gone")
    return _accepted(json.loads(line))


async def answer_all(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, handle: Handler) -> None:
    """Answer questions, one after the other, until the other side has gone."""
    while line := await reader.readline():
        try:
            answer = await handle(json.loads(line))
        except RefusalError as refusal:
            answer = {"error": refusal.message, "kind": refusal.kind, "head": refusal.head}
        writer.write(json.dumps(answer).encode() + b"\n")
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
