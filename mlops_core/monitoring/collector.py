"""Collects what recorders count: every 100 ms their buffers become segments in a spool, and the spool goes to the sinks."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import uuid
import weakref
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from attrs import define, field

from mlops_core.exceptions import MLOpsError, MonitoringError
from mlops_core.monitoring.delivery import Delivery, deliver
from mlops_core.monitoring.ground_truth import GroundTruth, PredictionLog
from mlops_core.monitoring.parcel import Parcel, merge_parcels
from mlops_core.monitoring.recorder import SeriesRecorder, Tally
from mlops_core.monitoring.sampling import Reservoir, Sampling
from mlops_core.records import Logged, Segment, SeriesKey, ValueSum
from mlops_core.records.threshold import LOG_DROPPED, SAMPLE_DROPPED, SHADOW_DROPPED
from mlops_core.roles import Clock, MonitorSink
from mlops_core.spool import Spool, abandoned

__all__ = ["Collector"]

_log = logging.getLogger(__name__)
_INTERVAL: Final = 0.1
_SPOOL_RECORDS: Final = 5_000
_LONGEST_SPOOL: Final = 3600.0  # seconds that what was sampled stays in a spool whose records are delivered
_MOST_PENDING: Final = 1_000
_SHORTEST: Final = timedelta(microseconds=1)


@define(eq=False)
class Collector:
    """All recorders of one facade, their flusher thread, the spool and the deliveries.

    Nothing runs before the first prediction. A forked child starts anew: it drops what it inherited, which its parent delivers, and takes a
    spool, and so a writer, of its own.
    """

    folder: Path
    sinks: Mapping[str, MonitorSink]
    clock: Clock
    sampling: Sampling | None = None
    truth: GroundTruth | None = None
    latest: datetime | None = field(default=None, init=False)
    behind: str = field(default="", init=False)
    _recorders: dict[tuple[SeriesKey, int], SeriesRecorder] = field(factory=dict, init=False, repr=False)
    _pending: list[Parcel] = field(factory=list, init=False, repr=False)
    _spool: Spool | None = field(default=None, init=False, repr=False)
    _unread: dict[str, tuple[Spool, int]] = field(factory=dict, init=False, repr=False)
    _spooled: int = field(default=0, init=False)
    _opened: float = field(default=0.0, init=False)
    _deliveries: list[Delivery] = field(factory=list, init=False, repr=False)
    _ticked: float = field(default=0.0, init=False)
    _failing: str = field(default="", init=False)
    _flusher: threading.Thread | None = field(default=None, init=False, repr=False)
    _stop: threading.Event = field(factory=threading.Event, init=False, repr=False)
    _lock: threading.RLock = field(factory=threading.RLock, init=False, repr=False)
    _closed: bool = field(default=False, init=False)
    _guarded: bool = field(default=False, init=False)

    def recorder(self, series: SeriesKey, revision: int, *, shadow: bool = False) -> SeriesRecorder:
        """The one recorder of a series and routing revision.

        A shadow's predictions are not logged: they have the ids of the live version's, and outcomes are about what clients were answered.
        """
        with self._lock:
            reservoir = Reservoir(self.sampling) if self.sampling is not None else None
            log = PredictionLog(series, self.truth) if self.truth is not None and not shadow else None
            made = SeriesRecorder(series, revision, self._start, self.clock, reservoir, log, shadow)
            return self._recorders.setdefault((series, revision), made)

    def record_values(self, series: SeriesKey, values: Mapping[str, float], rows: Sequence[Logged] = ()) -> None:
        """Spool recorded figures at once, and rows of the prediction log with them."""
        self._start()
        with self._lock:
            self._collect()
            at = self.clock.now()
            sums = {name: ValueSum(1, value, value, at) for name, value in values.items()}
            self._pending.append(Parcel(Segment(series, at - _SHORTEST, at, "", 0, values=sums), tuple(rows)))
            self._write()
        self._raise_failure()

    def tick(self) -> None:
        """Spool what has been counted; a full disk is logged, and what could not be written waits in memory."""
        with self._lock:
            self._collect()
            self._write()
            if (self.sampling is not None or self.truth is not None) and self.clock.monotonic() - self._opened > _LONGEST_SPOOL:
                self._renew()

    def renew(self) -> None:
        """Go on in a new spool: the one before is erased once it is delivered, with the samples in it."""
        with self._lock:
            self._collect()
            self._write()
            self._renew()

    def _renew(self) -> None:
        if self._spool is not None and self._spool.last and not self._failing:
            self._spool = None
            try:
                self._current_spool()
            except (MLOpsError, OSError) as error:
                _log.warning("monitoring: a new spool cannot be made, the next tick tries again: %s", error)

    def sync(self) -> None:
        """Spool what has been counted: it survives the death of this process.

        Raises:
            MonitoringError: It could not be written and waits in memory.
        """
        self.tick()
        self._raise_failure()

    def flush(self, timeout: float, sinks: Sequence[str] | None = None) -> None:
        """Spool, and wait until the sinks (default: all) have everything.

        Raises:
            MonitoringError: A sink is not up to date in time; what it lacks waits in the spool.
        """
        if self._flusher is None:
            return
        self.sync()
        for delivery in list(self._deliveries):
            if (sinks is None or delivery.name in sinks) and not delivery.wait(timeout):
                cause = delivery.failing or f"no answer within {timeout:g} s"
                raise MonitoringError(f"sink {delivery.name}: segments wait in the spool: {cause} - they are sent when the sink answers")

    def drain(self) -> int:
        """Deliver what dead processes left in their spools; answers how many segments. A sink that fails is logged and tried next time.

        ``behind`` says then which sink failed and why.
        """
        delivered, self.behind = 0, ""
        for spool in abandoned(self.folder):
            complete = True
            for name, sink in self.sinks.items():
                try:
                    delivered += deliver(spool, name, sink)
                except Exception as error:  # noqa: BLE001  whatever a sink raises: the spool stays for the next pass
                    complete = False
                    self.behind = f"sink {name}: {type(error).__name__}: {error}"
                    _log.warning("sink %s: cannot take over %s: %s: %s", name, spool.path.name, type(error).__name__, error)
            spool.remove() if complete else spool.close()
        return delivered

    def close(self, timeout: float) -> None:
        """Deliver what can be delivered in time and end the threads; the rest stays on disk. Idempotent."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            for recorder in self._recorders.values():
                recorder.detach()
        if self._flusher is not None:
            self._stop.set()
            self._flusher.join(timeout)
            self.tick()
            self._finish(timeout)

    def _finish(self, timeout: float) -> None:
        late = [delivery.name for delivery in self._deliveries if not delivery.wait(timeout)]
        for delivery in self._deliveries:
            delivery.stop(0.0 if delivery.name in late else timeout)
        if self._pending:
            lost = sum(parcel.segment.total for parcel in self._pending)
            _log.error("monitoring: %d predictions could not be written and are lost: %s", lost, self._failing)
        for spool, _ in self._unread.values():
            spool.close() if late else spool.remove()

    def _start(self) -> None:
        """Start the threads, once per process."""
        with self._lock:
            if self._closed:
                raise MonitoringError("monitoring: it is closed - make a new ModelMonitoring, or record before closing the project")
            if self._flusher is not None:
                return
            self._guard_fork()
            self._ticked = self.clock.monotonic()
            self._deliveries = [Delivery(name, sink, self._release) for name, sink in self.sinks.items()]
            for delivery in self._deliveries:
                delivery.start()
            self._flusher = threading.Thread(target=self._run, name="mlops-monitoring", daemon=True)
            self._flusher.start()

    def _run(self) -> None:
        while not self._stop.wait(_INTERVAL):
            try:
                self.tick()
            except Exception:  # noqa: BLE001  the flusher outlives whatever goes wrong; what was not spooled is tried again
                _log.exception("monitoring: a pass of the flusher failed")

    def _collect(self) -> None:
        """Drain every recorder. The wall clock gives the end, monotonic time the length: a clock that is set back harms neither."""
        ticked, end = self.clock.monotonic(), self.clock.now()
        for recorder in list(self._recorders.values()):
            tally = recorder.drain()
            if tally is not None:
                # What a thread saw as empty before the last tick was emptied by it: nothing in it is older.
                length = timedelta(seconds=ticked - max(tally.since, self._ticked))
                segment = _segment(recorder, tally, end - max(_SHORTEST, length), end)
                self._pending.append(Parcel(segment, tally.logged))
        self._ticked = ticked
        if self._pending:
            self.latest = max(end, self.latest or end)

    def _write(self) -> None:
        """Append pending segments to the spool. While that fails they are merged, so that counts stay exact in bounded memory."""
        failing, before = "", self._spooled
        try:
            while self._pending:
                self._current_spool().append(self._pending[0].record())
                del self._pending[0]
                self._spooled += 1
        except (MLOpsError, OSError) as error:
            failing = str(error)
            if len(self._pending) > _MOST_PENDING:
                self._pending = merge_parcels(self._pending)
        if failing and not self._failing:
            _log.error("monitoring: predictions wait in memory: %s", failing)
        self._failing = failing
        if self._spooled > before:
            for delivery in self._deliveries:
                delivery.announce(self._spooled)

    def _raise_failure(self) -> None:
        if self._failing:
            raise MonitoringError(f"monitoring: predictions wait in memory: {self._failing}")

    def _current_spool(self) -> Spool:
        """The spool to append to; a long one is succeeded by a new one."""
        if self._spool is not None and self._spool.last < _SPOOL_RECORDS:
            return self._spool
        self._spool, self._opened = Spool.open(self.folder, uuid.uuid4().hex), self.clock.monotonic()
        self._unread[self._spool.writer] = (self._spool, len(self._deliveries))
        for delivery in self._deliveries:
            delivery.follow(self._spool)
        return self._spool

    def _release(self, spool: Spool) -> None:
        """A delivery has left a spool; after the last one it is erased."""
        with self._lock:
            readers = self._unread[spool.writer][1] - 1
            if readers:
                self._unread[spool.writer] = (spool, readers)
            else:
                del self._unread[spool.writer]
                spool.remove()

    def _guard_fork(self) -> None:
        """Hold the lock while the process forks, so that the child finds everything whole."""
        if not self._guarded and hasattr(os, "register_at_fork"):
            self._guarded = True
            os.register_at_fork(
                before=_weakly(self._before_fork), after_in_parent=_weakly(self._after_fork), after_in_child=_weakly(self._begin_anew)
            )

    def _before_fork(self) -> None:
        self._lock.acquire()

    def _after_fork(self) -> None:
        self._lock.release()

    def _begin_anew(self) -> None:
        """In a forked child: threads are gone, and what was counted before the fork is the parent's."""
        for inherited, _ in self._unread.values():
            with contextlib.suppress(OSError):
                inherited.close()
        self._lock = threading.RLock()
        self._stop = threading.Event()
        self._flusher, self._spool, self._deliveries, self._pending, self._unread = None, None, [], [], {}
        self._spooled, self._failing = 0, ""
        for recorder in self._recorders.values():
            recorder.reset()


def _segment(recorder: SeriesRecorder, tally: Tally, start: datetime, end: datetime) -> Segment:
    dropped = {SAMPLE_DROPPED: tally.dropped, LOG_DROPPED: tally.unlogged}
    told = {name: count for name, count in dropped.items() if count}
    if recorder.shadow:  # also where none was dropped: it tells a shadow's segments from all others
        told[SHADOW_DROPPED] = tally.copies_dropped
    return Segment(
        series=recorder.series,
        start=start,
        end=end,
        writer="",
        sequence=0,
        revision=recorder.revision,
        total=tally.total,
        errors=tally.errors,
        repeated_errors=tally.repeated_errors,
        errors_by_type=tally.errors_by_type,
        latency_sum=tally.latency_sum,
        histogram=tally.histogram,
        values={name: ValueSum(1, count, count, end) for name, count in told.items()},
        sample=tally.sample,
        failures=tally.failures,
    )


def _weakly(method: Callable[[], None]) -> Callable[[], None]:
    """Hooks of a fork cannot be removed, so they must keep nothing alive."""
    held = weakref.WeakMethod(method)

    def call() -> None:
        if (living := held()) is not None:
            living()

    return call
