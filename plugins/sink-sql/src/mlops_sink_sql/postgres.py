"""``sink.postgres``: segments and the prediction log that many machines share, in one schema of a PostgreSQL database."""

from __future__ import annotations

import re
import select
from typing import TYPE_CHECKING, Any, ClassVar, Final

from attrs import define, field
from sqlalchemy import create_engine, event, inspect, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DisconnectionError
from sqlalchemy.pool import NullPool
from sqlalchemy.schema import CreateSchema

from mlops_core.exceptions import MonitoringError
from mlops_core.records import SeriesKey
from mlops_sink_sql.database import Database
from mlops_sink_sql.migrations import bring_schema
from mlops_sink_sql.sink import SqlSink

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Connection, Engine, Table

__all__ = ["PostgresSink"]

_NAME: Final = "sink.postgres"
_DRIVER: Final = "postgresql+psycopg"
_SCHEMA: Final = re.compile(r"[a-z_][a-z0-9_]{0,62}", re.ASCII)
_LATE: Final = 1.0  # seconds
_CONNECTING: Final = 10  # seconds at most, in which a server takes a connection
_TABLES: Final = "sink/tables"


def _schema(_: object, __: object, value: str) -> None:
    if not _SCHEMA.fullmatch(value):
        raise MonitoringError(f"{_NAME}: schema: {value!r} is no plain name - use small letters, digits and _")


@define(eq=False)
class PostgresSink(SqlSink):
    """Segments in a PostgreSQL database. What was written is on the server's disk."""

    contract: ClassVar[int] = 1

    url: str = field(repr=False, metadata={"help": "the database: postgresql://user:password@host:5432/database"})
    schema: str = field(
        default="mlops", validator=_schema, metadata={"help": "the database schema that holds the tables; made when it is missing"}
    )
    busy_timeout: float = field(default=30.0, metadata={"help": "seconds that a writer waits for the others, and for the server"})
    _database: Database = field(init=False, repr=False)
    _closed: dict[SeriesKey, int] = field(factory=dict, init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self._database = Database(_Server(_url(self.url), self.schema, self.busy_timeout))

    @property
    def closed(self) -> dict[SeriesKey, int]:
        """As this process remembers it."""
        return self._closed

    @property
    def database(self) -> Database:
        """The server."""
        return self._database


@define(eq=False)
class _Server:
    """The database server. Writers queue at its rows."""

    url: URL = field(repr=False)
    schema: str
    timeout: float

    @property
    def label(self) -> str:
        port = "" if self.url.port is None else f":{self.url.port}"
        return f"{_NAME}: postgresql://{self.url.host or ''}{port}/{self.url.database or ''}"

    @property
    def remedy(self) -> str:
        return "check the server, the URL and the rights of its user"

    @property
    def snapshot(self) -> Mapping[str, Any]:
        return {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}

    def open(self) -> Engine:
        """The sink owns its tables: those of an earlier release are brought up to date by whoever comes first, and the others wait."""
        with self._engine(poolclass=NullPool).begin() as connection:
            self.queue(connection, f"{_TABLES}/{self.schema}")
            if not inspect(connection).has_schema(self.schema):  # "IF NOT EXISTS" asks for the right to make one even where it is there
                connection.execute(CreateSchema(self.schema))
            bring_schema(connection, self.label)
        engine = self._engine()
        event.listen(engine, "checkout", _check_out)
        return engine

    def insert(self, table: Table) -> Any:
        return insert(table)

    def queue(self, connection: Connection, name: str) -> None:
        connection.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))"), {"name": f"mlops/{name}"})

    def settle(self, engine: Engine) -> None:
        """Nothing: the server's own VACUUM frees, and later overwrites, what was erased."""

    def _engine(self, **options: Any) -> Engine:
        milliseconds = int(self.timeout * 1000)
        settings = {
            "search_path": self.schema,
            "default_transaction_isolation": "read\\ committed",
            "lock_timeout": milliseconds,
            "synchronous_commit": "on",  # the server's default may be otherwise, and what was taken from a spool is on the disk
            "enable_seqscan": "off",  # statements are prepared: a plan made while a table was small would go on to read all of it
        }
        patience = min(_CONNECTING, max(1, round(self.timeout)))
        alive = {"connect_timeout": patience, "keepalives_idle": 30, "keepalives_interval": 10, "tcp_user_timeout": milliseconds}
        told = {"client_encoding": "utf8", "application_name": "mlops"}
        arguments = {"options": " ".join(f"-c {name}={value}" for name, value in settings.items()), **alive}
        try:
            engine = create_engine(self.url, connect_args={**arguments, **told}, **options)
            self._make_patient(engine)
        except ModuleNotFoundError as error:
            raise MonitoringError(f"{_NAME}: needs {error.name} - run `pip install 'motadata-mlops-sink-sql[postgres]'`") from error
        return engine

    def _make_patient(self, engine: Engine) -> None:
        """A silent server is given up; a second late, since of a lock that was not to be had the server tells by itself."""
        from mlops_sink_sql.patience import PatientConnection

        connection = PatientConnection.within(self.timeout + _LATE)

        def connect(dialect: object, record: object, given: Sequence[Any], named: Mapping[str, Any]) -> Any:
            del dialect, record
            return connection.connect(*given, **named)

        event.listen(engine, "do_connect", connect)


def _url(given: str) -> URL:
    """With psycopg as its driver, whatever driver it names."""
    url: URL | None
    try:
        url = make_url(given)
    except (ArgumentError, ValueError):  # its words may hold a part of the password: they are in no message and no traceback
        url = None
    if url is None or "@" in (url.host or ""):
        raise MonitoringError(
            f"{_NAME}: url: not a database URL - give postgresql://user:password@host:5432/database, "
            "with @ : / of the password written as %40 %3A %2F"
        )
    if url.get_backend_name() not in {"postgresql", "postgres"}:
        raise MonitoringError(f"{_NAME}: url: {url.drivername!r} is another kind of database - give postgresql://...")
    return url.set(drivername=_DRIVER)


def _check_out(raw: Any, record: object, proxy: object) -> None:
    """A server that ended or was restarted has closed its side: then there is something to read, and the pool connects anew."""
    del record, proxy
    if raw.closed or _has_news(raw.fileno()):
        raise DisconnectionError


def _has_news(descriptor: int) -> bool:
    """Whether there is something to read. ``select`` fails for a descriptor of 1024 and above, and stands in where there is no ``poll``."""
    if not hasattr(select, "poll"):  # pragma: no cover  Windows, whose ``select`` takes any descriptor
        return bool(select.select([descriptor], [], [], 0)[0])
    asked = select.poll()
    asked.register(descriptor, select.POLLIN)
    return bool(asked.poll(0))
