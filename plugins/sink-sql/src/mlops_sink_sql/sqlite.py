"""``sink.sqlite``: segments and the prediction log in one file that many processes write and read."""

from __future__ import annotations

import json
from functools import cache, partial
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final

from attrs import define, field
from sqlalchemy import and_, delete, exists, func, select, update
from sqlalchemy.dialects.sqlite import insert

from mlops_core.records import Logged, Page, Segment, SeriesKey
from mlops_core.roles import MonitorSink
from mlops_sink_sql.database import Database
from mlops_sink_sql.rows import log_row, logged_of, micros, segment_of, segment_row, span
from mlops_sink_sql.schema import BEYOND, LOG, SEGMENTS, SERIES, WRITERS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime, timedelta

    from sqlalchemy import ColumnElement, Connection

__all__ = ["SqliteSink"]

_PAGE: Final = 1000
_WRITTEN: Final = 0


@define(eq=False)
class SqliteSink(MonitorSink):
    """Segments in one SQLite file. Process-safe: what was written survives the death of any process; the last moments may go with power."""

    contract = 1
    capabilities: ClassVar[frozenset[str]] = frozenset({"read", "log"})

    path: Path = field(
        default=Path(".mlops/monitoring.db"), converter=Path, metadata={"help": "the file; created with its folder when missing"}
    )
    busy_timeout: float = field(default=30.0, metadata={"help": "seconds that a writer waits for the others"})
    _database: Database = field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self._database = Database(self.path.absolute(), self.busy_timeout)

    def check(self) -> None:
        """Open the file and look at its schema."""
        with self._database.reading():
            pass

    def close(self) -> None:
        """Close this process's connections."""
        self._database.close()

    def write(self, segments: Sequence[Segment]) -> None:
        """Keep each (writer, sequence) once, all of the call in one transaction."""
        with self._database.writing() as connection:
            owner = cache(partial(_series_id, connection))
            for writer, group in groupby(sorted(segments, key=_origin), key=lambda segment: segment.writer):
                rows = [segment_row(segment, owner(segment.series), _WRITTEN) for segment in _admit(connection, writer, list(group))]
                if rows:
                    connection.execute(insert(SEGMENTS), rows)

    def read(self, series: SeriesKey, start: datetime, end: datetime, *, level: timedelta | None = None) -> Iterator[Segment]:
        """Segments that overlap [start, end), oldest first."""
        wanted = [SEGMENTS.c.series == _id_of(series), SEGMENTS.c.start < micros(end), SEGMENTS.c.end > micros(start)]
        if level is not None:
            wanted.append(SEGMENTS.c.level == span(level))
        query = select(SEGMENTS).where(*wanted).order_by(SEGMENTS.c.start, SEGMENTS.c.end, SEGMENTS.c.id)
        with self._database.reading() as connection:
            rows = connection.execute(query).mappings().all()
        return (segment_of(row, series) for row in rows)

    def series(self, tenant: str, model: str | None = None) -> Iterator[SeriesKey]:
        """Series that have segments, sorted."""
        query = select(SERIES).where(SERIES.c.tenant == tenant, exists().where(SEGMENTS.c.series == SERIES.c.id))
        if model is not None:
            query = query.where(SERIES.c.model == model)
        with self._database.reading() as connection:
            found = [SeriesKey(row.tenant, row.environment, row.model, row.version) for row in connection.execute(query)]
        return iter(sorted(found))

    def tenants(self) -> Iterator[str]:
        """Tenants that have series, sorted."""
        query = select(SERIES.c.tenant).distinct().where(exists().where(SEGMENTS.c.series == SERIES.c.id))
        with self._database.reading() as connection:
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
        """Merge what lies within [start, end), under the write lock."""
        inside = and_(SEGMENTS.c.series == _id_of(series), SEGMENTS.c.start >= micros(start), SEGMENTS.c.end <= micros(end))
        with self._database.writing() as connection:
            rows = connection.execute(select(SEGMENTS).where(inside).order_by(SEGMENTS.c.start, SEGMENTS.c.id)).mappings().all()
            merged = merge([segment_of(row, series) for row in rows])
            connection.execute(delete(SEGMENTS).where(inside))
            if merged:
                owner = _series_id(connection, series)
                connection.execute(insert(SEGMENTS), [segment_row(segment, owner, span(level)) for segment in merged])
        return len(rows)

    def log(self, rows: Sequence[Logged]) -> None:
        """Keep each (tenant, kind, prediction id) once, all of the call in one transaction."""
        with self._database.writing() as connection:
            owner = cache(partial(_series_id, connection))
            given = [log_row(row, owner(row.series)) for row in rows]
            if given:
                connection.execute(insert(LOG).on_conflict_do_nothing(), given)

    def read_log(self, series: SeriesKey, start: datetime, end: datetime, *, since: str | None = None) -> Page[Logged]:
        """Rows of one series in the order in which they were kept."""
        wanted = (LOG.c.series == _id_of(series), LOG.c.at >= micros(start), LOG.c.at < micros(end), LOG.c.id > int(since or 0))
        with self._database.reading() as connection:
            rows = connection.execute(select(LOG).where(*wanted).order_by(LOG.c.id).limit(_PAGE + 1)).mappings().all()
        items = tuple(logged_of(row, series) for row in rows[:_PAGE])
        return Page(items, str(rows[_PAGE - 1]["id"]) if len(rows) > _PAGE else None)

    def purge(self, tenant: str, *, before: datetime | None = None, ids: Sequence[str] = ()) -> int:
        """Erase rows of the log, and of the samples that segments carry; the file's freed pages are overwritten."""
        with self._database.writing() as connection:
            count = _purge_log(connection, tenant, before, ids) + _purge_samples(connection, tenant, before, frozenset(ids))
        self._database.settle()
        return count


def _origin(segment: Segment) -> tuple[str, int]:
    return segment.writer, segment.sequence


def _id_of(series: SeriesKey) -> ColumnElement[int]:
    """The series' number as a subquery: NULL, which equals nothing, for one that never was."""
    return select(SERIES.c.id).where(_is(series)).scalar_subquery()


def _is(series: SeriesKey) -> ColumnElement[bool]:
    return and_(
        SERIES.c.tenant == series.tenant,
        SERIES.c.model == series.model,
        SERIES.c.environment == series.environment,
        SERIES.c.version == series.version,
    )


def _series_id(connection: Connection, series: SeriesKey) -> int:
    """The series' number, given now if it is new."""
    fields = {"tenant": series.tenant, "environment": series.environment, "model": series.model, "version": series.version}
    connection.execute(insert(SERIES).values(**fields).on_conflict_do_nothing())
    return int(connection.execute(select(SERIES.c.id).where(_is(series))).scalar_one())


def _admit(connection: Connection, writer: str, segments: Sequence[Segment]) -> list[Segment]:
    """The segments of one writer that are new; moves its mark on as far as there is no gap."""
    before = connection.execute(select(WRITERS.c.reached).where(WRITERS.c.writer == writer)).scalar() or 0
    beyond = set(connection.execute(select(BEYOND.c.sequence).where(BEYOND.c.writer == writer)).scalars())
    known, reached, fresh = set(beyond), before, []
    for segment in segments:
        if segment.sequence > before and segment.sequence not in beyond:
            beyond.add(segment.sequence)
            fresh.append(segment)
    while reached + 1 in beyond:
        reached += 1
        beyond.remove(reached)
    mark = insert(WRITERS).values(writer=writer, reached=reached)
    connection.execute(mark.on_conflict_do_update(index_elements=["writer"], set_={"reached": reached}))
    if known:
        connection.execute(delete(BEYOND).where(BEYOND.c.writer == writer, BEYOND.c.sequence <= reached))
    late = [{"writer": writer, "sequence": sequence} for sequence in sorted(beyond - known)]
    if late:
        connection.execute(insert(BEYOND), late)
    return fresh


def _purge_log(connection: Connection, tenant: str, before: datetime | None, ids: Sequence[str]) -> int:
    wanted: list[ColumnElement[bool]] = [LOG.c.prediction_id.in_(ids[first : first + _PAGE]) for first in range(0, len(ids), _PAGE)]
    if before is not None:
        wanted.append(LOG.c.at < micros(before))
    gone = [connection.execute(delete(LOG).where(LOG.c.tenant == tenant, one).returning(LOG.c.id)).all() for one in wanted]
    return sum(map(len, gone))


def _purge_samples(connection: Connection, tenant: str, before: datetime | None, ids: frozenset[str]) -> int:
    return (_purge_old(connection, tenant, before) if before is not None else 0) + (_purge_named(connection, tenant, ids) if ids else 0)


def _purge_old(connection: Connection, tenant: str, before: datetime) -> int:
    mine = select(SERIES.c.id).where(SERIES.c.tenant == tenant)
    old = and_(SEGMENTS.c.series.in_(mine), SEGMENTS.c.end < micros(before), SEGMENTS.c.sample.is_not(None))
    count = connection.execute(select(func.coalesce(func.sum(func.json_array_length(SEGMENTS.c.sample)), 0)).where(old)).scalar_one()
    connection.execute(update(SEGMENTS).where(old).values(sample=None))
    return int(count)


def _purge_named(connection: Connection, tenant: str, ids: frozenset[str]) -> int:
    carrying = select(SEGMENTS.c.id, SEGMENTS.c.sample).join(SERIES).where(SERIES.c.tenant == tenant, SEGMENTS.c.sample.is_not(None))
    count = 0
    for number, text in connection.execute(carrying).all():
        rows = json.loads(text)
        kept = [row for row in rows if row.get("prediction_id") not in ids]
        if len(kept) < len(rows):
            count += len(rows) - len(kept)
            connection.execute(update(SEGMENTS).where(SEGMENTS.c.id == number).values(sample=json.dumps(kept) if kept else None))
    return count
