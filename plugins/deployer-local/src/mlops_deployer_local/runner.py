"""The threads that a version predicts in: requests queue for them, are joined where that is asked for, and are given up when they are late.

A thread that hangs cannot be ended. So what waits is bounded, and while every thread is busy with what is past its deadline nothing more is
let in. A client that waits less long is no measure of that.
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

__all__ = ["Columns", "DeadlineError", "Job", "OverloadError", "Pace", "Runner"]

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

    ``backlog``: requests that may wait or run; ``room``: bytes of their bodies, but one may always.
    """

    threads: int = 1
    batch: int = 1
    deadline: float = 30.0
    backlog: int = 256
    room: int = 64 << 20


@define(eq=False)
class Job:
    """One request's rows, of a body of ``size`` bytes. ``told`` hears of the end once, in the event loop.

    Once nobody is to hear of it, it holds neither: a thread passes over what has no rows.
    """

    columns: Columns | None
    told: Told | None
    size: int
    due: float
    held: bool = True


@define(eq=False)
class Runner:
    """Calls ``predict`` in threads of its own. What is public belongs to one event loop.

    To the one cell ``held`` it adds how many requests it holds, for others to see.
    """

    name: str
    predict: Callable[[Columns], Columns]
    pace: Pace
    held: memoryview[int] = field(factory=lambda: memoryview(bytearray(8)).cast("Q"))
    _queue: SimpleQueue[Job | None] = field(factory=SimpleQueue, init=False)
    _open: dict[Job, None] = field(factory=dict, init=False)
    _held: int = field(default=0, init=False)
    _size: int = field(default=0, init=False)
    _running: dict[int, Sequence[Job]] = field(factory=dict, init=False)
    _ended: deque[tuple[Job, Columns | None, BaseException | None]] = field(factory=deque, init=False)
    _woken: bool = field(default=False, init=False)
    _told: float = field(default=0.0, init=False)
    _tick: asyncio.TimerHandle | None = field(default=None, init=False)
    _loop: asyncio.AbstractEventLoop | None = field(default=None, init=False)
    _watch: asyncio.TimerHandle | None = field(default=None, init=False)

    @property
    def busy(self) -> bool:
        """Whether an end is still to be told."""
        return bool(self._open)

    @property
    def stuck(self) -> bool:
        """Whether every thread is busy with what is past its deadline."""
        if self._loop is None:
            return False
        now = self._loop.time()
        return all(jobs and all(job.due <= now for job in jobs) for jobs in self._running.values())

    def check(self, size: int = 0) -> None:
        """Whether a body of so many bytes is let in now.

        Raises:
            OverloadError: Too many wait already, or every thread hangs.
        """
        if self._held >= self.pace.backlog:
            raise OverloadError(f"{self._held} requests wait already")
        if self._held and self._size + size > self.pace.room:
            raise OverloadError(f"requests of {self._size} bytes wait already")
        if self.stuck:
            raise OverloadError("it is busy with predictions that take too long")

    def submit(self, columns: Columns, told: Told, size: int = 0) -> Job:
        """Predict what ``check`` lets in; ``told`` hears outputs or an error, later, in this event loop."""
        loop = self._loop or self._start()
        job = Job(columns, told, size, loop.time() + self.pace.deadline)
        self._held += 1
        self.held[0] += 1
        self._size += size
        self._open[job] = None
        if self._watch is None:
            self._watch = loop.call_at(job.due, self._look, loop)
        if self._tick is None:
            self._tick = loop.call_later(_SELDOM, self._remind, loop)
        self._queue.put(job)
        return job

    def leave(self, job: Job) -> None:
        """Nobody waits for it any more. What has begun is told of when it ends, what has not is not, and never begins."""
        if job in self._open and not self._is_running(job):
            self._drop(job)

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

    def _is_running(self, job: Job) -> bool:
        return any(job in jobs for jobs in self._running.values())

    def _give_up(self, job: Job) -> None:
        told = job.told
        if self._is_running(job):
            self._forget(job)  # and holds its place until its thread is back
        else:
            self._drop(job)
        if told is not None:
            told(None, DeadlineError())

    def _drop(self, job: Job) -> None:
        self._forget(job)
        self._release(job)

    def _forget(self, job: Job) -> None:
        del self._open[job]
        job.columns = job.told = None

    def _release(self, job: Job) -> None:
        if job.held:
            job.held = False
            self._held -= 1
            self.held[0] -= 1
            self._size -= job.size

    def _deliver(self) -> None:
        self._woken = False  # before it is taken: what ends after this wakes the loop again
        while self._ended:
            job, outputs, error = self._ended.popleft()
            self._release(job)
            if (told := job.told) is not None:
                self._forget(job)
                told(outputs, error)

    # --- in the threads

    def _work(self, number: int, loop: asyncio.AbstractEventLoop) -> None:
        ahead: Job | None = None
        while (first := ahead or self._queue.get()) is not None:
            jobs = [first]
            ahead = self._gather(jobs) if self.pace.batch > 1 else None
            self._running[number] = jobs
            for ended in self._run(number, jobs):
                self._ended.append(ended)
                if not self._woken and (self._queue.empty() or time.monotonic() - self._told > _OFTEN):
                    self._woken, self._told = True, time.monotonic()
                    with contextlib.suppress(RuntimeError):  # the loop is closed, and nobody waits
                        loop.call_soon_threadsafe(self._deliver)
            self._running[number] = ()

    def _gather(self, jobs: list[Job]) -> Job | None:
        """Add what waits and has the same columns; answers the first that has not."""
        if (first := jobs[0].columns) is None:
            return None
        kind = _kind(first)
        while len(jobs) < self.pace.batch:
            try:
                job = self._queue.get_nowait()
            except Empty:
                return None
            if job is None:
                self._queue.put(None)
                return None
            columns = job.columns  # once: the loop may take it away meanwhile
            if columns is not None and _kind(columns) != kind:
                return job
            jobs.append(job)
        return None

    def _run(self, number: int, jobs: Sequence[Job]) -> Iterator[tuple[Job, Columns | None, BaseException | None]]:
        """What becomes of each. Where the joined rows fail, each is tried alone, so that one fails no other."""
        waiting = [(job, columns) for job in jobs if (columns := job.columns) is not None]
        joined = self._joined(waiting) if len(waiting) > 1 else {}
        for job in jobs:
            if job in joined:
                yield job, joined[job], None
                continue
            self._running[number] = (job,)  # if it hangs, it is this one that does
            columns = job.columns
            yield job, *((None, None) if columns is None else self._alone(columns))

    def _alone(self, columns: Columns) -> tuple[Columns | None, BaseException | None]:
        try:
            return self.predict(columns), None
        except BaseException as error:  # noqa: BLE001  a model may raise anything, and the thread goes on
            return None, error

    def _joined(self, jobs: Sequence[tuple[Job, Columns]]) -> dict[Job, Columns]:
        """The outputs of each; nothing if the model fails, since it will tell so again to whom it concerns."""
        try:
            columns = {name: np.concatenate([one[name] for _, one in jobs]) for name in jobs[0][1]}
        except MemoryError:
            return {}
        outputs, error = self._alone(columns)
        if outputs is None or error is not None:
            return {}
        ends = np.cumsum([_rows(one) for _, one in jobs]).tolist()
        return {
            job: {name: values[begin:end] for name, values in outputs.items()}
            for (job, _), begin, end in zip(jobs, [0, *ends], ends, strict=False)
        }


def _rows(columns: Columns) -> int:
    return len(next(iter(columns.values())))


def _kind(columns: Columns) -> object:
    return [(name, values.dtype, values.shape[1:]) for name, values in columns.items()]
