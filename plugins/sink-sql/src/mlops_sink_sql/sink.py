"""A sink in a relational database, whichever it is."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar, Final, Literal

from sqlalchemy import and_, bindparam, delete, exists, select

from mlops_core.records import Logged, Page, Segment, SeriesKey
from mlops_core.roles import MonitorSink
from mlops_sink_sql.covering import cover_window
from mlops_sink_sql.keeping import admit, keep
from mlops_sink_sql.matching import MOST, fresh_rows, pairs_of, purge_log, remember
from mlops_sink_sql.rows import log_row, logged_of, merged_of, micros, segment_of, span
from mlops_sink_sql.samples import purge_samples
from mlops_sink_sql.schema import LOG, SEGMENTS, SERIES
from mlops_sink_sql.series import id_of, lock_series, number_series
from mlops_sink_sql.sums import close_buckets, closing, forget, renew

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime, timedelta

    from mlops_core.records import Joined
    from mlops_sink_sql.database import Database

__all__ = ["SqlSink"]

_WRITTEN: Final = 0
_LIVING: Final = exists().where(SEGMENTS.c.series == SERIES.c.id)
_TENANTS: Final = select(*(SERIES.c[name] for name in ("tenant", "environment", "model", "version"))).where(
    SERIES.c.tenant == bindparam("tenant"), _LIVING
)
_MODELS: Final = _TENANTS.where(SERIES.c.model == bindparam("model"))


class SqlSink(MonitorSink):
    """What a call does is there whole or not at all. Any number of threads and processes use it at once."""

    __slots__ = ()

    capabilities: ClassVar[frozenset[str]] = frozenset({"read", "log"})

    @property
    @abstractmethod
    def closed(self) -> dict[SeriesKey, int]:
        """Of each series the end of the latest bucket that this process tried to close."""

    @property
    @abstractmethod
    def database(self) -> Database:
        """Where the tables are."""

    def check(self) -> None:
        """Open the database and look at its schema."""
        with self.database.reading():
            pass

    def close(self) -> None:
        """Close this process's connections."""
        self.database.close()

    def write(self, segments: Sequence[Segment]) -> None:
        """Keep each (writer, sequence) once."""
        if not segments:
            return
        with self.database.writing() as connection:
            carrying = [segment for segment in segments if not segment.is_empty]
            numbers = number_series(self.database, connection, (segment.series for segment in carrying))
            fresh = [segment for segment in admit(self.database, connection, segments) if not segment.is_empty]
            keep(connection, fresh, numbers, _WRITTEN)
        self._close_buckets(fresh)

    def _close_buckets(self, written: Sequence[Segment]) -> None:
        """Sum the present up every two seconds, in a transaction of its own, or a window of it would read hundreds of segments.

        Where another writes to the series at this moment, the next call tries again.
        """
        newest: dict[SeriesKey, datetime] = {}
        for one in written:
            newest[one.series] = max(one.end, newest.get(one.series, one.end))
        for series, end in newest.items():
            bucket = closing(micros(end))
            if self.closed.get(series, 0) < bucket:
                with self.database.writing() as connection:
                    number = lock_series(connection, series, wait=False)
                    if number is not None:
                        close_buckets(connection, series, number, micros(end))
                        self.closed[series] = bucket

    def read(
        self, series: SeriesKey, start: datetime, end: datetime, *, level: timedelta | None = None, merged: bool = False
    ) -> Iterator[Segment]:
        """Segments that overlap [start, end), oldest first; merged ones out of the sums beside them."""
        if merged and level is None:
            with self.database.reading() as connection:
                found = cover_window(connection, series, micros(start), micros(end))
            return iter(merged_of(found, series))
        wanted = [SEGMENTS.c.series == id_of(series), SEGMENTS.c.start < micros(end), SEGMENTS.c.end > micros(start)]
        if level is not None:
            wanted.append(SEGMENTS.c.level == span(level))
        query = select(SEGMENTS).where(*wanted).order_by(SEGMENTS.c.start, SEGMENTS.c.end, SEGMENTS.c.id)
        with self.database.reading() as connection:
            rows = connection.execute(query).all()
        return (segment_of(row, series) for row in rows)

    def series(self, tenant: str, model: str | None = None) -> Iterator[SeriesKey]:
        """Series that have segments, sorted."""
        query, named = (_TENANTS, {"tenant": tenant}) if model is None else (_MODELS, {"tenant": tenant, "model": model})
        with self.database.reading() as connection:
            found = [SeriesKey(*row) for row in connection.execute(query, named)]
        return iter(sorted(found))

    def tenants(self) -> Iterator[str]:
        """Tenants that have series, sorted."""
        query = select(SERIES.c.tenant).distinct().where(_LIVING)
        with self.database.reading() as connection:
            found = connection.execute(query).scalars().all()
        return iter(sorted(found))

    def replace(
        self,
        series: SeriesKey,
        start: datetime,
        end: datetime,
        level: timedelta,
        merge: Callable[[Sequence[Segment]], Sequence[Segment]],
    ) -> int:
        """Merge what lies within [start, end); the series is locked meanwhile, and a writer of it waits."""
        with self.database.writing() as connection:
            number = lock_series(connection, series)
            inside = and_(SEGMENTS.c.series == number, SEGMENTS.c.start >= micros(start), SEGMENTS.c.end <= micros(end))
            rows = connection.execute(select(SEGMENTS).where(inside).order_by(SEGMENTS.c.start, SEGMENTS.c.id)).all()
            merged = merge([segment_of(row, series) for row in rows])
            if rows:
                connection.execute(delete(SEGMENTS).where(inside))
            keep(connection, merged, number_series(self.database, connection, (one.series for one in merged)), span(level))
            if number is not None:
                ends = {row.end for row in rows} | {micros(one.end) for one in merged}
                forget(connection, number, ends)
                renew(connection, series, number, ends, span(level))
        return len(rows)

    def log(self, rows: Sequence[Logged]) -> None:
        """Keep each (series, kind, prediction id, row) once."""
        if not rows:
            return
        with self.database.writing() as connection:
            numbers = number_series(self.database, connection, (row.series for row in rows))
            connection.execute(
                self.database.source.insert(LOG).on_conflict_do_nothing(), [log_row(row, numbers[row.series]) for row in rows]
            )

    def read_log(self, series: SeriesKey, start: datetime, end: datetime, *, since: str | None = None) -> Page[Logged]:
        """Rows of one series in the order in which they were kept."""
        wanted = (LOG.c.series == id_of(series), LOG.c.at >= micros(start), LOG.c.at < micros(end), LOG.c.id > int(since or 0))
        with self.database.reading() as connection:
            rows = connection.execute(select(LOG).where(*wanted).order_by(LOG.c.id).limit(MOST + 1)).all()
        items = tuple(logged_of(row, series) for row in rows[:MOST])
        return Page(items, str(rows[MOST - 1].id) if len(rows) > MOST else None)

    def join(self, tenant: str, tally: Callable[[Sequence[Joined]], Sequence[Segment]]) -> int:
        """Match what arrived since the last call; of a tenant one call at a time."""
        with self.database.writing() as connection:
            self.database.source.queue(connection, f"join/{tenant}")
            fresh = fresh_rows(connection, tenant)
            pairs = pairs_of(connection, tenant, fresh) if fresh else {}
            segments = tally(list(pairs.values())) if pairs else ()
            numbers = number_series(self.database, connection, (segment.series for segment in segments))
            keep(connection, segments, numbers, _WRITTEN)
            if fresh:
                remember(connection, fresh, list(pairs))
        return len(fresh)

    def purge(
        self, tenant: str, *, before: datetime | None = None, ids: Sequence[str] = (), part: Literal["samples", "log"] | None = None
    ) -> int:
        """Erase rows of the log, and of the samples and failures that segments carry."""
        with self.database.writing() as connection:
            count = purge_log(connection, tenant, before, ids) if part != "samples" else 0
            count += purge_samples(connection, tenant, before, frozenset(ids)) if part != "log" else 0
        self.database.settle()
        return count
