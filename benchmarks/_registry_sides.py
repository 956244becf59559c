"""The two sides of ``registry.py``: this project's registry and MLflow's, each over the same database with the same sync settings."""

from __future__ import annotations

import contextlib
import logging
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import sqlalchemy
from attrs import define, field
from mlflow import MlflowClient

from mlops_core.testing.servers import PostgresServer
from mlops_core.versioning import ModelVersioning
from mlops_registry_sql.postgres import PostgresRegistry
from mlops_registry_sql.sqlite import SqliteRegistry

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlops_core.roles import RegistryStore

__all__ = ["MODEL", "Mlflow", "Ours", "Side", "sides"]

MODEL = "classifier"
METADATA = {"accuracy": 0.93, "dataset": "v2.1"}
TAGS = {"accuracy": "0.93", "dataset": "v2.1"}
PAGE = 100


class Side(Protocol):
    """What is timed. Versions are numbered from 1."""

    def get(self, number: int) -> None:
        """One version by its number."""

    def resolve(self, number: int) -> None:
        """The version that an alias points to."""

    def set_alias(self, number: int) -> None:
        """Point the alias to a version."""

    def list_100(self, number: int) -> None:
        """A page of 100 versions of the model."""

    def register(self, number: int) -> None:
        """One more version, without files."""

    def fill(self, first: int, last: int) -> None:
        """Versions ``first`` to ``last``."""


@define(eq=False)
class Ours:
    """Through the facade."""

    versioning: ModelVersioning

    def get(self, number: int) -> None:
        assert self.versioning.get_version(MODEL, str(number)).number == number

    def resolve(self, number: int) -> None:
        assert self.versioning.get_version(MODEL, "@champion").model == MODEL

    def set_alias(self, number: int) -> None:
        assert self.versioning.set_alias(MODEL, "champion", str(number)).version == str(number)

    def list_100(self, number: int) -> None:
        assert len(self.versioning.find(model_id=MODEL, limit=PAGE).items) == PAGE

    def register(self, number: int) -> None:
        self.versioning.version_model(MODEL, metadata=METADATA)

    def fill(self, first: int, last: int) -> None:
        for _ in range(first, last + 1):
            self.register(0)


@define(eq=False)
class Mlflow:
    """Through MLflow's client, on a database that it opened itself."""

    uri: str
    source: str
    client: MlflowClient = field(init=False)

    def __attrs_post_init__(self) -> None:
        logging.getLogger("mlflow").setLevel(logging.ERROR)
        self.client = MlflowClient(tracking_uri=self.uri, registry_uri=self.uri)
        self.client.create_registered_model(MODEL)

    def get(self, number: int) -> None:
        assert int(self.client.get_model_version(MODEL, str(number)).version) == number

    def resolve(self, number: int) -> None:
        assert self.client.get_model_version_by_alias(MODEL, "champion").name == MODEL

    def set_alias(self, number: int) -> None:
        self.client.set_registered_model_alias(MODEL, "champion", str(number))

    def list_100(self, number: int) -> None:
        assert len(self.client.search_model_versions(f"name = '{MODEL}'", max_results=PAGE)) == PAGE

    def register(self, number: int) -> None:
        self.client.create_model_version(MODEL, source=self.source, tags=TAGS)

    def fill(self, first: int, last: int) -> None:
        """The first by MLflow, the others as copies of its rows: by its client they would take minutes."""
        if first == 1:
            self.register(1)
            first = 2
        engine = sqlalchemy.create_engine(self.uri)
        tables = sqlalchemy.MetaData()
        tables.reflect(engine, only=["model_versions", "model_version_tags"])
        with engine.begin() as connection:
            for table in (tables.tables["model_versions"], tables.tables["model_version_tags"]):
                rows = [dict(row) for row in connection.execute(sqlalchemy.select(table).where(table.c.version == 1)).mappings()]
                copies = [{**row, "version": number} for number in range(first, last + 1) for row in rows]
                connection.execute(sqlalchemy.insert(table), copies)
        engine.dispose()


@contextlib.contextmanager
def sides(database: str) -> Iterator[tuple[Ours, Mlflow, Any]]:
    """Both on ``sqlite`` or ``postgres``, empty; and what brings the statistics of the planner up to date."""
    folder = Path(tempfile.mkdtemp(prefix="registry-bench-"))
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        store: RegistryStore
        if database == "sqlite":
            store = SqliteRegistry(folder / "ours" / "registry.db")
            path = folder / "mlflow.db"
            uris = [f"sqlite:///{path}"]
        else:
            server = stack.enter_context(PostgresServer())
            uris = [server.database().replace("postgresql:", "postgresql+psycopg:") for _ in range(2)]
            store = PostgresRegistry(uris[1], folder / "artifacts")
        stack.callback(store.close)
        stack.enter_context(contextlib.chdir(folder))  # an empty folder: a project of its own
        ours = Ours(ModelVersioning(store))
        theirs = Mlflow(uris[0], str(folder / "model"))
        if database == "sqlite":
            _use_wal(uris[0])
        yield ours, theirs, lambda: _analyze(uris) if database == "postgres" else None


def _use_wal(uri: str) -> None:
    """MLflow leaves SQLite's journal as it finds it; WAL, this project's, is the faster one. Both sync every commit (synchronous=FULL)."""
    with sqlalchemy.create_engine(uri).connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode = WAL").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2


def _analyze(uris: list[str]) -> None:
    """As PostgreSQL does by itself within a minute or so of a change of that size."""
    for uri in uris:
        with sqlalchemy.create_engine(uri, isolation_level="AUTOCOMMIT").connect() as connection:
            connection.exec_driver_sql("ANALYZE")
