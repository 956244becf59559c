"""The supervisor's serving processes: hired together, replaced together, and one by one when they crash."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from mlops_deployer_local.channel import LIMIT, RefusalError, ask
from mlops_deployer_local.process import Process, started

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mlops_deployer_local.state import ServerState

__all__ = ["Crew", "Member", "Plan"]

_LOG: Final = logging.getLogger("mlops_core.deployer.local")
_ANSWER: Final = 10.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0


@dataclass(frozen=True)
class Plan:
    """How to serve: ``command`` starts a process; times in seconds, ``patience`` for an end, ``loading`` for the load of a process."""

    command: tuple[str, ...]
    host: str
    port: int
    workers: int
    patience: float
    loading: float


class Member:
    """One serving process."""

    def __init__(self, process: asyncio.subprocess.Process, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.process = process
        self.identity: Process = (process.pid, started(process.pid) or "")
        self.versions: set[tuple[str, str]] = set()
        self._reader, self._writer = reader, writer
        self._asking = asyncio.Lock()

    @classmethod
    async def spawn(cls, command: Sequence[str], listener: socket.socket) -> Member:
        """Start a process that has the listening socket and a channel to this one."""
        ours, theirs = socket.socketpair()
        with theirs:
            handles = (theirs.fileno(), listener.fileno())
            process = await asyncio.create_subprocess_exec(
                *command, "worker", *map(str, handles), pass_fds=handles, stdin=asyncio.subprocess.DEVNULL
            )
        return cls(process, *await asyncio.open_connection(sock=ours, limit=LIMIT))

    async def ask(self, question: dict[str, Any], limit: float = _ANSWER) -> dict[str, Any]:
        """One question; a process that does not answer in time is ended, and counts as gone.

        Raises:
            ConnectionError: It has gone.
        """
        try:
            async with self._asking, asyncio.timeout(limit):
                return await ask(self._reader, self._writer, question)
        except TimeoutError as error:
            self.kill()
            raise ConnectionError(f"no answer within {limit:g} s") from error

    async def load(self, versions: Sequence[tuple[str, str]], limit: float) -> list[str]:
        """Load versions; answers a fault, or nothing, for each."""
        faults: list[str] = (await self.ask({"op": "load", "versions": versions}, limit))["faults"]
        self.versions |= {pair for pair, fault in zip(versions, faults, strict=True) if not fault}
        return faults

    def kill(self) -> None:
        """End it at once."""
        with contextlib.suppress(ProcessLookupError):  # it has ended already
            self.process.kill()

    async def end(self, patience: float) -> None:
        """Let it answer what it has begun, for at most ``patience`` seconds."""
        with contextlib.suppress(ProcessLookupError):  # it has ended already
            self.process.terminate()
        try:
            async with asyncio.timeout(patience):
                await self.process.wait()
        except TimeoutError:
            _LOG.warning("worker %d: still busy after %g s, ended", self.process.pid, patience)
            self.kill()
            await self.process.wait()
        self._writer.close()


class Crew:
    """The processes that answer, and those that are on their way out.

    ``state`` answers the state that processes are to follow, ``changed`` is called whenever the list of processes changes.
    """

    def __init__(self, plan: Plan, listener: socket.socket, state: Callable[[], ServerState], changed: Callable[[], None]) -> None:
        self.active: list[Member] = []
        self.coming: list[Member] = []
        self.leaving: dict[Member, asyncio.Task[None]] = {}
        self._command, self._size = plan.command, plan.workers
        self._patience, self._loading = plan.patience, plan.loading
        self._listener, self._state, self._changed = listener, state, changed
        self._watches: set[asyncio.Task[None]] = set()

    @property
    def processes(self) -> list[Process]:
        """Every process that answers requests, is about to, or still ends some."""
        return [member.identity for member in (*self.active, *self.coming, *self.leaving)]

    async def hire(self, versions: Sequence[tuple[str, str]], limit: float, *, strict: bool, size: int | None = None) -> list[Member]:
        """Fresh processes with these versions loaded; none answers yet.

        Raises:
            RefusalError: ``strict`` and a version does not load, or a process died over it.
        """
        fresh: list[Member] = []
        try:
            for _ in range(self._size if size is None else size):
                fresh.append(await Member.spawn(self._command, self._listener))  # noqa: PERF401  those before are ended if one fails
            for faults in await asyncio.gather(*(member.load(versions, limit) for member in fresh)):
                _report(faults, strict=strict)
        except BaseException as error:
            await _discard(fresh)
            if isinstance(error, ConnectionError):
                code = fresh[-1].process.returncode if fresh else None
                raise RefusalError(
                    f"the serving process ended while it loaded ({error}; exit status {code}) - its log says more"
                ) from error
            raise
        return fresh

    async def take_over(self, fresh: Sequence[Member]) -> None:
        """The fresh ones answer from now on, the others leave. Fails nobody: both have the same listening socket."""
        await self._let_accept(fresh)
        before, self.active = self.active, []
        for member in before:
            self.leaving[member] = asyncio.create_task(self._see_off(member))
        for member in fresh:
            self._join(member)
        self._changed()

    async def sync(self) -> None:
        """All follow the newest state when this returns.

        One that is leaving and lacks a version that is routed now goes on by the routes it has, and is waited for.
        """
        state = self._state()
        needed = {(name, version) for name, one in state.endpoints.items() for version in one.routed()}
        late = [task for member, task in self.leaving.items() if not needed <= member.versions]
        for member in (*self.active, *(one for one in self.leaving if needed <= one.versions)):
            with contextlib.suppress(ConnectionError):  # it died: whoever replaces it begins with the newest state
                await member.ask({"op": "sync", "state": state.plain()})
        if late:
            await asyncio.wait(late)

    async def dismiss(self) -> None:
        """All leave."""
        for watch in self._watches:
            watch.cancel()
        await asyncio.gather(*(member.end(self._patience) for member in self.active), *self.leaving.values())
        self.active = []

    async def _see_off(self, member: Member) -> None:
        await member.end(self._patience)
        del self.leaving[member]
        self._changed()

    async def _watch(self, member: Member) -> None:
        """Replace a process that ends without having been told to."""
        await member.process.wait()
        if member not in self.active:
            return
        _LOG.warning("worker %d: ended with status %s, replaced", member.process.pid, member.process.returncode)
        self.active.remove(member)
        pause = _FIRST_PAUSE
        while len(self.active) < self._size:
            try:
                await self._replace()
            except (RefusalError, ConnectionError, OSError) as error:
                _LOG.error("worker: not replaced, tried again in %g s: %s", pause, error)
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)

    async def _replace(self) -> None:
        (fresh,) = await self.hire(self._state().versions(), self._loading, strict=False, size=1)
        await self._let_accept([fresh])
        self._join(fresh)
        self._changed()

    async def _let_accept(self, fresh: Sequence[Member]) -> None:
        """They begin to answer. They are known before they do, so that no crash leaves one that nobody knows."""
        self.coming = list(fresh)
        self._changed()
        try:
            for member in fresh:
                await member.ask({"op": "accept", "state": self._state().plain()})
        except BaseException:
            await _discard(fresh)
            raise
        finally:
            self.coming = []

    def _join(self, member: Member) -> None:
        self.active.append(member)
        watch = asyncio.create_task(self._watch(member))
        self._watches.add(watch)
        watch.add_done_callback(self._watches.discard)


async def _discard(members: Sequence[Member]) -> None:
    for member in members:
        member.kill()
        await member.process.wait()


def _report(faults: Sequence[str], *, strict: bool) -> None:
    for fault in filter(None, faults):
        if strict:
            raise RefusalError(fault)
        _LOG.error("worker: %s", fault)
