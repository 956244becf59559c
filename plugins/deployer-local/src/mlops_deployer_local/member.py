"""One serving process, as its supervisor sees it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from mlops_deployer_local.channel import LIMIT, Channel
from mlops_deployer_local.process import Process, started

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Self

    Pair = tuple[str, str]

__all__ = ["Member", "Plan", "discard"]

_LOG: Final = logging.getLogger("mlops_core.deployer.local")
_ANSWER: Final = 10.0
_ENDS: Final = {0, -signal.SIGTERM}


@dataclass(frozen=True)
class Plan:
    """How to serve: ``command`` starts a process; times in seconds, ``patience`` for an end, ``loading`` for the load of a process.

    ``environ`` are the variables of the process that deployed, which its configuration may refer to. Plans that differ in them only, or in
    the patience of their load, are equal: every terminal has variables of its own, and serving is the same.
    """

    command: tuple[str, ...]
    host: str
    port: int
    workers: int
    patience: float
    loading: float = field(compare=False)
    environ: Mapping[str, str] = field(compare=False, repr=False)

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> Self:
        """From JSON values."""
        return cls(**{**plain, "command": tuple(plain["command"])})


class Member:
    """One serving process."""

    def __init__(self, process: asyncio.subprocess.Process, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.process = process
        self.identity: Process = (process.pid, started(process.pid) or "")
        self.versions: set[Pair] = set()
        self._channel = Channel(reader, writer)

    @classmethod
    async def spawn(cls, plan: Plan, listener: socket.socket) -> Self:
        """Start a process that has the listening socket and a channel to this one."""
        ours, theirs = socket.socketpair()
        with theirs:
            handles = (theirs.fileno(), listener.fileno())
            process = await asyncio.create_subprocess_exec(
                *plan.command, "worker", *map(str, handles), pass_fds=handles, stdin=asyncio.subprocess.DEVNULL, env=plan.environ
            )
        return cls(process, *await asyncio.open_connection(sock=ours, limit=LIMIT))

    async def ask(self, question: dict[str, Any], limit: float = _ANSWER) -> dict[str, Any]:
        """One question; a process that does not answer in time is ended, and counts as gone.

        Raises:
            ConnectionError: It has gone.
        """
        try:
            async with asyncio.timeout(limit):
                return await self._channel.ask(question)
        except TimeoutError as error:
            self.kill()
            raise ConnectionError(f"no answer within {limit:g} s") from error

    async def load(self, versions: Sequence[Pair], limit: float) -> dict[Pair, str]:
        """Load versions; answers the faults of those that do not load."""
        faults = zip(versions, (await self.ask({"op": "load", "versions": versions}, limit))["faults"], strict=True)
        found = {pair: fault for pair, fault in faults if fault}
        self.versions |= set(versions) - found.keys()
        return found

    def kill(self) -> None:
        """End it at once."""
        with contextlib.suppress(ProcessLookupError):  # it has ended already
            self.process.kill()

    async def end(self, patience: float) -> bool:
        """Let it answer what it has begun; answers whether it ended because it was told to, within ``patience`` seconds."""
        with contextlib.suppress(ProcessLookupError):  # it has ended already
            self.process.terminate()
        try:
            async with asyncio.timeout(patience):
                told = await self.process.wait() in _ENDS
        except TimeoutError:
            _LOG.warning("worker %d: still busy after %g s, ended", self.process.pid, patience)
            self.kill()
            await self.process.wait()
            told = False
        self._channel.close()
        return told


async def discard(members: Iterable[Member]) -> None:
    """End processes that do not answer requests."""
    for member in members:
        member.kill()
        await member.process.wait()
