"""How the schema of each release becomes that of the next. No step is changed later."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import inspect, select, text, update

from mlops_core.exceptions import MonitoringError
from mlops_sink_sql.packing import pack
from mlops_sink_sql.rows import json_text
from mlops_sink_sql.schema import META, METADATA, VERSION

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection

__all__ = ["STEPS", "bring_schema", "stored_version"]

_SCHEMA: Final = META.c.name == "schema"
_BATCH: Final = 1000

_MATCHING: Final = (
    """CREATE TABLE sink_new_segments (
        id INTEGER NOT NULL, series INTEGER NOT NULL, level INTEGER NOT NULL, start INTEGER NOT NULL, "end" INTEGER NOT NULL,
        writer TEXT NOT NULL, sequence INTEGER NOT NULL, revision INTEGER NOT NULL, total INTEGER NOT NULL, errors INTEGER NOT NULL,
        unit_errors INTEGER NOT NULL, latency_sum FLOAT NOT NULL, histogram BLOB NOT NULL, errors_by_type TEXT, recorded TEXT, quality TEXT,
        sample TEXT, failures TEXT, PRIMARY KEY (id), FOREIGN KEY(series) REFERENCES sink_series (id))""",
    """CREATE TABLE sink_new_log (
        id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, series INTEGER NOT NULL, tenant TEXT NOT NULL, kind TEXT NOT NULL,
        prediction_id TEXT NOT NULL, "row" INTEGER NOT NULL, at INTEGER NOT NULL, value TEXT NOT NULL, fresh INTEGER NOT NULL,
        joined INTEGER NOT NULL, UNIQUE (prediction_id, "row", series, kind), FOREIGN KEY(series) REFERENCES sink_series (id))""",
    """INSERT INTO sink_new_log SELECT id, series, tenant, kind, prediction_id, 0, at, value, 1, 0 FROM sink_log ORDER BY id""",
    "DROP TABLE sink_log",
    "ALTER TABLE sink_new_log RENAME TO sink_log",
    "CREATE INDEX sink_log_time ON sink_log (series, at)",
    "CREATE INDEX sink_log_fresh ON sink_log (tenant, id) WHERE fresh = 1",
)
_SWAPPED: Final = (
    "DROP TABLE sink_segments",
    "ALTER TABLE sink_new_segments RENAME TO sink_segments",
    'CREATE INDEX sink_segments_time ON sink_segments (series, "end", start)',
    'CREATE INDEX sink_segments_level ON sink_segments (series, level, "end", start)',
)
_NEW_SEGMENT: Final = text(
    """INSERT INTO sink_new_segments VALUES (:id, :series, :level, :start, :end, :writer, :sequence, :revision, :total, :errors,
       :unit_errors, :latency_sum, :histogram, :errors_by_type, :recorded, NULL, :sample, NULL)"""
)


def _outcomes_are_matched(connection: Connection) -> None:
    """Of a SQLite file: the first release knew no other. What it logged is matched as if it had just arrived."""
    for statement in _MATCHING:
        connection.exec_driver_sql(statement)
    read = connection.execute(text("SELECT * FROM sink_segments")).mappings()
    for rows in read.partitions(_BATCH):
        connection.execute(_NEW_SEGMENT, [{**row, **_unbundled(row["detail"])} for row in rows])
    for statement in _SWAPPED:
        connection.exec_driver_sql(statement)


def _unbundled(detail: str) -> dict[str, Any]:
    errors_by_type, histogram, values = json.loads(detail)
    texts = {"errors_by_type": errors_by_type, "recorded": values}
    packed = pack({int(place): count for place, count in histogram.items()})
    return {"histogram": packed, **{name: json_text(value) if value else None for name, value in texts.items()}}


STEPS: Final[dict[int, Callable[[Connection], None]]] = {2: _outcomes_are_matched}
"""By the schema version that each step leads to."""


def stored_version(connection: Connection) -> int | None:
    """The schema version of the database; None where it has no tables of this sink yet."""
    if not inspect(connection).has_table(META.name):
        return None
    return int(connection.execute(select(META.c.value).where(_SCHEMA)).scalar() or 0)


def bring_schema(connection: Connection, place: str) -> None:
    """Make the tables, or take every step that is due, in the transaction of the connection: all of it or nothing.

    Raises:
        MonitoringError: They are those of a later release; nothing was changed.
    """
    stored = stored_version(connection)
    if stored is None:
        METADATA.create_all(connection)
        connection.execute(META.insert().values(name="schema", value=str(VERSION)))
        return
    if stored > VERSION:
        raise MonitoringError(f"{place} has schema {stored}, this release knows {VERSION} - upgrade motadata-mlops-sink-sql")
    for version, step in sorted(STEPS.items()):
        if version > stored:
            step(connection)
            connection.execute(update(META).where(_SCHEMA).values(value=str(version)))
    METADATA.create_all(connection)  # tables that are new as a whole
