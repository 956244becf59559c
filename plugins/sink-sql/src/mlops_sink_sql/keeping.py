"""How segments get in: each once."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from sqlalchemy import delete, insert, select, update

from mlops_sink_sql.rows import segment_row
from mlops_sink_sql.schema import BEYOND, SEGMENTS, WRITERS
from mlops_sink_sql.sums import forget

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sqlalchemy import Connection

    from mlops_core.records import Segment, SeriesKey
    from mlops_sink_sql.database import Database

__all__ = ["admit", "keep"]


def keep(connection: Connection, segments: Sequence[Segment], numbers: Mapping[SeriesKey, int], level: int) -> None:
    """Add rows; sums that lack them are erased."""
    if not segments:
        return
    rows = [segment_row(one, numbers[one.series], level) for one in segments]
    connection.execute(insert(SEGMENTS), rows)
    ends: dict[int, set[int]] = {}
    for row in rows:
        ends.setdefault(row["series"], set()).add(row["end"])
    for series in sorted(ends):
        forget(connection, series, ends[series])


def admit(database: Database, connection: Connection, segments: Iterable[Segment]) -> list[Segment]:
    """Those that are new, by their writers' marks, which are locked and moved on."""
    fresh: list[Segment] = []
    for writer, group in groupby(sorted(segments, key=_origin), key=lambda segment: segment.writer):
        fresh += _admit_of(database, connection, writer, list(group))
    return fresh


def _origin(segment: Segment) -> tuple[str, int]:
    return segment.writer, segment.sequence


def _admit_of(database: Database, connection: Connection, writer: str, segments: Sequence[Segment]) -> list[Segment]:
    """The segments of one writer that are new; moves its mark on as far as there is no gap."""
    before = _mark(database, connection, writer)
    beyond = set(connection.execute(select(BEYOND.c.sequence).where(BEYOND.c.writer == writer)).scalars())
    known, reached, fresh = set(beyond), before, []
    for segment in segments:
        if segment.sequence > before and segment.sequence not in beyond:
            beyond.add(segment.sequence)
            fresh.append(segment)
    while reached + 1 in beyond:
        reached += 1
        beyond.remove(reached)
    if reached > before:
        connection.execute(update(WRITERS).where(WRITERS.c.writer == writer).values(reached=reached))
    if known:
        connection.execute(delete(BEYOND).where(BEYOND.c.writer == writer, BEYOND.c.sequence <= reached))
    late = [{"writer": writer, "sequence": sequence} for sequence in sorted(beyond - known)]
    if late:
        connection.execute(insert(BEYOND), late)
    return fresh


def _mark(database: Database, connection: Connection, writer: str) -> int:
    """How far the writer got; its row is locked, so that who else brings its segments waits."""
    locked = select(WRITERS.c.reached).where(WRITERS.c.writer == writer).with_for_update()
    found = connection.execute(locked).scalar()
    if found is None:
        connection.execute(database.source.insert(WRITERS).values(writer=writer, reached=0).on_conflict_do_nothing())
        found = connection.execute(locked).scalar_one()
    return int(found)
