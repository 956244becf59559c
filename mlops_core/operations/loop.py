"""The control loop: runs the passes that need a living process, under a lease that only one loop of a project holds."""

from __future__ import annotations

import logging
import os
import socket
import threading
import uuid
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any, Final

from attrs import define, evolve, field, frozen

from mlops_core.exceptions import ConfigError, MLOpsError
from mlops_core.journal import update
from mlops_core.operations.status import JOURNAL, LEASE, LoopStatus, PassStatus, status_path, write_status
from mlops_core.records import NewEntry
from mlops_core.stack import Stack

__all__ = ["ControlLoop", "Pass"]

_log = logging.getLogger(__name__)
_TTL: Final = timedelta(seconds=30)
_TURN: Final = 1.0


@frozen
class Pass:
    """One pass of a facade over its own open work; ``every`` is the time from one start to the next. What it answers is not looked at."""

    name: str
    call: Callable[[], Any]
    every: timedelta


def _by_name(passes: Iterable[Pass]) -> dict[str, Pass]:
    return {one.name: one for one in passes}


@define(eq=False)
class ControlLoop:
    """Schedules passes. A second loop of the same project stands by and takes over when the first ends or dies.

    A pass that raises is logged by name and stops no other. The lease is renewed between passes and not beside them, so that a pass that
    hangs does not hold it for ever; passes decide on journals, so that two loops at once for a moment do no harm.

    Args:
        stack: The project.
        passes: What to run; more with ``register``.
        ttl: How long the lease outlives its holder.
    """

    stack: Stack
    _passes: dict[str, Pass] = field(converter=_by_name, default=())
    ttl: timedelta = _TTL
    owner: str = field(factory=lambda: uuid.uuid4().hex, init=False)
    _since: datetime | None = field(default=None, init=False)
    _due: dict[str, float] = field(factory=dict, init=False, repr=False)
    _told: dict[str, PassStatus] = field(factory=dict, init=False, repr=False)
    _stop: threading.Event = field(factory=threading.Event, init=False, repr=False)
    _thread: threading.Thread | None = field(default=None, init=False, repr=False)

    @property
    def holds(self) -> bool:
        """Whether this loop has the lease, as of its last turn."""
        return self._since is not None

    def register(self, name: str, call: Callable[[], Any], every: timedelta) -> None:
        """Add a pass; due at once.

        Raises:
            ConfigError: The name is taken, or ``every`` is not above zero.
        """
        if name in self._passes or every <= timedelta(0):
            raise ConfigError(f"operations: pass {name!r} cannot run every {every} - use a free name and a time above zero")
        self._passes[name] = Pass(name, call, every)

    def run(self, stop: threading.Event) -> None:
        """Run in the foreground until ``stop`` is set."""
        try:
            while not stop.is_set():
                self.turn()
                stop.wait(_TURN)
        finally:
            self.release()

    def start(self) -> None:
        """Run in a thread until ``close``."""
        if self._thread is None:
            self._thread = threading.Thread(target=self.run, args=(self._stop,), name="mlops-operations", daemon=True)
            self._thread.start()

    def close(self, timeout: float = 30.0) -> None:
        """End the thread after the pass that runs, and release the lease. Idempotent.

        A pass that takes longer than ``timeout`` seconds is left to itself, and its work to the loop that takes over.
        """
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout)
            if self._thread.is_alive():
                self.release()

    def turn(self) -> bool:
        """Take or renew the lease and run what is due; answers whether this loop is the one that works."""
        if not self._renew():
            return False
        for one in list(self._passes.values()):
            if self.stack.clock.monotonic() >= self._due.get(one.name, float("-inf")):
                self._run_pass(one)
                if not self._renew():
                    return False
        self._write()
        return True

    def release(self) -> None:
        """Give the lease back, so that a loop that stands by need not wait for it to pass. Idempotent."""
        if self._since is None:
            return
        self._write()
        self._journal("released")
        self._since = None
        try:
            self.stack.parts.registry.lease(self.stack.settings.tenant, LEASE, self.owner, timedelta(0))
        except MLOpsError as error:
            _log.warning("operations: the lease is not released and passes by itself: %s", error.message)

    def status(self) -> LoopStatus:
        """This loop as it stands."""
        passes = tuple(self._told.get(one.name) or PassStatus(one.name, one.every.total_seconds()) for one in self._passes.values())
        return LoopStatus(self.holds, self.owner, socket.gethostname(), os.getpid(), self._since, self.stack.clock.now(), passes)

    def _renew(self) -> bool:
        if self._stop.is_set():  # whoever told it to end releases the lease, and a pass that ends later takes none
            return False
        try:
            held = self.stack.parts.registry.lease(self.stack.settings.tenant, LEASE, self.owner, self.ttl)
        except Exception as error:  # noqa: BLE001  the loop outlives an outage of the registry, whatever its store raises
            _log.warning("operations: the registry does not answer, nothing is run: %s", error)
            held = False
        if held and self._since is None:
            self._since = self.stack.clock.now()
            self._journal("taken")
        elif not held and self._since is not None:
            _log.warning("operations: another loop took over")
            self._since = None
        return held

    def _run_pass(self, one: Pass) -> None:
        began, started = self.stack.clock.monotonic(), self.stack.clock.now()
        self._due[one.name] = began + one.every.total_seconds()
        error = ""
        try:
            one.call()
        except Exception as raised:  # noqa: BLE001  a pass that fails is named and stops no other
            error = f"{type(raised).__name__}: {raised}"
            _log.warning("operations: pass %s failed: %s", one.name, error)
        before = self._told.get(one.name, PassStatus(one.name, one.every.total_seconds()))
        seconds = self.stack.clock.monotonic() - began
        self._told[one.name] = evolve(before, runs=before.runs + 1, started=started, seconds=seconds, error=error)

    def _journal(self, kind: str) -> None:
        state = evolve(self.status(), passes=()).to_dict()
        entry = NewEntry(at=self.stack.clock.now(), kind=kind, change={"owner": self.owner}, state=state)
        try:
            update(self.stack.parts.registry, self.stack.settings.tenant, JOURNAL, lambda _: entry)
        except MLOpsError as error:
            _log.warning("operations: the change of the loop is not in the journal: %s", error.message)

    def _write(self) -> None:
        try:
            write_status(status_path(self.stack.workdir), self.status())
        except OSError as error:
            _log.warning("operations: the loop's status cannot be written: %s", error)
