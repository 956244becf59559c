"""From the spool to the sinks: one thread per sink, so that one that hangs or fails delays neither predictions nor the other sinks."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from attrs import define, evolve, field

from mlops_core.exceptions import MonitoringError
from mlops_core.monitoring.parcel import Parcel
from mlops_core.roles import MonitorSink
from mlops_core.spool import Follower, Mark, Spool

if TYPE_CHECKING:
    from mlops_core.records import Logged, Segment

__all__ = ["Delivery", "deliver", "put"]

_log = logging.getLogger(__name__)
_BATCH: Final = 500
_FIRST_PAUSE: Final = 0.2
_GATHER: Final = 0.5  # seconds between two batches that nobody waits for
_LONGEST_PAUSE: Final = 10.0
_MOST_SPOOLS: Final = 8
_PATIENCE: Final = 3
_REFUSALS: Final = (ValueError, TypeError, ArithmeticError)


def deliver(spool: Spool, name: str, sink: MonitorSink) -> int:
    """Bring all of a spool that a sink lacks to it; answers how many segments. Raises what the sink raises."""
    mark = spool.mark(name)
    follower = spool.follow(mark.done)
    done = mark.done
    try:
        while taken := follower.take(_BATCH):
            put(name, sink, [Parcel.of(spool.writer, sequence, record) for sequence, record in taken])
            done = taken[-1][0]
            spool.set_mark(name, Mark(done, done))
    finally:
        follower.close()
    return done - mark.done


def put(name: str, sink: MonitorSink, batch: Sequence[Parcel]) -> None:
    """Write a batch. Of a segment that the sink refuses for its content only the counts are kept, or nothing, so that it stops no other.

    What else the sink raises is raised: an outage.
    """
    rows = [row for parcel in batch for row in parcel.rows]
    if rows and "log" in sink.capabilities:
        _log_rows(name, sink, rows)
    _put_segments(name, sink, [parcel.segment for parcel in batch])


def _log_rows(name: str, sink: MonitorSink, rows: Sequence[Logged]) -> None:
    try:
        sink.log(rows)
    except _REFUSALS as error:
        if len(rows) == 1:
            said = f"{type(error).__name__}: {error}"
            _log.error("sink %s: the %s of a prediction of %s is refused: %s", name, rows[0].kind, rows[0].series.model, said)
            return
        middle = len(rows) // 2
        _log_rows(name, sink, rows[:middle])
        _log_rows(name, sink, rows[middle:])


def _put_segments(name: str, sink: MonitorSink, batch: Sequence[Segment]) -> None:
    try:
        sink.write(batch)
    except _REFUSALS as error:
        if len(batch) == 1:
            _put_counts(name, sink, batch[0], error)
            return
        middle = len(batch) // 2
        _put_segments(name, sink, batch[:middle])
        _put_segments(name, sink, batch[middle:])


def _put_counts(name: str, sink: MonitorSink, refused: Segment, error: Exception) -> None:
    at = f"segment {refused.sequence} of {refused.series.model} ({refused.total} predictions)"
    try:
        sink.write([evolve(refused, errors_by_type={}, values={}, sample=(), failures=(), quality=None)])
    except _REFUSALS:
        _log.error("sink %s: %s is refused and given up: %s: %s", name, at, type(error).__name__, error)
    else:
        _log.error("sink %s: %s is refused, only its counts are kept: %s: %s", name, at, type(error).__name__, error)


@define(eq=False)
class Delivery:
    """The way to one sink: a queue of spools, the newest still growing, and a thread that empties it.

    What the sink raises, but for a refusal of what a segment holds, is taken for an outage and tried again, after 0.2 s and then ever
    longer up to 10 s; ``failing`` says why. At most eight spools wait; beyond that the oldest is given up for this sink, and the log says
    how many segments that were.
    """

    name: str
    sink: MonitorSink
    release: Callable[[Spool], None] = field(repr=False)
    failing: str = field(default="", init=False)
    dropped: int = field(default=0, init=False)
    _spools: deque[Spool] = field(factory=deque, init=False, repr=False)
    _follower: Follower | None = field(default=None, init=False, repr=False)
    _batch: list[Parcel] = field(factory=list, init=False, repr=False)
    _at: int = field(default=0, init=False)
    _passed: int = field(default=0, init=False)
    _failures: int = field(default=0, init=False)
    _delivered: float = field(default=0.0, init=False)
    _wanted: int = field(default=0, init=False)
    _hurry: bool = field(default=False, init=False)
    _waiting: int = field(default=0, init=False)
    _stopping: bool = field(default=False, init=False)
    _changed: threading.Condition = field(factory=threading.Condition, init=False, repr=False)
    _thread: threading.Thread | None = field(default=None, init=False, repr=False)

    def start(self) -> None:
        """Start the thread; it ends with ``stop``, or with the process."""
        self._thread = threading.Thread(target=self._run, name=f"mlops-sink-{self.name}", daemon=True)
        self._thread.start()

    def follow(self, spool: Spool) -> None:
        """Go on with this spool once the earlier ones are empty."""
        with self._changed:
            self._spools.append(spool)
            self._changed.notify_all()

    def announce(self, wanted: int) -> None:
        """So many segments have been spooled since the start."""
        with self._changed:
            self._wanted = wanted
            self._changed.notify_all()

    def wait(self, timeout: float) -> bool:
        """Hurry, and wait until everything announced so far is delivered; False if it is not in time, or failed three more times."""
        with self._changed:
            wanted, patience = self._wanted, self._failures + _PATIENCE
            self._hurry = True
            self._waiting += 1
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._passed >= wanted or self._failures >= patience, timeout)
            self._waiting -= 1
            return self._passed >= wanted

    def stop(self, timeout: float) -> None:
        """End the thread; one that hangs in its sink is left behind."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(timeout)

    def _run(self) -> None:
        pause = _FIRST_PAUSE
        while self._due():
            try:
                self._advance()
            except Exception as error:  # noqa: BLE001  whatever a sink raises, the segments wait and are tried again
                self._tell(f"{type(error).__name__}: {error}")
                self._pause(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)
            else:
                self._tell("")
                pause = _FIRST_PAUSE
        if self._follower is not None:
            self._follower.close()

    def _due(self) -> bool:
        """Wait for work; False when there will be no more."""
        with self._changed:
            self._changed.wait_for(lambda: self._stopping or self._passed < self._wanted or len(self._spools) > 1)  # one is to be left
            self._changed.wait_for(self._is_pressed, max(0.0, self._delivered + _GATHER - time.monotonic()))
            return not self._stopping

    def _is_pressed(self) -> bool:
        """Whether what is there cannot wait for more: a batch of one segment costs a sink as much as one of many."""
        return self._stopping or self._waiting > 0 or len(self._spools) > 1 or self._wanted - self._passed >= _BATCH

    def _advance(self) -> None:
        """Deliver one batch, or go on to the next spool."""
        while len(self._spools) > _MOST_SPOOLS:
            self._leave()
        spool = self._spools[0]
        if self._follower is None:
            self._follower = spool.follow(0)
        if not self._batch:
            self._batch = [Parcel.of(spool.writer, sequence, record) for sequence, record in self._follower.take(_BATCH)]
        if self._batch:
            put(self.name, self.sink, self._batch)
            self._at = self._batch[-1].segment.sequence
            spool.set_mark(self.name, Mark(self._at, self._at))
            self._pass(len(self._batch))
            self._batch = []
            self._delivered = time.monotonic()
        elif len(self._spools) > 1:
            self._leave()
        else:
            raise MonitoringError(f"spool {spool.path.name}: cannot be read beyond segment {self._at} - was it changed by hand?")

    def _pass(self, count: int) -> None:
        with self._changed:
            self._passed += count
            self._hurry = False
            self._changed.notify_all()

    def _leave(self) -> None:
        """Go on to the next spool, also where a sink has been away so long that the disk would fill, and say what that gave up."""
        with self._changed:
            spool = self._spools.popleft()
        if self._follower is not None:
            self._follower.close()
        lost = spool.last - self._at
        self._follower, self._batch, self._at = None, [], 0
        if lost:
            self.dropped += lost
            _log.error("sink %s: away too long, %d segments were given up (%d so far)", self.name, lost, self.dropped)
            self._pass(lost)
        self.release(spool)

    def _tell(self, failing: str) -> None:
        if failing and not self.failing:
            _log.warning("sink %s: segments wait in the spool: %s", self.name, failing)
        elif self.failing and not failing:
            _log.info("sink %s: answers again", self.name)
        self.failing = failing

    def _pause(self, seconds: float) -> None:
        with self._changed:
            self._failures += 1
            self._changed.notify_all()
            longest = _FIRST_PAUSE if self._waiting else seconds
            self._changed.wait_for(lambda: self._stopping or self._hurry, longest)
            self._hurry = False
