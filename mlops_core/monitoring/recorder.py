"""The hot path: one recorder per series and routing revision.

A call appends to a buffer that belongs to its thread: no lock, no label lookup, and a look at the clock only where the buffer is empty.
Buckets, sums and error types are worked out by whoever drains the buffers, every 100 ms. Appending to a list and cutting off its first n
items are atomic, with or without an interpreter lock, so a drain neither loses an item nor sees it twice, however threads are switched.
"""

from __future__ import annotations

import logging
import math
import threading
import weakref
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, cast

from attrs import define, evolve, field, frozen

from mlops_core.exceptions import MonitoringError
from mlops_core.monitoring.ground_truth import PredictionLog
from mlops_core.monitoring.sampling import Reservoir
from mlops_core.records import Logged, SeriesKey
from mlops_core.records.histogram import histogram_of
from mlops_core.roles import Clock

if TYPE_CHECKING:
    from typing import TypeAlias

    Item: TypeAlias = float | tuple[float, str, bool]

__all__ = ["OTHER", "SeriesRecorder", "Tally"]

_log = logging.getLogger(__name__)
OTHER: Final = "other"
_MOST_TYPES: Final = 32
_LONGEST_TYPE: Final = 64
_LONGEST_ERROR: Final = 10_000
_LONGEST: Final = 366 * 86_400.0  # a year: whatever is larger is no measurement, and sums stay finite


@frozen
class Tally:
    """Sums over what was drained; ``since`` is the monotonic time of the first item, or earlier.

    ``repeated_errors`` are of units that had failed before. ``dropped`` and ``unlogged`` are how many rows sample and log would have more
    of, were memory unbounded; ``copies_dropped`` copies of requests that a shadow had no time for.
    """

    since: float
    total: int
    errors: int
    repeated_errors: int
    errors_by_type: Mapping[str, int]
    latency_sum: float
    histogram: Mapping[int, int]
    sample: tuple[Mapping[str, Any], ...] = ()
    dropped: int = 0
    failures: tuple[Mapping[str, Any], ...] = ()
    logged: tuple[Logged, ...] = ()
    unlogged: int = 0
    copies_dropped: int = 0


class _Buffer(list["Item"]):
    """What one thread counted; ``since`` is the monotonic time at which it was last seen empty."""

    __slots__ = ("since",)
    since: float


class _Alive:
    """Lives as long as a thread's local storage: when it is gone, nobody appends to the buffer any more."""

    __slots__ = ("__weakref__",)


@define(eq=False)
class SeriesRecorder:
    """Counts predictions of one series under one routing revision; implements the ``Recorder`` port. Safe from many threads."""

    series: SeriesKey
    revision: int
    _wake: Callable[[], None] = field(repr=False)
    clock: Clock = field(repr=False)
    reservoir: Reservoir | None = field(default=None, repr=False)
    log: PredictionLog | None = field(default=None, repr=False)
    shadow: bool = False
    _monotonic: Callable[[], float] = field(init=False, repr=False)
    _local: Any = field(factory=threading.local, init=False, repr=False)
    _buffers: list[tuple[weakref.ref[_Alive], _Buffer]] = field(factory=list, init=False, repr=False)
    _types: set[str] = field(factory=set, init=False, repr=False)
    _lock: threading.Lock = field(factory=threading.Lock, init=False, repr=False)
    _copies_dropped: int = field(default=0, init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self._monotonic = self.clock.monotonic  # looked up once: the hot path asks it

    def count(self, seconds: float, success: bool, error: str | None = None, repeated: bool = False) -> None:  # noqa: FBT001, FBT002  the port's signature
        """Count one prediction that took ``seconds``; ``repeated``: its unit had failed before in the same rollout.

        Raises:
            MonitoringError: It cannot be counted, and was not; or monitoring is closed.
        """
        if success is True and error is None and seconds.__class__ is float and 0.0 <= seconds <= _LONGEST:
            item: Item = seconds
        else:
            item = _checked(seconds, success, error, repeated)
        try:
            buffer = self._local.buffer
        except AttributeError:
            buffer = self._attach()
        if not buffer:
            buffer.since = self._monotonic()
        buffer.append(item)

    def drop(self) -> None:
        """Count a copy of a request for which a shadow had no time."""
        if not self._copies_dropped:
            self._wake()
        with self._lock:
            self._copies_dropped += 1

    def wants(self, prediction_id: str, rows: int = 1) -> bool:
        """Whether a row of this prediction is sampled or logged; never where neither is configured."""
        return (self.reservoir is not None and self.reservoir.sampling.wants(prediction_id, rows)) or (
            self.log is not None and self.log.truth.wants(prediction_id, rows)
        )

    def sample(self, prediction_id: str, features: Mapping[str, Any], output: Mapping[str, Any], *, named: bool = True) -> None:
        """Keep the rows of a prediction that are sampled or logged; what cannot be kept is told, since the prediction was answered.

        Without a name that somebody knows it is not logged: no outcome will ever come.
        """
        try:
            if self.reservoir is not None and features:
                self.reservoir.add(prediction_id, features, output)
            if self.log is not None and named:
                rows = len(next(iter((features or output).values()), ()))
                self.log.add(prediction_id, rows, output, self.clock.now())
        except Exception as error:  # noqa: BLE001  whatever odd features raise: a sample fails no prediction
            _log.warning("%s: a prediction is not sampled: %s: %s", self.series.model, type(error).__name__, error)

    def failed(self, prediction_id: str, features: Mapping[str, Any], error: str) -> None:
        """Keep what may be kept of a prediction that failed, of a few; what cannot be kept is told."""
        try:
            if self.reservoir is not None:
                self.reservoir.fail(prediction_id, features, _type_of(error), self.clock.now())
        except Exception as odd:  # noqa: BLE001  as above
            _log.warning("%s: a failure is not kept: %s: %s", self.series.model, type(odd).__name__, odd)

    def drain(self) -> Tally | None:
        """Take and add up what has been counted since the last drain, by one caller at a time; None if nothing was."""
        items: list[Item] = []
        since = []
        with self._lock:
            for attached in list(self._buffers):
                alive, buffer = attached
                gone = alive() is None  # looked at first: a thread that is gone appends nothing after this
                waiting = len(buffer)
                if waiting:
                    since.append(buffer.since)
                    items += buffer[:waiting]
                    del buffer[:waiting]
                if gone:
                    self._buffers.remove(attached)
            copies, self._copies_dropped = self._copies_dropped, 0
        kept = {**self._kept(), "copies_dropped": copies}
        if not items and not any(kept.values()):
            return None
        return evolve(self._add_up(items, min(since, default=self._monotonic())), **kept)

    def _kept(self) -> dict[str, Any]:
        """What sample and log hold, as fields of a tally."""
        kept: dict[str, Any] = {}
        if self.reservoir is not None:
            kept["sample"], kept["dropped"] = self.reservoir.drain()
            kept["failures"] = self.reservoir.drain_failures()
        if self.log is not None:
            kept["logged"], kept["unlogged"] = self.log.drain()
        return kept

    def reset(self) -> None:
        """Forget what was buffered, and make every thread attach again: for a forked child, and at the end."""
        self._lock = threading.Lock()
        self.detach()
        self._buffers, self._copies_dropped = [], 0
        if self.reservoir is not None:
            self.reservoir.reset()
        if self.log is not None:
            self.log.reset()

    def detach(self) -> None:
        """Make every thread attach again at its next call."""
        self._local = threading.local()

    def _attach(self) -> _Buffer:
        """Give the calling thread a buffer."""
        self._wake()
        buffer, alive = _Buffer(), _Alive()
        with self._lock:
            self._buffers.append((weakref.ref(alive), buffer))
        self._local.alive, self._local.buffer = alive, buffer
        return buffer

    def _add_up(self, items: Sequence[Item], since: float) -> Tally:
        failures = [item for item in items if item.__class__ is tuple]  # half the time of isinstance
        every = [item[0] if isinstance(item, tuple) else item for item in items] if failures else items
        seconds = cast("Sequence[float]", every)
        return Tally(
            since=since,
            total=len(items),
            errors=len(failures),
            repeated_errors=sum(repeated for _, _, repeated in failures),
            errors_by_type=Counter(self._capped(kind for _, kind, _ in failures)),
            latency_sum=math.fsum(seconds),
            histogram=histogram_of(seconds),
        )

    def _capped(self, kinds: Iterable[str]) -> Iterable[str]:
        """The first few types of a series keep their names, so that a hostile caller cannot grow the store."""
        for kind in kinds:
            if kind in self._types or len(self._types) < _MOST_TYPES:
                self._types.add(kind)
                yield kind
            else:
                yield OTHER


def _checked(seconds: Any, success: Any, error: Any, repeated: Any) -> Item:
    """The slow path: failures, whole numbers, and what is wrong."""
    if isinstance(seconds, bool) or not hasattr(seconds, "__float__") or isinstance(seconds, complex):
        raise MonitoringError(f"prediction_time: expected seconds, got {type(seconds).__name__} - give a number such as 0.15")
    taken = _as_float(seconds)
    if not 0.0 <= taken <= _LONGEST:
        raise MonitoringError(f"prediction_time: {taken} is no duration - give seconds from 0 to a year, measured with time.perf_counter()")
    if not isinstance(success, bool):
        raise MonitoringError(f"success: expected True or False, got {type(success).__name__} - write bool(...)")
    if error is not None and not isinstance(error, str):
        raise MonitoringError(f"error: expected text, got {type(error).__name__} - give type(error).__name__ or a short text")
    if success and error is not None:
        raise MonitoringError("error: given for a success - leave it out, or say success=False")
    return taken if success else (taken, _type_of(error), bool(repeated))


def _as_float(seconds: Any) -> float:
    try:
        return float(seconds)
    except (OverflowError, TypeError, ValueError) as error:
        raise MonitoringError(f"prediction_time: {type(seconds).__name__} is no number of seconds: {error} - give a float") from error


def _type_of(error: str | None) -> str:
    """The type of a failure: what stands before the first colon or line end, since the rest often holds data."""
    if error is None:
        return "unspecified"
    if len(error) > _LONGEST_ERROR:
        raise MonitoringError(f"error: {len(error)} characters are too many - give the type of the failure, not its details")
    lines = error.strip().splitlines() or [""]
    kind = lines[0].partition(":")[0].strip()[:_LONGEST_TYPE]
    # Undecodable bytes of a file name, or a NUL, are text that many a store refuses.
    return "".join(character if character.isprintable() else "?" for character in kind) or "unspecified"
