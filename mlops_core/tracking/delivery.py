"""From the spool to the trackers: one thread per tracker, so that a slow or dead one holds up nobody else."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from attrs import define, field

from mlops_core.roles import Clock, Tracker
from mlops_core.spool import Spool, abandoned
from mlops_core.tracking.lane import Lane
from mlops_core.tracking.stream import Stream, due, end_if_open, run_of

if TYPE_CHECKING:
    from mlops_core.records import RunStart

__all__ = ["Delivery", "undelivered"]

_POLL: Final = 0.1
_PATIENCE: Final = 3


@define(eq=False)
class Delivery:
    """Delivers spools to trackers in the background, each record once, in order, and retries what fails.

    What a tracker refuses with ``ExperimentError`` is dropped with a warning that names it; anything else it raises is taken for an outage
    and tried again, after one second, then two, up to a minute. A record that goes on failing while others pass is set aside in a file.
    """

    folder: Path
    trackers: Mapping[str, Tracker]
    clock: Clock
    _streams: list[Stream] = field(factory=list, init=False)
    _lanes: list[Lane] = field(factory=list, init=False)
    _changed: threading.Condition = field(factory=threading.Condition, init=False, repr=False)
    _waiting: int = field(default=0, init=False)
    _taken: int = field(default=0, init=False)
    _stopping: bool = field(default=False, init=False)
    _threads: list[threading.Thread] = field(factory=list, init=False, repr=False)
    _refused: dict[str, str] = field(factory=dict, init=False)
    _pid: int = field(factory=os.getpid, init=False, repr=False)

    @property
    def mine(self) -> bool:
        """False in a forked child, which has none of the threads."""
        return os.getpid() == self._pid

    def start(self) -> None:
        """Start the threads, with whatever dead processes left behind. Idempotent."""
        with self._changed:
            if self._threads or self._stopping:
                return
            self._lanes = [
                Lane(name, backend, self.folder, self.clock, partial(self._drop, name)) for name, backend in self.trackers.items()
            ]
            self._threads = [
                threading.Thread(target=self._run, args=(lane,), name=f"mlops-tracking-{lane.name}", daemon=True) for lane in self._lanes
            ]
        for thread in self._threads:
            thread.start()

    def recover(self) -> int:
        """Take over what dead processes left; answers how many spools were taken over since this was answered last."""
        self.take_over()
        found, self._taken = self._taken, 0
        return found

    def take_over(self) -> None:
        """Deliver spools of dead processes, and end their runs as interrupted."""
        for spool in abandoned(self.folder):
            run = run_of(spool)
            if run is not None:
                end_if_open(spool, run, self.clock)
            self.add(spool, run, sealed=True)
            self._taken += 1
        self._sweep()

    def _sweep(self) -> None:
        """Copies of artifacts whose spool is gone."""
        for copies in self.folder.glob("*.files"):
            if not copies.with_suffix(".spool").exists():
                shutil.rmtree(copies, ignore_errors=True)

    def add(self, spool: Spool, run: RunStart | None = None, *, sealed: bool = False) -> None:
        """Deliver a spool's records as they are appended; those of one run in the order in which they opened it."""
        with self._changed:
            self._streams.append(Stream(spool, run, sealed, set(self.trackers)))
            self._streams.sort(key=lambda stream: stream.opened)
            self._changed.notify_all()

    def seal(self, spool: Spool) -> None:
        """No more records will come: the spool is erased once every tracker has it."""
        with self._changed:
            for stream in self._streams:
                if stream.spool is spool:
                    stream.sealed = True
            self._changed.notify_all()

    def wake(self) -> None:
        """Deliver now what has been appended."""
        with self._changed:
            self._changed.notify_all()

    def flush(self, timeout: float) -> dict[str, str]:
        """Wait until every tracker has every record; answers what is missing or was refused since the last call, by tracker.

        Every tracker is tried at once. One that fails three times, or once more if it was failing before, is not waited for any longer.
        """
        deadline = self.clock.monotonic() + timeout
        with self._changed:
            patience = {lane.name: 1 if lane.failing else _PATIENCE for lane in self._lanes}
            for lane in self._lanes:
                lane.hurry()
            self._waiting += 1
            self._changed.notify_all()
            while self._awaited(patience) and (left := deadline - self.clock.monotonic()) > 0:
                self._changed.wait(min(left, _POLL))
            self._waiting -= 1
            missing = {lane.name: lane.failing or "it is still being sent" for lane in self._lanes if lane.name in self._behind()}
            refused, self._refused = self._refused, {}
        return {**refused, **missing}

    def close(self, timeout: float) -> dict[str, str]:
        """Flush, stop the threads and give up the spools: what is undelivered stays on disk. Idempotent."""
        if not self.mine or self._stopping:
            return {}
        missing = self.flush(timeout) if self._threads else {}
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join(timeout=1.0)  # a tracker that hangs keeps its daemon thread; the spool holds its records
        for stream in self._streams:
            stream.spool.close()
        return missing

    def _awaited(self, patience: Mapping[str, int]) -> bool:
        behind = self._behind()
        return any(lane.name in behind and lane.strikes < patience[lane.name] for lane in self._lanes)

    def _behind(self) -> set[str]:
        return {
            name for stream in self._streams for name in stream.pending if stream.sealed or stream.spool.mark(name).done < stream.spool.last
        }

    def _run(self, lane: Lane) -> None:
        while True:
            with self._changed:
                if self._stopping:
                    break
                streams = list(due(self._streams, lane.name))
            moved = [self._advance(lane, stream) for stream in streams]  # every stream in turn: a busy one starves nobody
            with self._changed:
                if not any(moved) and not self._stopping:
                    self._changed.wait(_POLL if streams else None)
        lane.close()

    def _advance(self, lane: Lane, stream: Stream) -> bool:
        """Deliver one group; True if there was one."""
        sealed = stream.sealed  # read before the records: what is appended before the seal is seen after it
        moved = lane.advance(stream, waited_for=self._waiting > 0)
        if moved is False and sealed:
            self._finish(lane, stream)
        if moved:
            self.wake()
        return bool(moved)

    def _drop(self, name: str, message: str) -> None:
        with self._changed:
            self._refused[name] = message

    def _finish(self, lane: Lane, stream: Stream) -> None:
        lane.leave(stream)
        with self._changed:
            stream.pending.discard(lane.name)
            done = not stream.pending and stream in self._streams
            if done:
                self._streams.remove(stream)
            self._changed.notify_all()
        if done:
            stream.spool.remove()
            shutil.rmtree(stream.spool.path.with_suffix(".files"), ignore_errors=True)


def undelivered(missing: Mapping[str, Any]) -> str:
    """One line for a warning."""
    return "; ".join(f"{name}: {reason}" for name, reason in missing.items())
