"""An MLflow server that keeps its runs in PostgreSQL passes the conformance suite over HTTP."""

from __future__ import annotations

import sys
import time
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from typing import TYPE_CHECKING, Final

import psycopg
import pytest
from attrs import define, field

from mlops_core.exceptions import MLOpsError
from mlops_core.records import RunKey, TrackBatch
from mlops_core.testing.servers import PostgresServer, Server, free_ports
from mlops_core.testing.tracker_suite import _R1, TrackerSuite
from mlops_tracker_mlflow import MlflowTracker
from mlops_tracker_mlflow.connection import connect

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mlops_core.roles import Tracker

_KEPT: Final = ("alembic_version", "workspaces")


@define(eq=False)
class MlflowServer(Server):
    """``mlflow server`` over a database, with one process to answer; artifacts go through it into its folder."""

    database: str
    port: int = field(factory=lambda: free_ports(1)[0], init=False)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def prepare(self) -> None:
        """It makes its tables when it starts."""

    def command(self) -> Sequence[str]:
        # Jobs are for MLflow's evaluations, and would be seven processes more.
        environ = ("MLFLOW_DISABLE_TELEMETRY=true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false")
        store = ("--backend-store-uri", self.database.replace("postgresql://", "postgresql+psycopg://"))
        artifacts = ("--artifacts-destination", str(self.folder / "artifacts"))
        address = ("--host", "127.0.0.1", "--port", str(self.port), "--workers", "1")
        return ("env", *environ, sys.executable, "-m", "mlflow", "server", *store, *artifacts, *address)

    def answers(self) -> bool:
        with closing(HTTPConnection("127.0.0.1", self.port, timeout=5)) as connection:
            try:
                connection.request("GET", "/health")
                return connection.getresponse().status == 200
            except OSError:
                return False

    def empty(self) -> None:
        """Forget every run and experiment."""
        with psycopg.connect(self.database, autocommit=True) as connection:
            tables = [name for (name,) in connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")]
            connection.execute(f"TRUNCATE {', '.join(name for name in tables if name not in _KEPT)} CASCADE")


@pytest.fixture(scope="session")
def running_server() -> Iterator[MlflowServer]:
    with PostgresServer(options=("fsync=off",)) as postgres, MlflowServer(postgres.database()) as server:
        yield server


@pytest.fixture
def server(running_server: MlflowServer) -> MlflowServer:
    """It takes long to start, so that all tests of a worker share one."""
    running_server.empty()
    return running_server


class TestMlflowServer(TrackerSuite):
    @pytest.fixture
    def tracker(self, server: MlflowServer) -> Tracker:
        return MlflowTracker(tracking_uri=server.url)

    def read_artifact(self, tracker: Tracker, run: RunKey, name: str) -> bytes:
        native = self.run(tracker, run).native_id
        return Path(connect(tracker.location()).download_artifacts(native, name)).read_bytes()

    def read_history(self, tracker: Tracker, run: RunKey, metric: str) -> list[tuple[float, int]]:
        native = self.run(tracker, run).native_id
        return [(point.value, point.step) for point in connect(tracker.location()).get_metric_history(native, metric)]

    def test_a_server_that_was_killed_is_an_outage_and_loses_nothing(self, running: Tracker, running_server: MlflowServer) -> None:
        running.write(_R1, TrackBatch("w", 1, tags={"a": "1"}))
        running_server.kill()
        time.sleep(1.5)  # within a second of an answer it is not asked, and MLflow itself tries for minutes
        with pytest.raises(MLOpsError, match=r"tracker mlflow: http://127\.0\.0\.1:\d+ cannot be used"):
            running.write(_R1, TrackBatch("w", 2, tags={"a": "2"}))
        running_server.start()
        for sequence in (1, 2):
            running.write(_R1, TrackBatch("w", sequence, tags={"a": str(sequence)}))
        assert dict(self.run(running).tags) == {"a": "2"}
