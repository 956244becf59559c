"""``registry.postgres``: a registry that many machines share, in one schema of a PostgreSQL database."""

from __future__ import annotations

import re
import select
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, ClassVar

from attrs import define, field
from sqlalchemy import Float, create_engine, event, inspect, literal_column, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import NullPool
from sqlalchemy.schema import CreateSchema

from mlops_core.exceptions import VersioningError
from mlops_registry_sql.choice import S3Options, place_of, place_text
from mlops_registry_sql.database import Database
from mlops_registry_sql.migrations import create, migrate, pending, stored_version
from mlops_registry_sql.owner import Owner
from mlops_registry_sql.places import BlobPlace
from mlops_registry_sql.registry import SqlRegistry
from mlops_registry_sql.statements import Statements

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Connection, Engine

__all__ = ["PostgresRegistry"]

_NAME = "registry.postgres"
_DRIVER = "postgresql+psycopg"
_SCHEMA = re.compile(r"[a-z_][a-z0-9_]{0,62}", re.ASCII)
_LATE = 1.0  # seconds
_CONNECTING = 10  # seconds at most, in which a server takes a connection
_LOCK = 0x6D6C6F70735F7265  # of pg_advisory_xact_lock, for whoever makes or changes the tables


def _url(given: str) -> URL:
    """With psycopg as its driver, whatever driver it names."""
    url: URL | None
    try:
        url = make_url(given)
    except (ArgumentError, ValueError):  # its words may hold a part of the password: they are in no message and no traceback
        url = None
    if url is None or "@" in (url.host or ""):
        raise VersioningError(
            f"{_NAME}: url: not a database URL - give postgresql://user:password@host:5432/database, "
            "with @ : / of the password written as %40 %3A %2F"
        )
    if url.get_backend_name() not in {"postgresql", "postgres"}:
        raise VersioningError(f"{_NAME}: url: {url.drivername!r} is another kind of database - give postgresql://...")
    return url.set(drivername=_DRIVER)


def _has_news(descriptor: int) -> bool:
    """Whether there is something to read. ``select`` fails for a descriptor of 1024 and above, and stands in where there is no ``poll``."""
    if not hasattr(select, "poll"):  # pragma: no cover  Windows, whose ``select`` takes any descriptor
        return bool(select.select([descriptor], [], [], 0)[0])
    asked = select.poll()
    asked.register(descriptor, select.POLLIN)
    return bool(asked.poll(0))


def _schema(_: object, __: object, value: str) -> None:
    if not _SCHEMA.fullmatch(value):
        raise VersioningError(f"{_NAME}: schema: {value!r} is no plain name - use small letters, digits and _")


@define(eq=False)
class PostgresRegistry(SqlRegistry):
    """Model registry in PostgreSQL, with artifacts in a bucket, or in a folder that every machine mounts."""

    contract: ClassVar[int] = 1

    url: str = field(repr=False, metadata={"help": "the database: postgresql://user:password@host:5432/database"})
    artifacts: str = field(
        default=".mlops/artifacts",
        converter=place_text,
        metadata={"help": "s3://bucket/prefix, or a folder that every machine of this registry mounts at the same place", "path": True},
    )
    s3: S3Options = field(factory=S3Options, kw_only=True, metadata={"help": "how to reach the bucket of artifacts"})
    schema: str = field(
        default="mlops", validator=_schema, metadata={"help": "the database schema that holds the tables; made when it is missing"}
    )
    busy_timeout: float = field(default=60.0, metadata={"help": "seconds that a writer waits for the others, and for the server"})
    _database: Database = field(init=False, repr=False)
    _statements: Statements = field(init=False, repr=False)
    _blobs: BlobPlace = field(init=False, repr=False)
    _owner: Owner = field(init=False, repr=False)
    _server: _Server = field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self._statements = Statements(insert, literal_column("EXTRACT(EPOCH FROM clock_timestamp())::float8", Float()))
        self._blobs = place_of(_NAME, self.artifacts, self.s3, self.is_kept)
        self._owner = Owner(f"{_NAME}: {self.artifacts}", self._blobs)
        self._server = _Server(_url(self.url), self.schema, self.busy_timeout, self._statements, self._blobs)
        self._database = Database(self._server)

    @property
    def database(self) -> Database:
        """The server."""
        return self._database

    @property
    def statements(self) -> Statements:
        """In PostgreSQL's dialect."""
        return self._statements

    @property
    def blobs(self) -> BlobPlace:
        """The bucket or the folder."""
        return self._blobs

    @property
    def owner(self) -> Owner:
        """Of that place."""
        return self._owner

    def migrate(self, *, dry_run: bool) -> Sequence[str]:
        """Bring the tables of an earlier release to this one's, in one transaction. Nobody is kept from reading meanwhile."""
        with self._database.errors():
            return self._server.migrate(dry_run=dry_run)


@define(eq=False)
class _Server:
    """The database server. Writers queue at its rows, so there is no gate."""

    url: URL = field(repr=False)
    schema: str
    timeout: float
    statements: Statements
    blobs: BlobPlace

    @property
    def label(self) -> str:
        port = "" if self.url.port is None else f":{self.url.port}"
        return f"{_NAME}: postgresql://{self.url.host or ''}{port}/{self.url.database or ''}"

    @property
    def remedy(self) -> str:
        return "check the server, the URL and the rights of its user"

    def gate(self) -> AbstractContextManager[None]:
        return nullcontext()

    def prepare(self) -> None:
        """Nothing: the server is there."""

    def is_current(self) -> bool:
        return True

    @property
    def begin(self) -> str:
        return "BEGIN"

    def batch(self, raw: Any) -> AbstractContextManager[Any]:
        pipeline: AbstractContextManager[Any] = raw.pipeline()
        return pipeline

    def is_alive(self, raw: Any) -> bool:
        """A server that ended or was restarted has closed its side: then there is something to read, an end of file."""
        return not raw.closed and not _has_news(raw.fileno())

    def open(self) -> Engine:
        with self._engine().begin() as connection:
            self._bring_schema(connection)
        self.blobs.sweep()
        return self._engine(isolation_level="AUTOCOMMIT")

    def migrate(self, *, dry_run: bool) -> Sequence[str]:
        with self._engine(patient=False).begin() as connection:  # a table of millions is not changed within the patience of a writer
            self._lock(connection)
            stored = stored_version(connection, self.statements)
            if stored is None:
                return []
            steps = pending(stored)
            if steps and not dry_run:
                migrate(connection, self.statements, stored)
            return steps

    def _engine(self, *, patient: bool = True, **options: Any) -> Engine:
        milliseconds = int(self.timeout * 1000)
        settings = {
            "search_path": self.schema,
            "default_transaction_isolation": "read\\ committed",
            "lock_timeout": milliseconds,
            "synchronous_commit": "on",  # the server's default may be otherwise, and an acknowledged write is on the disk
            "enable_seqscan": "off",  # statements are prepared: a plan made while a table was small would go on to read all of it
        }
        patience = min(_CONNECTING, max(1, round(self.timeout)))
        alive = {"connect_timeout": patience, "keepalives_idle": 30, "keepalives_interval": 10, "tcp_user_timeout": milliseconds}
        told = {"client_encoding": "utf8", "application_name": "mlops"}
        arguments = {"options": " ".join(f"-c {name}={value}" for name, value in settings.items()), **alive}
        try:
            engine = create_engine(self.url, poolclass=NullPool, connect_args={**arguments, **told}, **options)
            if patient:
                self._make_patient(engine)
        except ModuleNotFoundError as error:
            raise VersioningError(f"{_NAME}: needs {error.name} - run `pip install 'motadata-mlops-registry-sql[postgres]'`") from error
        return engine

    def _make_patient(self, engine: Engine) -> None:
        """A silent server is given up; a second late, since of a lock that was not to be had the server tells by itself."""
        from mlops_registry_sql.patience import PatientConnection

        connection = PatientConnection.within(self.timeout + _LATE)

        def connect(dialect: object, record: object, given: Sequence[Any], named: Mapping[str, Any]) -> Any:
            del dialect, record
            return connection.connect(*given, **named)

        event.listen(engine, "do_connect", connect)

    def _lock(self, connection: Connection) -> None:
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})

    def _bring_schema(self, connection: Connection) -> None:
        stored = stored_version(connection, self.statements)
        if stored is None:
            self._lock(connection)
            stored = stored_version(connection, self.statements)  # another process may have made them meanwhile
        if stored is None:
            if not inspect(connection).has_schema(self.schema):  # "IF NOT EXISTS" asks for the right to make one even where it is there
                connection.execute(CreateSchema(self.schema))
            create(connection, self.statements)
        elif steps := pending(stored):
            raise VersioningError(
                f"{self.label} has the tables of an earlier release ({len(steps)} steps behind) - run `mlops registry migrate` once"
            )
