"""Connections whose clients break off, hold on or never read, by a clock that the test moves."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, Any

import pytest
from attrs import define, field

from mlops_core.exceptions import DeploymentError
from mlops_deployer_local.answers import Answer, Reply
from mlops_deployer_local.app import App, Limits
from mlops_deployer_local.runner import Pace
from mlops_deployer_local.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping

    from mlops_core.roles import Clock, Predictor, Recorder

KEEP, PATIENCE, DRAIN = 1000.0, 10_000.0, 100_000.0  # of the test's clock: that of the machine never gets there
POST = b"POST /invocations HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
HEALTH = b"GET /ping HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer right\r\n"


class Host:
    """Ports of a process that serves nothing: one token is right."""

    tenant = "acme"
    clock: Clock

    def authenticate(self, token: str | None) -> str | None:
        if token != "right":
            raise DeploymentError("token: missing or wrong")
        return "acme"

    def __getattr__(self, name: str) -> Predictor | Recorder:
        raise AssertionError(f"nobody asks for {name}")


@define(eq=False)
class Bench:
    """A worker in this process. Requests that are complete when they arrive get their answers from the test, if it ``holds`` them."""

    worker: Worker
    moved: float = 0.0
    replies: list[Reply] = field(factory=list)

    @classmethod
    def open(cls) -> Bench:
        listener = socket.create_server(("127.0.0.1", 0))
        app = App(Host(), "staging", Limits(1_000_000, PATIENCE))  # type: ignore[arg-type]  # the ports that are asked for
        bench = cls(Worker(app.host, app, Pace(), KEEP, DRAIN, listener))
        loop = asyncio.get_running_loop()
        time = loop.time
        loop.time = lambda: time() + bench.moved  # type: ignore[method-assign]  # the clock of all timers
        bench.worker.accept()
        return bench

    def hold(self) -> None:
        def begin(scope: Mapping[str, Any], body: bytes, reply: Reply) -> None:
            self.replies.append(reply)

        self.worker._gate.begin = begin  # noqa: SLF001  where a prediction would begin

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(*self.worker.listener.getsockname())

    async def pass_by(self, seconds: float) -> None:
        self.moved += seconds
        await settled()

    @property
    def connections(self) -> int:
        return len(self.worker._state.connections)  # noqa: SLF001  what a process waits for


async def settled() -> None:
    """All that is ready has been done."""
    for _ in range(20):
        await asyncio.sleep(0)
    await asyncio.sleep(0.05)


async def until(true: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not true():  # noqa: ASYNC110  there is no event for it
            await asyncio.sleep(0.005)


def run(test: Callable[[Bench], Coroutine[Any, Any, None]]) -> None:
    async def act() -> None:
        bench = Bench.open()
        try:
            await test(bench)
        finally:
            await bench.worker._leave_new_ones()  # noqa: SLF001  its end, without those that hold on

    asyncio.run(act())


@pytest.mark.parametrize("draining", [False, True])
def test_who_goes_on_sending_what_is_answered_already_is_let_go(draining: bool) -> None:  # noqa: FBT001  a parameter of pytest
    async def test(bench: Bench) -> None:
        reader, writer = await bench.connect()
        writer.write(POST % 1_000_000)
        assert (await reader.readuntil(b"\r\n")).startswith(b"HTTP/1.1 401")
        assert bench.connections == 1
        writer.write(b"x")
        await settled()
        if draining:
            drained = asyncio.create_task(bench.worker.drain())
            await settled()
            await bench.pass_by(2)
            await drained
        else:
            for _ in range(9):
                writer.write(b"x")
                await bench.pass_by(PATIENCE / 8)
        await until(lambda: bench.connections == 0)
        assert b"HTTP/1.1" not in await reader.read(), "and is not told anything further"
        writer.close()

    run(test)


def test_a_body_that_ends_after_its_answer_leaves_a_connection_that_can_be_used() -> None:
    async def test(bench: Bench) -> None:
        reader, writer = await bench.connect()
        writer.write(POST % 3 + b"a")
        await reader.readuntil(b"error")
        writer.write(b"b")
        await bench.pass_by(PATIENCE / 2)
        writer.write(b"c")
        await settled()
        await bench.pass_by(KEEP / 2)
        writer.write(HEALTH + b"\r\n")
        assert b"HTTP/1.1 200" in await reader.readuntil(b"true")
        await bench.pass_by(KEEP * 1.5)
        await until(lambda: bench.connections == 0)
        writer.close()

    run(test)


@pytest.mark.parametrize("after", [HEALTH + b"\r\n", HEALTH + b"Content-Length: 2\r\n\r\n|ab"])
def test_an_empty_line_does_not_keep_a_connection(after: bytes) -> None:
    """Some clients send one after a body. Whether the request came in one piece or two, other timers run."""

    async def test(bench: Bench) -> None:
        reader, writer = await bench.connect()
        for piece in after.split(b"|"):
            writer.write(piece)
            await settled()
        await reader.readuntil(b"true")
        writer.write(b"\r\n")
        await settled()
        await bench.pass_by(KEEP / 2)
        assert bench.connections == 1
        await bench.pass_by(KEEP)
        await until(lambda: bench.connections == 0)
        writer.close()

    run(test)


def test_a_connection_is_kept_while_it_is_used_and_let_go_when_it_is_silent() -> None:
    async def test(bench: Bench) -> None:
        reader, writer = await bench.connect()
        for _ in range(4):
            writer.write(HEALTH + b"\r\n")
            await reader.readuntil(b"true")
            await bench.pass_by(KEEP * 0.7)
            assert bench.connections == 1
        await bench.pass_by(KEEP * 0.4)
        await until(lambda: bench.connections == 0)
        writer.close()

    run(test)


@pytest.mark.parametrize("behind", [b"POST /inv", b"\x00garbage\r\n\r\n", b"GET / HTTP/1.1\r\nX-Long: " + b"a" * 70_000])
def test_what_is_wrong_behind_a_request_does_not_take_its_answer(behind: bytes) -> None:
    async def test(bench: Bench) -> None:
        bench.hold()
        reader, writer = await bench.connect()
        writer.write(POST % 1 + b"1" + POST % 1 + b"2" + behind)
        await until(lambda: bench.replies)
        await bench.pass_by(PATIENCE * 2)
        assert bench.connections == 1
        bench.replies[0](Answer(200, b'"first"'))
        said = await reader.read()
        assert (said.count(b"HTTP/1.1 200"), said.count(b"HTTP/1.1 401")) == (1, 1), "the second one has no token"
        assert said.index(b'"first"') < said.index(b"401")
        writer.close()

    run(test)


def test_a_body_that_breaks_behind_a_request_does_not_take_its_answer() -> None:
    async def test(bench: Bench) -> None:
        bench.hold()
        reader, writer = await bench.connect()
        chunked = b"POST /invocations HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nno size\r\n"
        writer.write(POST % 1 + b"1" + chunked)
        await until(lambda: bench.replies)
        bench.replies[0](Answer(200, b'"first"'))
        said = await reader.read()
        assert (said.count(b"HTTP/1.1 "), said[-7:]) == (1, b'"first"')
        writer.close()

    run(test)


def test_who_does_not_take_an_answer_is_let_go() -> None:
    async def test(bench: Bench) -> None:
        bench.hold()
        client = socket.create_connection(bench.worker.listener.getsockname())
        client.sendall(POST % 1 + b"1")
        await until(lambda: bench.replies)
        bench.replies[0](Answer(200, b"x" * 50_000_000))
        await bench.pass_by(KEEP * 2)
        assert bench.connections == 1, "it may still be taking it"
        await bench.pass_by(PATIENCE * 1.1)
        await until(lambda: bench.connections == 0)
        client.close()

    run(test)


def test_no_client_holds_a_process_back_for_longer_than_its_patience() -> None:
    async def test(bench: Bench) -> None:
        bench.hold()
        reader, writer = await bench.connect()
        writer.write(POST % 1 + b"1")
        await until(lambda: bench.replies)
        drained = asyncio.create_task(bench.worker.drain())
        await settled()
        await bench.pass_by(DRAIN * 0.9)
        assert not drained.done()
        await bench.pass_by(DRAIN * 0.2)
        await drained
        assert (bench.connections, reader.at_eof()) == (1, False)
        writer.close()

    run(test)
