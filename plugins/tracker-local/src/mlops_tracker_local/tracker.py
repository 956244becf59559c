"""The tracker role on one SQLite file."""

from __future__ import annotations

from datetime import UTC
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, ClassVar

from attrs import define, field

from mlops_core.exceptions import ExperimentError
from mlops_core.records import Experiment, RunStatus
from mlops_core.roles import Tracker
from mlops_tracker_local.database import NAME, Database, errors
from mlops_tracker_local.files import store
from mlops_tracker_local.reading import find_runs, read_metric
from mlops_tracker_local.writing import number_of, set_tags, write_batch

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from mlops_core.records import Metric, Query, RunKey, RunStart, TrackBatch, TrackedRun

__all__ = ["LocalTracker"]


@define(eq=False)
class LocalTracker(Tracker):
    """Experiments and runs in one SQLite file, artifacts in a folder beside it. Many processes write and read at once.

    Process-safe: what was written survives the death of any process; a power cut may take the last moments.
    """

    contract: ClassVar[int] = 1
    capabilities: ClassVar[frozenset[str]] = frozenset({"search"})

    path: Path = field(
        default=Path(".mlops/tracking.db"),
        converter=Path,
        metadata={"help": "the database file, on a local disk; created with its folder when missing"},
    )
    artifacts: str | None = field(
        default=None, metadata={"help": "the folder of artifacts; by default the path with .artifacts behind it", "path": True}
    )
    busy_timeout: float = field(default=30.0, metadata={"help": "seconds that a writer waits for the others"})
    _database: Database = field(init=False, repr=False)
    _home: Path = field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        path = self.path.absolute()  # now: the working folder may change before the first use
        self._home = path.with_name(f"{path.name}.artifacts") if self.artifacts is None else Path(self.artifacts).absolute()
        self._database = Database(path, self.busy_timeout)

    def check(self) -> None:
        """Open the file, or make it."""
        with self._database.reading():
            pass

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def location(self) -> str:
        """The file."""
        return str(self._database.path)

    def ensure_experiment(self, tenant: str, name: str, tags: Mapping[str, str]) -> str:
        """Create or merge."""
        with self._database.writing() as connection:
            number = _experiment(connection, tenant, name)
            connection.executemany(
                "INSERT INTO experiment_tag VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET value = excluded.value",
                ((number, *pair) for pair in tags.items()),
            )
            return str(number)

    def start_run(self, run: RunStart) -> None:
        """Open, resume or join."""
        with self._database.writing() as connection:
            number = number_of(connection, run.key)
            if number is None:
                experiment = _experiment(connection, run.key.tenant, run.key.experiment)
                parent = None if run.parent is None else run.parent.run_id
                row = (experiment, run.key.run_id, run.name, RunStatus.RUNNING.value, _text(run.at), parent)
                made = connection.execute(
                    "INSERT INTO run (experiment, run_id, name, status, started, parent) VALUES (?, ?, ?, ?, ?, ?) RETURNING id", row
                )
                number = int(made.fetchone()[0])
            elif run.join:
                return
            else:
                connection.execute("UPDATE run SET status = ?, ended = NULL WHERE id = ?", (RunStatus.RUNNING.value, number))
            set_tags(connection, number, run.tags)

    def write(self, run: RunKey, batch: TrackBatch) -> None:
        """Write a batch in one transaction, with the mark that it is written."""
        with self._database.writing() as connection:
            write_batch(connection, self._known(connection, run), batch)

    def put_artifact(self, run: RunKey, name: str, path: Path) -> None:
        """Copy, then give the copy its name."""
        with self._database.reading() as connection:
            self._known(connection, run)
        with errors(self._home):
            store(self._home, PurePosixPath(run.tenant, run.experiment, run.run_id), name, path)

    def end_run(self, run: RunKey, status: RunStatus, at: datetime) -> None:
        """Close the run."""
        with self._database.writing() as connection:
            number = self._known(connection, run)
            connection.execute("UPDATE run SET status = ?, ended = ? WHERE id = ?", (status.value, _text(at), number))

    def find_experiments(self, tenant: str, query: Query) -> Iterator[Experiment]:
        """The tenant's experiments, which are few, filtered by the reference evaluation."""
        with self._database.reading() as connection:
            found = {
                number: Experiment(tenant, name, {}, str(number))
                for number, name in connection.execute("SELECT id, name FROM experiment WHERE tenant = ? ORDER BY id", (tenant,))
            }
            tags: dict[int, dict[str, str]] = {number: {} for number in found}
            for number, name, value in connection.execute(
                "SELECT experiment, t.name, value FROM experiment_tag t JOIN experiment e ON e.id = experiment WHERE tenant = ?", (tenant,)
            ):
                tags[number][name] = value
        experiments = [Experiment(tenant, one.name, tags[number], one.native_id) for number, one in found.items()]
        yield from query.apply(experiments, Experiment.fields).items

    def find_runs(self, tenant: str, query: Query) -> Iterator[TrackedRun]:
        """The tenant's runs, filtered, ordered and paged by SQLite."""
        with self._database.reading() as connection:
            found = find_runs(connection, tenant, query)
        yield from found

    def read_metric(self, run: RunKey, name: str) -> Iterator[Metric]:
        """All points as they are at one moment."""
        with self._database.reading() as connection:
            found = read_metric(connection, self._known(connection, run), name)
        yield from found

    def _known(self, connection: sqlite3.Connection, run: RunKey) -> int:
        number = number_of(connection, run)
        if number is None:
            raise ExperimentError(f"{NAME}: no run {run.run_id!r} of {run.experiment!r} in {self._database.path} - start it first")
        return number


def _experiment(connection: sqlite3.Connection, tenant: str, name: str) -> int:
    """The row of an experiment, made when it is missing."""
    connection.execute("INSERT INTO experiment (tenant, name) VALUES (?, ?) ON CONFLICT DO NOTHING", (tenant, name))
    (number,) = connection.execute("SELECT id FROM experiment WHERE tenant = ? AND name = ?", (tenant, name)).fetchone()
    return int(number)


def _text(at: datetime) -> str:
    """As a filter sees a time."""
    return at.astimezone(UTC).isoformat()
