"""A monitor sink in memory: the reference that every sink must equal."""

from __future__ import annotations

import threading
from collections import defaultdict
from datetime import datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, ClassVar, Final, Literal

from attrs import define, evolve, field

from mlops_core.records import UNNAMED, Joined, Logged, Page, Segment, SeriesKey
from mlops_core.roles import MonitorSink

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

__all__ = ["MemorySink"]

_Name = tuple[SeriesKey, str, str, int]

_PAGE: Final = 1000
_WRITTEN: Final = timedelta(0)


@define
class _Mark:
    """How far a writer got: everything up to ``reached``, and what arrived beyond a gap."""

    reached: int = 0
    beyond: set[int] = field(factory=set)

    def admit(self, sequence: int) -> bool:
        """Whether this one is new."""
        if sequence <= self.reached or sequence in self.beyond:
            return False
        self.beyond.add(sequence)
        while self.reached + 1 in self.beyond:
            self.reached += 1
            self.beyond.remove(self.reached)
        return True


@define(eq=False)
class MemorySink(MonitorSink):
    """Keeps everything until the process ends; nothing is shared with another process."""

    contract = 1
    capabilities: ClassVar[frozenset[str]] = frozenset({"in-process", "log", "read"})

    _kept: list[tuple[timedelta, Segment]] = field(factory=list, init=False, repr=False)
    _marks: dict[str, _Mark] = field(factory=dict, init=False, repr=False)
    _log: dict[_Name, tuple[int, Logged]] = field(factory=dict, init=False, repr=False)
    _of_row: defaultdict[tuple[str, str, int], list[_Name]] = field(factory=lambda: defaultdict(list), init=False, repr=False)
    _fresh: dict[_Name, None] = field(factory=dict, init=False, repr=False)
    _joined: set[_Name] = field(factory=set, init=False, repr=False)
    _rows: int = field(default=0, init=False)
    _lock: threading.RLock = field(factory=threading.RLock, init=False, repr=False)

    def write(self, segments: Sequence[Segment]) -> None:
        """Keep each (writer, sequence) once."""
        with self._lock:
            for segment in segments:
                if self._marks.setdefault(segment.writer, _Mark()).admit(segment.sequence) and not segment.is_empty:
                    self._kept.append((_WRITTEN, segment))

    def read(
        self, series: SeriesKey, start: datetime, end: datetime, *, level: timedelta | None = None, merged: bool = False
    ) -> Iterator[Segment]:
        """Segments that overlap [start, end), oldest first."""
        del merged  # they are as good unmerged
        with self._lock:
            found = [
                segment
                for kept, segment in self._kept
                if segment.series == series and segment.start < end and segment.end > start and level in (None, kept)
            ]
        return iter(sorted(found, key=lambda segment: (segment.start, segment.end)))

    def series(self, tenant: str, model: str | None = None) -> Iterator[SeriesKey]:
        """Series that have segments, sorted."""
        with self._lock:
            found = {segment.series for _, segment in self._kept}
        return iter(sorted(key for key in found if key.tenant == tenant and model in (None, key.model)))

    def tenants(self) -> Iterator[str]:
        """Tenants that have series, sorted."""
        with self._lock:
            found = {segment.series.tenant for _, segment in self._kept}
        return iter(sorted(found))

    def replace(
        self,
        series: SeriesKey,
        start: datetime,
        end: datetime,
        level: timedelta,
        merge: Callable[[Sequence[Segment]], Sequence[Segment]],
    ) -> int:
        """Merge what lies within [start, end)."""
        with self._lock:
            inside: list[tuple[timedelta, Segment]] = []
            outside: list[tuple[timedelta, Segment]] = []
            for kept in self._kept:
                within = kept[1].series == series and kept[1].start >= start and kept[1].end <= end
                (inside if within else outside).append(kept)
            self._kept = outside + [(level, segment) for segment in merge([segment for _, segment in inside])]
        return len(inside)

    def log(self, rows: Sequence[Logged]) -> None:
        """Keep each (series, kind, prediction id, row) once."""
        with self._lock:
            for row in rows:
                name = row.series, row.kind, row.prediction_id, row.row
                if name not in self._log:
                    self._rows += 1
                    self._log[name] = self._rows, row
                    self._of_row[_row(name)].append(name)
                    self._fresh[name] = None

    def read_log(self, series: SeriesKey, start: datetime, end: datetime, *, since: str | None = None) -> Page[Logged]:
        """Rows of one series in the order in which they were kept."""
        after = int(since or 0)
        with self._lock:
            found = [
                (number, row) for number, row in self._log.values() if number > after and row.series == series and start <= row.at < end
            ]
        return Page(tuple(row for _, row in found[:_PAGE]), str(found[_PAGE - 1][0]) if len(found) > _PAGE else None)

    def join(self, tenant: str, tally: Callable[[Sequence[Joined]], Sequence[Segment]]) -> int:
        """Match what arrived since the last call."""
        with self._lock:
            fresh = list(islice((name for name in self._fresh if name[0].tenant == tenant), _PAGE))
            pairs: dict[_Name, Joined] = {}
            for name in fresh:
                for prediction, outcome in self._partners(name):
                    if prediction not in self._joined and prediction not in pairs:
                        pairs[prediction] = Joined(self._log[prediction][1], self._log[outcome][1].value)
            self._kept += [(_WRITTEN, segment) for segment in (tally(list(pairs.values())) if pairs else ())]
            self._joined.update(pairs)
            for name in fresh:
                del self._fresh[name]
        return len(fresh)

    def _partners(self, name: _Name) -> list[tuple[_Name, _Name]]:
        """The pairs of prediction and outcome that a row of the log is in."""
        found = [one for one in self._of_row[_row(name)] if one[1] != name[1]]
        pairs = [(name, one) if name[1] == "prediction" else (one, name) for one in found]
        return [(prediction, outcome) for prediction, outcome in pairs if outcome[0].model in (prediction[0].model, UNNAMED)]

    def purge(
        self, tenant: str, *, before: datetime | None = None, ids: Sequence[str] = (), part: Literal["samples", "log"] | None = None
    ) -> int:
        """Erase rows of the log, and of the samples and failures that segments carry."""

        def erased(owner: SeriesKey, at: datetime, name: object) -> bool:
            return owner.tenant == tenant and (name in ids or (before is not None and at < before))

        with self._lock:
            gone = {name for name, (_, row) in self._log.items() if part != "samples" and erased(row.series, row.at, row.prediction_id)}
            pairs = {pair for name in gone if name[1] == "prediction" for pair in self._partners(name)}
            gone |= {outcome for _, outcome in pairs}
            for name in gone:
                del self._log[name]
                self._of_row[_row(name)].remove(name)
                self._fresh.pop(name, None)
                self._joined.discard(name)
            count = len(gone)
            for position, (level, segment) in enumerate(self._kept if part != "log" else ()):
                kept = [
                    tuple(row for row in rows if not erased(segment.series, segment.start, row.get("prediction_id")))
                    for rows in (segment.sample, segment.failures)
                ]
                count += len(segment.sample) + len(segment.failures) - sum(map(len, kept))
                self._kept[position] = (level, evolve(segment, sample=kept[0], failures=kept[1]))
        return count


def _row(name: _Name) -> tuple[str, str, int]:
    """What a prediction and its outcome have in common."""
    series, _, prediction_id, row = name
    return series.tenant, prediction_id, row
