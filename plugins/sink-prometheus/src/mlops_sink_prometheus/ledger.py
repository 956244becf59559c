"""Totals that all processes of a project add to: one SQLite file, in which each segment counts once."""

from __future__ import annotations

import math
import sqlite3
import threading
from collections import defaultdict
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from attrs import define, field

from mlops_core.exceptions import MonitoringError
from mlops_core.records import Segment, SeriesKey, ValueSum, Window
from mlops_sink_prometheus.forks import guard_fork

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = ["Ledger"]

_NAME: Final = "sink.prometheus"
_VERSION: Final = 1
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_MOST_TYPES: Final = 32  # of a series
_OTHER: Final = "other"
_TABLES: Final = (
    "CREATE TABLE writers (writer TEXT PRIMARY KEY, reached INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE TABLE beyond (writer TEXT, sequence INTEGER, PRIMARY KEY (writer, sequence)) WITHOUT ROWID",
    """CREATE TABLE series (
        id INTEGER PRIMARY KEY, tenant TEXT NOT NULL, environment TEXT NOT NULL, model TEXT NOT NULL, version TEXT NOT NULL,
        total INTEGER NOT NULL, errors INTEGER NOT NULL, latency_sum REAL NOT NULL, written INTEGER NOT NULL,
        UNIQUE (tenant, environment, model, version))""",
    "CREATE TABLE types (series INTEGER, type TEXT, count INTEGER NOT NULL, PRIMARY KEY (series, type)) WITHOUT ROWID",
    "CREATE TABLE buckets (series INTEGER, bucket INTEGER, count INTEGER NOT NULL, PRIMARY KEY (series, bucket)) WITHOUT ROWID",
    "CREATE TABLE latest (series INTEGER, name TEXT, at INTEGER NOT NULL, last REAL NOT NULL, PRIMARY KEY (series, name)) WITHOUT ROWID",
    f"PRAGMA user_version = {_VERSION}",
)
_ADD_SERIES: Final = """INSERT INTO series (tenant, environment, model, version, total, errors, latency_sum, written)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (tenant, environment, model, version) DO UPDATE SET
    total = total + excluded.total, errors = errors + excluded.errors, latency_sum = latency_sum + excluded.latency_sum,
    written = max(written, excluded.written) RETURNING id"""
_SERIES: Final = "SELECT id, tenant, environment, model, version, total, errors, latency_sum FROM series WHERE written >= ?"
_ADD_TYPE: Final = "INSERT INTO types VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET count = count + excluded.count"
_ADD_BUCKET: Final = "INSERT INTO buckets VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET count = count + excluded.count"
_KEEP_LATEST: Final = """INSERT INTO latest VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET at = excluded.at, last = excluded.last
    WHERE (excluded.at, excluded.last) > (at, last)"""
_MOVE_MARK: Final = "INSERT INTO writers VALUES (?, ?) ON CONFLICT DO UPDATE SET reached = excluded.reached"


@define(eq=False)
class Ledger:
    """One connection per process, opened at the first use and used by one thread at a time.

    SQLite's knowledge of its locks does not survive a fork, so a fork waits for a running transaction and closes the file; parent and child
    open it again when they next need it. Process-safe: what ``add`` has returned from survives the death of any process.
    """

    path: Path
    timeout: float
    _connection: sqlite3.Connection | None = field(default=None, init=False, repr=False)
    _guarded: bool = field(default=False, init=False)
    _lock: threading.Lock = field(factory=threading.Lock, init=False, repr=False)

    def add(self, segments: Sequence[Segment]) -> None:
        """Add what is new, all of it or nothing.

        Raises:
            ValueError: A segment holds what cannot be added.
            MonitoringError: The file does not answer.
        """
        for segment in segments:
            _check(segment)
        by_writer: dict[str, dict[int, Segment]] = defaultdict(dict)
        for segment in segments:
            by_writer[segment.writer].setdefault(segment.sequence, segment)
        with self._used() as connection:
            connection.execute("BEGIN IMMEDIATE")
            by_series: dict[SeriesKey, list[Segment]] = defaultdict(list)
            for writer, found in sorted(by_writer.items()):
                for segment in _admit(connection, writer, found):
                    if not segment.is_empty:
                        by_series[segment.series].append(segment)
            for series, fresh in sorted(by_series.items()):
                _add(connection, series, Window.merge(fresh))
            connection.execute("COMMIT")

    def totals(self, recent: timedelta) -> Mapping[SeriesKey, Window]:
        """Everything counted so far, of each series that was added to within ``recent``."""
        since = _now() - recent // _MICROSECOND
        with self._used() as connection:
            connection.execute("BEGIN")
            types, histograms, values = defaultdict[int, dict[str, int]](dict), defaultdict[int, dict[int, int]](dict), _values(connection)
            for series, kind, count in connection.execute("SELECT series, type, count FROM types"):
                types[series][kind] = count
            for series, bucket, count in connection.execute("SELECT series, bucket, count FROM buckets"):
                histograms[series][bucket] = count
            rows = connection.execute(_SERIES, (since,)).fetchall()
            connection.execute("COMMIT")
        return {
            SeriesKey(*names): Window(
                total, errors, errors_by_type=types[number], latency_sum=seconds, histogram=histograms[number], values=values[number]
            )
            for number, *names, total, errors, seconds in rows
        }

    def close(self) -> None:
        """Close this process's connection. Idempotent."""
        with self._lock:
            self._disconnect()

    @contextmanager
    def _used(self) -> Iterator[sqlite3.Connection]:
        """The connection; a transaction that is not committed is rolled back."""
        with self._lock:
            try:
                connection = self._connection = self._connection or self._open()
                try:
                    yield connection
                finally:
                    if connection.in_transaction:
                        connection.execute("ROLLBACK")
            except sqlite3.Error as error:
                self._disconnect()
                raise MonitoringError(f"{_NAME}: {self.path}: {error} - check the file, its folder and the free space") from error

    def _open(self) -> sqlite3.Connection:
        if not self._guarded:
            self._guarded = True
            guard_fork(self._before_fork, self._after_fork, self._in_child)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise MonitoringError(f"{_NAME}: {self.path.parent} cannot be made: {error.strerror} - check 'path'") from error
        connection = sqlite3.connect(self.path, timeout=self.timeout, isolation_level=None, check_same_thread=False)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")  # a killed process loses nothing, a power cut may lose the last moments
            self._bring_schema(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _bring_schema(self, connection: sqlite3.Connection) -> None:
        connection.execute("BEGIN IMMEDIATE")
        (stored,) = connection.execute("PRAGMA user_version").fetchone()
        if stored > _VERSION:
            raise MonitoringError(
                f"{_NAME}: {self.path} has schema {stored}, this release knows {_VERSION} - upgrade motadata-mlops-sink-prometheus"
            )
        if stored == 0:
            if connection.execute("SELECT 1 FROM sqlite_schema").fetchone():
                raise MonitoringError(f"{_NAME}: {self.path} is another program's database - give this sink a 'path' of its own")
            for statement in _TABLES:
                connection.execute(statement)
        connection.execute("COMMIT")

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _before_fork(self) -> None:
        self._lock.acquire()
        self._disconnect()

    def _after_fork(self) -> None:
        self._lock.release()

    def _in_child(self) -> None:
        self._lock = threading.Lock()


def _check(segment: Segment) -> None:
    """What would make a counter go down, or is no number."""
    counts = (segment.total, segment.errors, *segment.errors_by_type.values(), *segment.histogram.values())
    if min(counts) < 0 or not 0 <= segment.latency_sum < math.inf or not all(math.isfinite(one.last) for one in segment.values.values()):
        raise ValueError(f"segment {segment.sequence} of {segment.series.model}: its figures are negative or not finite")


def _admit(connection: sqlite3.Connection, writer: str, found: Mapping[int, Segment]) -> list[Segment]:
    """The segments of one writer that are new; moves its mark on as far as there is no gap."""
    (reached,) = connection.execute("SELECT reached FROM writers WHERE writer = ?", (writer,)).fetchone() or (0,)
    known = {number for (number,) in connection.execute("SELECT sequence FROM beyond WHERE writer = ?", (writer,))}
    fresh = [number for number in sorted(found) if number > reached and number not in known]
    beyond = known.union(fresh)
    while reached + 1 in beyond:
        reached += 1
    connection.execute(_MOVE_MARK, (writer, reached))
    if known:
        connection.execute("DELETE FROM beyond WHERE writer = ? AND sequence <= ?", (writer, reached))
    connection.executemany("INSERT INTO beyond VALUES (?, ?)", [(writer, number) for number in fresh if number > reached])
    return [found[number] for number in fresh]


def _add(connection: sqlite3.Connection, series: SeriesKey, window: Window) -> None:
    names = [_plain(name) for name in (series.tenant, series.environment, series.model, series.version)]
    ((number,),) = connection.execute(_ADD_SERIES, (*names, window.total, window.errors, window.latency_sum, _now())).fetchall()
    known = {kind for (kind,) in connection.execute("SELECT type FROM types WHERE series = ?", (number,))}
    for kind, count in window.errors_by_type.items():  # each process names the first few: together they may be many
        name = _plain(kind) if _plain(kind) in known or len(known) < _MOST_TYPES else _OTHER
        known.add(name)
        connection.execute(_ADD_TYPE, (number, name, count))
    connection.executemany(_ADD_BUCKET, [(number, bucket, count) for bucket, count in window.histogram.items()])
    latest = [(number, _plain(name), ((one.at or _EPOCH) - _EPOCH) // _MICROSECOND, one.last) for name, one in window.values.items()]
    connection.executemany(_KEEP_LATEST, latest)


def _values(connection: sqlite3.Connection) -> dict[int, dict[str, ValueSum]]:
    found = defaultdict[int, dict[str, ValueSum]](dict)
    for series, name, at, last in connection.execute("SELECT series, name, at, last FROM latest"):
        found[series][name] = ValueSum(1, last, last, _EPOCH + timedelta(microseconds=at))
    return found


def _now() -> int:
    return (datetime.now(UTC) - _EPOCH) // _MICROSECOND


def _plain(text: str) -> str:
    """Text that UTF-8 holds, without NUL, at which a parser of the text format may end."""
    return text.encode("utf-8", "replace").decode("utf-8").replace("\0", "?")
