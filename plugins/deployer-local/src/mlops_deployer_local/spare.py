"""A serving process that was started ahead: whoever takes the place of one that died has only its versions left to load."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from mlops_deployer_local.member import Member

if TYPE_CHECKING:
    import socket

    from mlops_deployer_local.member import Plan

__all__ = ["Spare"]

_LOG: Final = logging.getLogger("mlops_core.deployer.local")
_REST: Final = 1.0  # seconds in which what was just loaded has the processors for itself
_PATIENCE: Final = 5.0


class Spare:
    """At most one process, without versions. It is on no list: it answers nobody, and ends by itself if its supervisor does."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self._timer: asyncio.TimerHandle | None = None
        self._coming: asyncio.Task[Member] | None = None
        self._endings: set[asyncio.Task[None]] = set()

    def prepare(self, plan: Plan) -> None:
        """Start one soon, run as this plan says; the one that is there ends, since it may be run otherwise."""
        self._let_go()
        self._timer = asyncio.get_running_loop().call_later(_REST, self._start, plan)

    async def take(self) -> list[Member]:
        """The process, whose end is the caller's business from now on; none if there is none that runs."""
        coming, self._coming = self._coming, None
        if coming is None or (member := await _started(coming)) is None or member.process.returncode is not None:
            return []
        return [member]

    async def close(self) -> None:
        """End it; no other is started."""
        self._let_go()
        await asyncio.gather(*self._endings)

    def _start(self, plan: Plan) -> None:
        self._timer = None
        if self._listener.fileno() < 0:  # the server is being shut down
            return
        self._coming = asyncio.create_task(Member.spawn(plan, self._listener))

    def _let_go(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._coming is not None:
            ending = asyncio.create_task(self._end(self._coming))
            self._coming = None
            self._endings.add(ending)
            ending.add_done_callback(self._endings.discard)

    async def _end(self, coming: asyncio.Task[Member]) -> None:
        if (member := await _started(coming)) is not None:
            await member.end(_PATIENCE)


async def _started(coming: asyncio.Task[Member]) -> Member | None:
    try:
        return await coming
    except OSError as error:
        _LOG.warning("worker: none could be started ahead: %s", error)
        return None
