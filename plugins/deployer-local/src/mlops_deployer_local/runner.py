"""The threads that a version predicts in: requests queue for them, are joined where that is asked for, and are given up when they are late.

A thread that hangs cannot be ended. So what waits is bounded, and while every thread is busy with something late nothing more is let in.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from queue import Empty, SimpleQueue
from typing import Any, Final

import numpy as np
from attrs import define, field, frozen
from numpy.typing import NDArray

__all__ = ["Columns", "DeadlineError", "OverloadError", "Pace", "Runner"]

Columns = Mapping[str, NDArray[Any]]
Told = Callable[[Columns | None, BaseException | None], None]

_OFTEN: Final = 0.01  # seconds; a thread that has more to do wakes the loop no more often: they would wait for each other
_SELDOM: Final = 0.05


class DeadlineError(Exception):
    """A prediction took longer than it may."""


class OverloadError(Exception):
    """Nothing more is let in."""


@frozen
class Pace:
    """How a version predicts: ``threads`` at a time, up to ``batch`` requests joined to one prediction, each within ``deadline`` seconds.

    ``backlog``: requests that may wait or run.
    """

    threads: int = 1
    batch: int = 1
    deadline: float = 30.0
    backlog: int = 256


@define(eq=False)
class _Job:
    """One request's rows. ``told`` hears of the end once, in the event loop; ``late``: it has heard that they took too long."""

    columns: Columns
    told: Told
    due: float
    late: bool = False
    timer: asyncio.TimerHandle | None = None


@define(eq=False)
class Runner:
    """Calls ``predict`` in threads of its own. What is public belongs to one event loop."""

    name: str
    predict: Callable[[Columns], Columns]
    pace: Pace
    _queue: SimpleQueue[_Job | None] = field(factory=SimpleQueue, init=False)
    _open: dict[_Job, None] = field(factory=dict, init=False)
    _held: int = field(default=0, init=False)
    _late: int = field(default=0, init=False)
    _running: dict[int, Sequence[_Job]] = field(factory=dict, init=False)
    _ended: deque[tuple[_Job, Columns | None, BaseException | None]] = field(factory=deque, init=False)
    _woken: bool = field(default=False, init=False)
    _told: float = field(default=0.0, init=False)
    _tick: asyncio.TimerHandle | None = field(default=None, init=False)
    _loop: asyncio.AbstractEventLoop | None = field(default=None, init=False)
    _watch: asyncio.TimerHandle | None = field(default=None, init=False)

    @property
    def busy(self) -> bool:
        """Whether somebody waits for an answer."""
        return bool(self._open)

    @property
    def stuck(self) -> bool:
        """Whether every thread is busy with what took too long."""
        if not self._late:
            return False
        hung = [jobs for jobs in self._running.values() if jobs and all(job.late for job in jobs)]
        return len(hung) == len(self._running)

    def submit(self, columns: Columns, told: Told, within: float | None = None) -> None:
        """Predict; ``told`` hears outputs or an error, later, in this event loop. ``within``: seconds, if fewer than the deadline.

        Raises:
            OverloadError: Too many wait already, or every thread hangs.
        """
        loop = self._loop or self._start()
        if self._held >= self.pace.backlog:
            raise OverloadError(f"{self._held} requests wait already")
        if self.stuck:
            raise OverloadError("it is busy with predictions that take too long")
        job = _Job(columns, told, loop.time() + self.pace.deadline)
        self._held += 1
        self._open[job] = None
        if self._watch is None:
            self._watch = loop.call_at(job.due, self._look, loop)
        if within is not None and within < self.pace.deadline:
            job.timer = loop.call_later(within, self._give_up, job)
        if self._tick is None:
            self._tick = loop.call_later(_SELDOM, self._remind, loop)
        self._queue.put(job)

    def close(self) -> None:
        """The threads end when they have done what waits."""
        for _ in self._running:
            self._queue.put(None)

    # --- in the event loop

    def _start(self) -> asyncio.AbstractEventLoop:
        self._loop = asyncio.get_running_loop()
        self._running = dict.fromkeys(range(self.pace.threads), ())
        for number in self._running:
            threading.Thread(target=self._work, args=(number, self._loop), name=f"{self.name}-{number}", daemon=True).start()
        return self._loop

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        """Give up what is due, and look again when the next is: one timer for all."""
        self._watch = None
        for job in list(self._open):
            if job.due > loop.time():
                self._watch = loop.call_at(job.due, self._look, loop)
                return
            self._give_up(job)

    def _remind(self, loop: asyncio.AbstractEventLoop) -> None:
        """Take what a thread ended and has not told of, since the next one holds it up."""
        self._tick = loop.call_later(_SELDOM, self._remind, loop) if self._open else None
        self._deliver()

    def _give_up(self, job: _Job) -> None:
        job.late = True
        self._late += 1
        self._close(job, None, DeadlineError())

    def _close(self, job: _Job, outputs: Columns | None, error: BaseException | None) -> None:
        del self._open[job]
        if job.timer is not None:
            job.timer.cancel()
        job.told(outputs, error)

    def _deliver(self) -> None:
        self._woken = False  # before it is taken: what ends after this wakes the loop again
        while self._ended:
            job, outputs, error = self._ended.popleft()
            self._held -= 1
            if job.late:
                self._late -= 1
            else:
                self._close(job, outputs, error)

    # --- in the threads

    def _work(self, number: int, loop: asyncio.AbstractEventLoop) -> None:
        ahead: _Job | None = None
        while (first := ahead or self._queue.get()) is not None:
            jobs = [first]
            ahead = self._gather(jobs) if self.pace.batch > 1 else None
            self._running[number] = jobs
            for ended in self._run(jobs):
                self._ended.append(ended)
                if not self._woken and (self._queue.empty() or time.monotonic() - self._told > _OFTEN):
                    self._woken, self._told = True, time.monotonic()
                    with contextlib.suppress(RuntimeError):  # the loop is closed, and nobody waits
                        loop.call_soon_threadsafe(self._deliver)
            self._running[number] = ()

    def _gather(self, jobs: list[_Job]) -> _Job | None:
        """Add what waits and has the same columns; answers the first that has not."""
        kind = _kind(jobs[0].columns)
        while len(jobs) < self.pace.batch:
            try:
                job = self._queue.get_nowait()
            except Empty:
                return None
            if job is None:
                self._queue.put(None)
                return None
            if _kind(job.columns) != kind:
                return job
            jobs.append(job)
        return None

    def _run(self, jobs: Sequence[_Job]) -> Iterator[tuple[_Job, Columns | None, BaseException | None]]:
        """What becomes of each. Where the joined rows fail, each is tried alone, so that one fails no other."""
        waiting = [job for job in jobs if not job.late]
        joined = self._joined(waiting) if len(waiting) > 1 else {}
        for job in jobs:
            if job in joined:
                yield job, joined[job], None
            else:
                yield job, *((None, None) if job.late else self._alone(job.columns))

    def _alone(self, columns: Columns) -> tuple[Columns | None, BaseException | None]:
        try:
            return self.predict(columns), None
        except BaseException as error:  # noqa: BLE001  a model may raise anything, and the thread goes on
            return None, error

    def _joined(self, jobs: Sequence[_Job]) -> dict[_Job, Columns]:
        """The outputs of each; nothing if the model fails, since it will tell so again to whom it concerns."""
        try:
            columns = {name: np.concatenate([job.columns[name] for job in jobs]) for name in jobs[0].columns}
        except MemoryError:
            return {}
        outputs, error = self._alone(columns)
        if outputs is None or error is not None:
            return {}
        ends = np.cumsum([_rows(job.columns) for job in jobs]).tolist()
        return {
            job: {name: values[begin:end] for name, values in outputs.items()}
            for job, begin, end in zip(jobs, [0, *ends], ends, strict=False)
        }


def _rows(columns: Columns) -> int:
    return len(next(iter(columns.values())))


def _kind(columns: Columns) -> object:
    return [(name, values.dtype, values.shape[1:]) for name, values in columns.items()]
