"""The supervisor's serving processes: hired together, replaced together, and one by one when they crash."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from mlops_deployer_local.channel import RefusalError
from mlops_deployer_local.counts import holders
from mlops_deployer_local.member import Member, Plan, discard
from mlops_deployer_local.spare import Spare

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Collection, Iterable, Sequence

    from mlops_deployer_local.process import Process
    from mlops_deployer_local.state import StateFile

    Pair = tuple[str, str]

__all__ = ["Crew"]

_LOG: Final = logging.getLogger("mlops_core.deployer.local")
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0


class Crew:
    """The processes that answer, and those that are on their way out.

    ``state`` is what processes are to follow; ``changing`` guards it and who belongs to the crew, and whoever calls ``take_over``, ``sync``
    or ``lacks`` holds it; ``changed`` is called whenever the list of processes changes.
    """

    def __init__(self, plan: Plan, listener: socket.socket, state: StateFile, changing: asyncio.Lock, changed: Callable[[], None]) -> None:
        self.plan = plan
        self.active: list[Member] = []
        self.coming: list[Member] = []
        self.leaving: dict[Member, asyncio.Task[None]] = {}
        self._listener, self._state, self._changing, self._changed = listener, state, changing, changed
        self._watches: set[asyncio.Task[None]] = set()
        self._spare = Spare(listener)

    @property
    def processes(self) -> list[Process]:
        """Every process that answers requests, is about to, or still ends some."""
        return [member.identity for member in (*self.active, *self.coming, *self.leaving)]

    def lacks(self, pairs: Iterable[Pair]) -> set[Pair]:
        """Those of these versions that some process does not have."""
        return {pair for pair in pairs if any(pair not in member.versions for member in self.active)}

    async def hire(
        self, plan: Plan, versions: Sequence[Pair], limit: float, *, needed: Collection[Pair] = (), started: Sequence[Member] = ()
    ) -> list[Member]:
        """Fresh processes with these versions loaded; none answers yet. A version that does not load is logged, and they lack it.

        Those that are ``started`` are all, if there are any.

        Raises:
            RefusalError: A version that is ``needed`` does not load, or a process died over one.
        """
        fresh = list(started)
        try:
            for _ in range(0 if started else plan.workers):
                fresh.append(await Member.spawn(plan, self._listener))  # noqa: PERF401  those before are ended if one fails
            for faults in await asyncio.gather(*(member.load(versions, limit) for member in fresh)):
                _report(faults, needed)
        except BaseException as error:
            await discard(fresh)
            self._changed()  # what they left behind is taken in
            if isinstance(error, ConnectionError):
                code = fresh[-1].process.returncode if fresh else None
                raise RefusalError(
                    f"the serving process ended while it loaded ({error}; exit status {code}) - its log says more"
                ) from error
            raise
        return fresh

    async def take_over(self, fresh: Sequence[Member], plan: Plan) -> None:
        """The fresh ones alone take new connections when this returns; the others leave. Fails nobody: all share the listening socket."""
        await self._let_accept(fresh)
        await asyncio.gather(*(member.ask({"op": "leave"}) for member in self.active), return_exceptions=True)  # or it has gone already
        before, self.active, self.plan = self.active, [], plan
        for member in before:
            self.leaving[member] = asyncio.create_task(self._see_off(member))
        for member in fresh:
            self._join(member)
        self._changed()
        self._spare.prepare(plan)

    async def load_beside(self, pair: Pair, limit: float) -> None:
        """Load a version in the processes that answer.

        Raises:
            RefusalError: It does not load.
        """
        for faults in await asyncio.gather(*(member.load([pair], limit) for member in self.active)):
            _report(faults, [pair])

    async def sync(self) -> None:
        """All follow the newest state when this returns.

        One that is leaving and lacks a version that is routed now goes on by the routes it has, and is waited for.
        """
        state = self._state.now
        needed, kept = state.routed(), set(state.versions())
        late = [task for member, task in self.leaving.items() if not needed <= member.versions]
        following = [*self.active, *(one for one in self.leaving if needed <= one.versions)]
        question = {"op": "sync", "state": state.plain()}
        answers = await asyncio.gather(*(member.ask(question) for member in following), return_exceptions=True)  # none waits for another
        for member, answer in zip(following, answers, strict=True):
            if isinstance(answer, dict):
                member.versions &= kept
            elif not isinstance(answer, ConnectionError):  # it died: whoever replaces it begins with the newest state
                raise answer
        if late:
            await asyncio.wait(late)

    async def dismiss(self) -> None:
        """All leave."""
        for watch in self._watches:
            watch.cancel()
        await asyncio.gather(*self._watches, return_exceptions=True)
        await self._spare.close()
        await asyncio.gather(*(member.end(self.plan.patience) for member in self.active), *self.leaving.values())
        self.active = []

    async def _see_off(self, member: Member) -> None:
        if not await member.end(self.plan.patience):
            self._count(member)
        del self.leaving[member]
        self._changed()

    async def _watch(self, member: Member) -> None:
        """Replace a process that ends without having been told to."""
        await member.process.wait()
        if member not in self.active:
            return
        self.active.remove(member)
        self._count(member)
        pause = _FIRST_PAUSE
        while len(self.active) < self.plan.workers:
            try:
                await self._replace()
            except (RefusalError, ConnectionError, OSError) as error:
                _LOG.error("worker: not replaced, tried again in %g s: %s", pause, error)
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)

    def _count(self, member: Member) -> None:
        """Requests that it had begun are lost, and nobody else tells of them."""
        _LOG.warning("worker %d: ended with status %s", member.process.pid, member.process.returncode)
        held = {f"{tenant}/{model}" for tenant, model in holders(self._state.path.parent / "metrics", member.process.pid)}
        self._state.change(lambda state: state.crash(held))

    async def _replace(self) -> None:
        """Have one more process, unless what it was hired for has changed meanwhile: a load has replaced the crew, or was acknowledged."""
        plan, versions = self.plan, self._state.now.versions()
        started = await self._spare.take() or [await Member.spawn(plan, self._listener)]
        fresh = await self.hire(plan, versions, plan.loading, started=started)
        try:
            async with self._changing:
                if plan == self.plan and len(self.active) < plan.workers and set(self._state.now.versions()) <= set(versions):
                    lacking = set(versions) - fresh[0].versions
                    self._state.change(lambda state: state.forget(lacking))
                    await self._let_accept(fresh)
                    self._join(fresh.pop())
                    self._changed()
        finally:
            await discard(fresh)
            self._spare.prepare(self.plan)

    async def _let_accept(self, fresh: Sequence[Member]) -> None:
        """They begin to answer. They are known before they do, so that no crash leaves one that nobody knows."""
        self.coming = list(fresh)
        self._changed()
        try:
            for member in fresh:
                await member.ask({"op": "accept", "state": self._state.now.plain()})
        except BaseException:
            await discard(fresh)
            raise
        finally:
            self.coming = []

    def _join(self, member: Member) -> None:
        self.active.append(member)
        watch = asyncio.create_task(self._watch(member))
        self._watches.add(watch)
        watch.add_done_callback(self._watches.discard)


def _report(faults: dict[Pair, str], needed: Collection[Pair]) -> None:
    for pair, fault in faults.items():
        if pair in needed:
            raise RefusalError(fault)
        _LOG.error("worker: %s", fault)
