"""The relational schema. The tenant comes first in every key; bodies are canonical JSON as text.

Columns are integers, floats and texts only: prebuilt statements go to the driver without SQLAlchemy's conversion of values.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Column, Float, ForeignKeyConstraint, Index, Integer, MetaData, Table, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import TEXT

__all__ = ["METADATA", "NAME", "VERSION", "blob", "blob_use", "entry", "info", "lease", "model", "version", "version_field"]

VERSION: Final = 2
METADATA: Final = MetaData()


NAME: Final = Text().with_variant(TEXT(collation="C"), "postgresql")  # compared byte by byte, as everywhere else


def _name(column: str, *, primary_key: bool = False, nullable: bool = False) -> Column[str]:
    return Column(column, NAME, primary_key=primary_key, nullable=nullable)


def _body(column: str, *, nullable: bool = False) -> Column[str]:
    return Column(column, Text, nullable=nullable)


def _integer(column: str, *, primary_key: bool = False, nullable: bool = False) -> Column[int]:
    kind = BigInteger().with_variant(Integer, "sqlite")
    return Column(column, kind, primary_key=primary_key, nullable=nullable, autoincrement=False)


info: Final = Table("registry_info", METADATA, _name("name", primary_key=True), _name("value"))

model: Final = Table(
    "model",
    METADATA,
    _name("tenant", primary_key=True),
    _name("name", primary_key=True),
    _integer("last_number"),  # the newest automatic number, given and never taken back
)

version: Final = Table(
    "model_version",
    METADATA,
    # The order of insertion, and no more: nobody looks a version up by it.
    Column("sequence", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    _name("tenant"),
    _name("model"),
    _name("version"),
    _name("key"),
    _integer("number", nullable=True),
    _name("format"),
    _name("run_id", nullable=True),
    _name("digest"),
    _name("created"),
    _integer("retired"),
    _body("body"),
    UniqueConstraint("tenant", "model", "version"),
    UniqueConstraint("tenant", "model", "key"),
    Index("model_version_by_age", "tenant", "retired", "sequence"),
    Index("model_version_by_model", "tenant", "retired", "model", "sequence"),
    Index("model_version_by_time", "tenant", "retired", "model", text("created DESC"), "sequence"),
    sqlite_autoincrement=True,
)

version_field: Final = Table(
    "version_field",
    METADATA,
    _name("tenant", primary_key=True),
    _name("model", primary_key=True),
    _name("version", primary_key=True),
    _name("name", primary_key=True),
    Column("number", Float, nullable=True),
    _name("text", nullable=True),  # the first characters: enough to narrow a search
    ForeignKeyConstraint(["tenant", "model", "version"], ["model_version.tenant", "model_version.model", "model_version.version"]),
    Index("version_field_by_number", "tenant", "name", "number"),
    Index("version_field_by_text", "tenant", "name", "text"),
)

entry: Final = Table(
    "journal_entry",
    METADATA,
    _name("tenant", primary_key=True),
    _name("journal", primary_key=True),
    _integer("position", primary_key=True),
    _name("at"),
    _name("kind"),
    _name("key"),
    _body("change"),
    _body("state", nullable=True),
    Index("journal_entry_by_key", "tenant", "journal", "key"),
)

lease: Final = Table(
    "lease",
    METADATA,
    _name("tenant", primary_key=True),
    _name("name", primary_key=True),
    _name("owner"),
    Column("expires", Float, nullable=False),  # seconds since 1970 by the store's clock
)

blob: Final = Table(
    "blob",
    METADATA,
    _name("tenant", primary_key=True),
    _name("sha256", primary_key=True),
    _integer("size"),
    Column("touched", Float, nullable=False),  # when it was last put, by the store's clock
    Column("location", NAME, nullable=False, server_default=""),  # where a store that names every upload anew keeps it
)

blob_use: Final = Table(
    "blob_use",
    METADATA,
    _name("tenant", primary_key=True),
    _name("sha256", primary_key=True),
    _name("holder", primary_key=True),
    ForeignKeyConstraint(["tenant", "sha256"], ["blob.tenant", "blob.sha256"]),
)
