"""``sink.sqlite``: segments and the prediction log in one file that many processes write and read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

from attrs import define, field
from sqlalchemy import create_engine, event
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.engine import URL

from mlops_core.exceptions import MonitoringError
from mlops_core.records import SeriesKey
from mlops_sink_sql.database import WRITES, Database
from mlops_sink_sql.migrations import bring_schema
from mlops_sink_sql.sink import SqlSink

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection, Engine, Table

__all__ = ["SqliteSink"]

_NAME: Final = "sink.sqlite"


@define(eq=False)
class SqliteSink(SqlSink):
    """Segments in one SQLite file. Process-safe: what was written survives the death of any process; the last moments may go with power."""

    contract: ClassVar[int] = 1

    path: Path = field(
        default=Path(".mlops/monitoring.db"), converter=Path, metadata={"help": "the file; created with its folder when missing"}
    )
    busy_timeout: float = field(default=30.0, metadata={"help": "seconds that a writer waits for the others"})
    _database: Database = field(init=False, repr=False)
    _closed: dict[SeriesKey, int] = field(factory=dict, init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self._database = Database(_File(self.path.absolute(), self.busy_timeout))

    @property
    def closed(self) -> dict[SeriesKey, int]:
        """As this process remembers it."""
        return self._closed

    @property
    def database(self) -> Database:
        """The file."""
        return self._database


@define(eq=False)
class _File:
    """The database file. It has one writer at a time."""

    path: Path
    timeout: float

    @property
    def label(self) -> str:
        return f"{_NAME}: {self.path}"

    @property
    def remedy(self) -> str:
        return "check the file, its folder and the free space"

    @property
    def snapshot(self) -> Mapping[str, Any]:
        return {}

    def open(self) -> Engine:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise MonitoringError(f"{_NAME}: {self.path.parent} cannot be made: {error.strerror} - check 'path'") from error
        engine = create_engine(
            URL.create("sqlite", database=str(self.path)), connect_args={"timeout": self.timeout, "check_same_thread": False}
        )
        event.listen(engine, "connect", _configure)
        event.listen(engine, "begin", _begin)
        try:
            with engine.execution_options(**{WRITES: True}).begin() as connection:
                bring_schema(connection, self.label)
        except BaseException:
            engine.dispose()
            raise
        return engine

    def insert(self, table: Table) -> Any:
        return insert(table)

    def queue(self, connection: Connection, name: str) -> None:
        """Nothing: whoever writes is alone."""

    def settle(self, engine: Engine) -> None:
        """Empty the write-ahead log, which still holds what was erased, as far as no reader needs it."""
        raw = engine.raw_connection()
        try:
            raw.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        finally:
            raw.close()


def _configure(connection: Any, record: object) -> None:
    del record
    connection.isolation_level = None  # BEGIN is ours: the driver's own would come too late and would not be IMMEDIATE
    # NORMAL: a killed process loses nothing, a power cut may lose the last moments. secure_delete: what is purged is gone from the file.
    for pragma in ("journal_mode = WAL", "synchronous = NORMAL", "foreign_keys = ON", "secure_delete = ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: Connection) -> None:
    """Who will write takes the lock at once, so that it cannot fail half way for want of it."""
    writes = connection.get_execution_options().get(WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
