"""Questions that are open at the same time."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest

from mlops_deployer_local.channel import Channel, RefusalError, answer_all


class Other:
    """The other side, which answers ``slow`` once ``done`` is set."""

    def __init__(self) -> None:
        self.done, self.heard = asyncio.Event(), asyncio.Event()

    async def obey(self, question: dict[str, Any]) -> dict[str, Any]:
        if question["op"] == "refused":
            raise RefusalError("it is not", "conflict", 3)
        if question["op"] == "slow":
            self.heard.set()
            await self.done.wait()
        return {"said": question["op"]}


async def connected(other: Other) -> tuple[Channel, asyncio.Task[None], asyncio.StreamWriter]:
    ours, theirs = socket.socketpair()
    channel = Channel(*await asyncio.open_connection(sock=ours))
    reader, writer = await asyncio.open_connection(sock=theirs)
    return channel, asyncio.create_task(answer_all(reader, writer, other.obey)), writer


def test_a_question_waits_for_no_answer_of_another() -> None:
    async def act() -> None:
        other = Other()
        channel, answering, writer = await connected(other)
        slow = asyncio.create_task(channel.ask({"op": "slow"}))
        await other.heard.wait()

        assert await channel.ask({"op": "fast"}) == {"said": "fast"}
        with pytest.raises(RefusalError, match="it is not") as refused:
            await channel.ask({"op": "refused"})
        assert (refused.value.kind, refused.value.head) == ("conflict", 3)
        assert not slow.done()
        other.done.set()
        assert await slow == {"said": "slow"}
        channel.close()
        await answering
        writer.close()

    asyncio.run(act())


@pytest.mark.parametrize("answer", [b'{"said": "fast"}', b"no JSON"])
def test_a_process_of_an_earlier_release_is_understood_and_what_is_no_answer_keeps_nobody_waiting(answer: bytes) -> None:
    async def act() -> None:
        ours, theirs = socket.socketpair()
        channel = Channel(*await asyncio.open_connection(sock=ours))
        reader, writer = await asyncio.open_connection(sock=theirs)
        asked = asyncio.create_task(channel.ask({"op": "fast"}))
        await reader.readline()
        writer.write(answer + b"\n")
        await writer.drain()
        if answer.startswith(b"{"):
            assert await asked == {"said": "fast"}
        else:
            with pytest.raises(ConnectionError, match="the other side has gone"):
                await asked
        channel.close()
        writer.close()

    asyncio.run(act())


def test_whoever_waits_hears_that_the_other_side_has_gone() -> None:
    async def act() -> None:
        other = Other()
        channel, answering, writer = await connected(other)
        slow = asyncio.create_task(channel.ask({"op": "slow"}))
        await other.heard.wait()
        answering.cancel()
        writer.close()

        for question in (slow, channel.ask({"op": "fast"})):
            with pytest.raises(ConnectionError, match="the other side has gone"):
                await question
        channel.close()

    asyncio.run(act())


def test_an_answer_that_comes_too_late_is_dropped() -> None:
    async def act() -> None:
        other = Other()
        channel, answering, writer = await connected(other)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await channel.ask({"op": "slow"})
        other.done.set()

        assert await channel.ask({"op": "fast"}) == {"said": "fast"}
        channel.close()
        await answering
        writer.close()

    asyncio.run(act())
