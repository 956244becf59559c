"""``registry.sqlite``: one file, many readers, one writer at a time, every acknowledged write on the disk."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import quote

from attrs import converters, define, field
from sqlalchemy import Float, create_engine, event, literal_column
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.engine import URL
from sqlalchemy.pool import NullPool

from mlops_core.exceptions import VersioningError
from mlops_registry_sql.blobs import absolute, make_folder
from mlops_registry_sql.choice import S3Options, place_of, place_text
from mlops_registry_sql.database import Database
from mlops_registry_sql.gate import FileGate
from mlops_registry_sql.migrations import create, migrate, pending, stored_version
from mlops_registry_sql.mounts import network_file_system
from mlops_registry_sql.owner import Owner
from mlops_registry_sql.places import BlobPlace
from mlops_registry_sql.registry import SqlRegistry
from mlops_registry_sql.statements import Statements

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection, Engine

__all__ = ["SqliteRegistry"]

_NAME = "registry.sqlite"


@define(eq=False)
class SqliteRegistry(SqlRegistry):
    """Model registry in one SQLite file, with artifacts in a folder beside it or in a bucket."""

    contract: ClassVar[int] = 1

    path: Path = field(
        default=Path(".mlops/registry.db"),
        converter=absolute,
        metadata={"help": "the database file; created with its folder when missing"},
    )
    artifacts: str | None = field(
        default=None,
        converter=converters.optional(place_text),
        metadata={"help": "a folder or s3://bucket/prefix; by default the database's path with .artifacts behind it", "path": True},
    )
    s3: S3Options = field(factory=S3Options, kw_only=True, metadata={"help": "how to reach the bucket of artifacts"})
    busy_timeout: float = field(default=60.0, metadata={"help": "seconds that a writer waits for the others"})
    _database: Database = field(init=False, repr=False)
    _statements: Statements = field(init=False, repr=False)
    _blobs: BlobPlace = field(init=False, repr=False)
    _owner: Owner | None = field(init=False, repr=False)
    _file: _File = field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        path = self.path
        self._statements = Statements(insert, literal_column("((julianday('now') - 2440587.5) * 86400.0)", Float()))
        beside = str(path.with_name(path.name + ".artifacts"))
        self._blobs = place_of(_NAME, self.artifacts or beside, self.s3, self.is_kept)
        self._owner = Owner(f"{_NAME}: {self.artifacts}", self._blobs) if self.artifacts else None
        self._file = _File(path, self.busy_timeout, self._statements, self._blobs)
        self._database = Database(self._file)

    @property
    def database(self) -> Database:
        """The file."""
        return self._database

    @property
    def statements(self) -> Statements:
        """In SQLite's dialect."""
        return self._statements

    @property
    def blobs(self) -> BlobPlace:
        """The folder beside it, or a bucket."""
        return self._blobs

    @property
    def owner(self) -> Owner | None:
        """Of a place that is not the folder beside the file."""
        return self._owner

    def migrate(self, *, dry_run: bool) -> Sequence[str]:
        """Bring the tables of an earlier release to this one's, as the first use of the file does too."""
        with self._database.errors():
            steps = self._file.pending()
        if steps and not dry_run:
            self.check()
        return steps


@define(eq=False)
class _File:
    """The database file, and the lock file of its writers beside it."""

    path: Path
    timeout: float
    statements: Statements
    blobs: BlobPlace
    gate: FileGate = field(init=False)
    _opened: tuple[int, int] | None = field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        self.gate = FileGate(self.path.with_name(self.path.name + ".lock"), self.timeout)

    @property
    def label(self) -> str:
        return f"{_NAME}: {self.path}"

    @property
    def remedy(self) -> str:
        return "check the file, its folder and the free space"

    @property
    def begin(self) -> str:
        return "BEGIN IMMEDIATE"

    def is_alive(self, raw: Any) -> bool:
        return True

    def batch(self, raw: Any) -> AbstractContextManager[Any]:
        return nullcontext()

    def prepare(self) -> None:
        make_folder(self.path.parent)
        if kind := network_file_system(self.path):
            raise VersioningError(
                f"{self.label} is on a network file system ({kind}), where SQLite loses writes - use a local disk or registry.postgres"
            )

    def open(self) -> Engine:
        given = {"timeout": self.timeout, "check_same_thread": False}
        engine = create_engine(URL.create("sqlite", database=str(self.path)), poolclass=NullPool, paramstyle="named", connect_args=given)
        event.listen(engine, "connect", _configure)
        with engine.connect() as connection:
            connection.exec_driver_sql(self.begin)
            self._bring_schema(connection)
            connection.commit()
        self._opened = self._identity()
        self.blobs.sweep()
        return engine

    def pending(self) -> Sequence[str]:
        """What the next to open the file will do to it; the file is only read."""
        if not self.path.exists():
            return []
        url = URL.create("sqlite", database=f"file:{quote(str(self.path))}", query={"mode": "ro", "uri": "true"})
        with create_engine(url, poolclass=NullPool).connect() as connection:
            stored = stored_version(connection, self.statements)
        return [] if stored is None else pending(stored)

    def _bring_schema(self, connection: Connection) -> None:
        """The tables of an earlier release become this one's: whoever opens the file is alone with it."""
        stored = stored_version(connection, self.statements)
        if stored is None:
            create(connection, self.statements)
        elif pending(stored):
            migrate(connection, self.statements, stored)

    def is_current(self) -> bool:
        return self._opened == self._identity()

    def _identity(self) -> tuple[int, int] | None:
        try:
            found = self.path.stat()
        except FileNotFoundError:
            return None
        return found.st_dev, found.st_ino


def _configure(connection: Any, record: object) -> None:
    del record
    connection.isolation_level = None  # autocommit: BEGIN is ours, the driver's own would not be IMMEDIATE
    (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    if mode != "wal":
        raise VersioningError(f"{_NAME}: the file's journal mode stays {mode!r} - use a local disk that is writable")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
