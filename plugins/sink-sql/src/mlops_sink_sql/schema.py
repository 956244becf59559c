"""Tables. Times are whole microseconds since 1970 in UTC, levels whole microseconds."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Column, Float, ForeignKey, Index, Integer, MetaData, Table, Text, UniqueConstraint

__all__ = ["BEYOND", "LOG", "META", "METADATA", "SEGMENTS", "SERIES", "VERSION", "WRITERS"]

VERSION: Final = 1
METADATA: Final = MetaData()

META: Final = Table("sink_meta", METADATA, Column("name", Text, primary_key=True), Column("value", Text, nullable=False))

SERIES: Final = Table(
    "sink_series",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("tenant", Text, nullable=False),
    Column("environment", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("version", Text, nullable=False),
    UniqueConstraint("tenant", "model", "environment", "version"),
)

SEGMENTS: Final = Table(
    "sink_segments",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("series", ForeignKey(SERIES.c.id), nullable=False),
    Column("level", Integer, nullable=False, comment="0: as written; else the length to which it was rolled up"),
    Column("start", Integer, nullable=False),
    Column("end", Integer, nullable=False),
    Column("writer", Text, nullable=False),
    Column("sequence", Integer, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("total", Integer, nullable=False),
    Column("errors", Integer, nullable=False),
    Column("unit_errors", Integer, nullable=False),
    Column("latency_sum", Float, nullable=False),
    Column("detail", Text, nullable=False, comment="JSON: error types, histogram, values"),
    Column("sample", Text, comment="JSON: sampled predictions"),
    Index("sink_segments_time", "series", "end", "start"),
)

WRITERS: Final = Table(
    "sink_writers",
    METADATA,
    Column("writer", Text, primary_key=True),
    Column("reached", Integer, nullable=False, comment="every sequence up to here was written; outlives the segments"),
)

BEYOND: Final = Table(
    "sink_beyond",
    METADATA,
    Column("writer", Text, primary_key=True),
    Column("sequence", Integer, primary_key=True, comment="written although an earlier one is missing"),
)

LOG: Final = Table(
    "sink_log",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("series", ForeignKey(SERIES.c.id), nullable=False),
    Column("tenant", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("prediction_id", Text, nullable=False),
    Column("at", Integer, nullable=False),
    Column("value", Text, nullable=False, comment="JSON"),
    UniqueConstraint("tenant", "kind", "prediction_id"),
    Index("sink_log_time", "series", "at"),
    sqlite_autoincrement=True,  # a cursor is an id: an erased one must not come back
)
