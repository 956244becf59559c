"""Tables. Times are whole microseconds since 1970 in UTC, levels and widths whole microseconds."""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    text,
)

__all__ = ["BEYOND", "LOG", "META", "METADATA", "SEGMENTS", "SERIES", "SUMMED", "SUMS", "VERSION", "WIDTHS", "WRITERS"]

VERSION: Final = 2
WIDTHS: Final = tuple(seconds * 1_000_000 for seconds in (2, 10, 60, 600, 3600, 86400))
"""Of buckets that have sums, in microseconds; each a multiple of the one before. The narrowest is for the latest moments only."""

SUMMED: Final = ("start", "revision", "total", "errors", "unit_errors", "latency_sum", "histogram", "errors_by_type", "recorded", "quality")
"""Columns that segments and sums share."""

METADATA: Final = MetaData()

_WHOLE: Final = BigInteger().with_variant(Integer, "sqlite")


def _text(name: str, comment: str = "", *, primary_key: bool = False, nullable: bool = False) -> Column[str]:
    return Column(name, Text, primary_key=primary_key, nullable=nullable, comment=comment or None)


def _whole(name: str, comment: str = "", *, primary_key: bool = False) -> Column[int]:
    return Column(name, _WHOLE, primary_key=primary_key, nullable=False, autoincrement=False, comment=comment or None)


def _number() -> Column[int]:
    return Column("id", _WHOLE, primary_key=True)


def _series() -> Column[int]:
    return Column("series", ForeignKey("sink_series.id"), nullable=False)


META: Final = Table("sink_meta", METADATA, _text("name", primary_key=True), _text("value"))

SERIES: Final = Table(
    "sink_series",
    METADATA,
    _number(),
    _text("tenant"),
    _text("environment"),
    _text("model"),
    _text("version"),
    UniqueConstraint("tenant", "model", "environment", "version"),
)

SEGMENTS: Final = Table(
    "sink_segments",
    METADATA,
    _number(),
    _series(),
    _whole("level", "0: as written; else the length to which it was rolled up"),
    _whole("start"),
    _whole("end"),
    _text("writer"),
    _whole("sequence"),
    _whole("revision"),
    _whole("total"),
    _whole("errors"),
    _whole("unit_errors", "repeated errors: 0 in all that a release wrote which called them so"),
    Column("latency_sum", Float, nullable=False),
    Column("histogram", LargeBinary, nullable=False, comment="see mlops_sink_sql.packing"),
    _text("errors_by_type", "JSON", nullable=True),
    _text("recorded", "JSON: values", nullable=True),
    _text("quality", "JSON", nullable=True),
    _text("sample", "JSON: sampled predictions", nullable=True),
    _text("failures", "JSON: predictions that failed", nullable=True),
    Index("sink_segments_time", "series", "end", "start"),
    Index("sink_segments_level", "series", "level", "end", "start"),
)

SUMS: Final = Table(
    "sink_sums",
    METADATA,
    _number(),
    _series(),
    _whole("bucket", "its end; see mlops_sink_sql.sums"),
    _whole("width"),
    _whole("revision"),
    _whole("start", "of its first segment"),
    _whole("latest", "the end of its last segment"),
    _whole("total"),
    _whole("errors"),
    _whole("unit_errors", "repeated errors: 0 in all that a release wrote which called them so"),
    Column("latency_sum", Float, nullable=False),
    Column("histogram", LargeBinary, nullable=False),
    _text("errors_by_type", nullable=True),
    _text("recorded", nullable=True),
    _text("quality", nullable=True),
    UniqueConstraint("series", "width", "bucket", "revision"),
    Index("sink_sums_bucket", "series", "bucket"),
)

WRITERS: Final = Table(
    "sink_writers",
    METADATA,
    _text("writer", primary_key=True),
    _whole("reached", "every sequence up to here was written; outlives the segments"),
)

BEYOND: Final = Table(
    "sink_beyond",
    METADATA,
    _text("writer", primary_key=True),
    _whole("sequence", "written although an earlier one is missing", primary_key=True),
)

_FRESH: Final = text("fresh = 1")

LOG: Final = Table(
    "sink_log",
    METADATA,
    _number(),
    _series(),
    _text("tenant"),
    _text("kind"),
    _text("prediction_id"),
    _whole("row"),
    _whole("at"),
    _text("value", "JSON"),
    _whole("fresh", "1: no join has looked at it yet"),
    _whole("joined", "1: a prediction whose outcome was found"),
    UniqueConstraint("prediction_id", "row", "series", "kind"),  # in this order it finds counterparts as well
    Index("sink_log_time", "series", "at"),
    Index("sink_log_fresh", "tenant", "id", sqlite_where=_FRESH, postgresql_where=_FRESH),
    sqlite_autoincrement=True,  # a cursor is an id: an erased one must not come back
)
