"""MLflow on its SQLite store passes the conformance suite, and its own client sees native runs."""

from __future__ import annotations

import socket
import sqlite3
import threading
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import pytest

from mlops_core.exceptions import ExperimentError, MLOpsError
from mlops_core.records import Metric, Query, RunKey, RunStatus, TrackBatch
from mlops_core.testing.tracker_suite import _R1, TrackerSuite, _start
from mlops_tracker_mlflow import MlflowTracker
from mlops_tracker_mlflow.connection import connect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mlops_core.roles import Tracker


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty store: MLflow takes seconds to make its tables, so they are made once and copied."""
    folder = tmp_path_factory.mktemp("mlflow") / "mlruns"
    MlflowTracker(tracking_uri=str(folder)).check()
    return folder / "mlflow.db"


@pytest.fixture
def mlflow(tmp_path: Path, prepared: Path) -> MlflowTracker:
    folder = tmp_path / "mlruns"
    folder.mkdir()
    (folder / "mlflow.db").write_bytes(prepared.read_bytes())
    return MlflowTracker(tracking_uri=str(folder))


class TestMlflowTracker(TrackerSuite):
    @pytest.fixture
    def tracker(self, mlflow: MlflowTracker) -> Tracker:
        return mlflow

    def read_artifact(self, tracker: Tracker, run: RunKey, name: str) -> bytes:
        assert isinstance(tracker, MlflowTracker)
        native = self.run(tracker, run).native_id
        found = connect(tracker.tracking_uri).download_artifacts(native, name)
        return Path(found).read_bytes()

    def read_history(self, tracker: Tracker, run: RunKey, metric: str) -> list[tuple[float, int]]:
        assert isinstance(tracker, MlflowTracker)
        native = self.run(tracker, run).native_id
        return [(point.value, point.step) for point in connect(tracker.tracking_uri).get_metric_history(native, metric)]

    def test_the_run_looks_native(self, running: Tracker) -> None:
        assert isinstance(running, MlflowTracker)
        running.write(_R1, TrackBatch("w", 1, metrics=(Metric("loss", 0.5, 3, self.run(running).started),)))
        running.end_run(_R1, RunStatus.INTERRUPTED, self.run(running).started)
        run = connect(running.tracking_uri).get_run(self.run(running).native_id)
        assert run.info.run_name == "run r1"
        assert run.info.status == "KILLED"
        assert connect(running.tracking_uri).get_experiment(run.info.experiment_id).name == "acme/e"
        (point,) = connect(running.tracking_uri).get_metric_history(run.info.run_id, "loss")
        assert (point.value, point.step) == (0.5, 3)

    def test_a_note_and_the_commit_are_where_mlflow_shows_them(self, running: Tracker) -> None:
        assert isinstance(running, MlflowTracker)
        running.write(_R1, TrackBatch("w", 1, tags={"note": "deeper", "git_commit": "0" * 40}))
        run = connect(running.tracking_uri).get_run(self.run(running).native_id)
        assert (run.data.tags["mlflow.note.content"], run.data.tags["mlflow.source.git.commit"]) == ("deeper", "0" * 40)
        assert self.run(running).tags == {"note": "deeper", "git_commit": "0" * 40}

    def test_a_batch_repeated_by_another_process_counts_once(self, running: Tracker, tmp_path: Path) -> None:
        assert isinstance(running, MlflowTracker)
        batch = TrackBatch("w", 1, params={"a": "1"}, metrics=(Metric("loss", 0.5, 3, self.run(running).started),))
        running.write(_R1, batch)
        MlflowTracker(tracking_uri=running.tracking_uri).write(_R1, batch)
        running.write(_R1, TrackBatch("w", 2, tags={"a": "2"}))
        MlflowTracker(tracking_uri=running.tracking_uri).write(_R1, TrackBatch("w", 1, tags={"a": "1"}))
        assert self.read_history(running, _R1, "loss") == [(0.5, 3)]
        assert self.run(running).tags == {"a": "2"}

    def test_text_that_cannot_be_encoded_is_refused(self, running: Tracker) -> None:
        with pytest.raises(ExperimentError, match="surrogates not allowed"):
            running.write(_R1, TrackBatch("w", 1, params={"a": "\ud800"}))

    def test_more_than_one_request_takes(self, running: Tracker) -> None:
        at = self.run(running).started
        rows = tuple(Metric("loss", float(step), step, at) for step in range(2000))
        running.write(_R1, TrackBatch("w", 1, metrics=rows, tags={f"t{n}": "x" for n in range(250)}))
        assert len(self.read_history(running, _R1, "loss")) == 2000
        assert len(self.run(running).tags) == 250

    def test_an_unknown_run_is_refused(self, tracker: Tracker) -> None:
        with pytest.raises(ExperimentError, match="no run 'r9' of 'e'"):
            tracker.write(RunKey("acme", "e", "r9"), TrackBatch("w", 1, tags={"a": "b"}))


def test_building_one_does_nothing(tmp_path: Path) -> None:
    tracker = MlflowTracker(tracking_uri=str(tmp_path / "mlruns"))
    tracker.close()
    assert list(tmp_path.iterdir()) == []


def test_the_location_is_what_the_user_interface_takes(tmp_path: Path) -> None:
    assert MlflowTracker(tracking_uri=str(tmp_path)).location() == f"sqlite:///{tmp_path}/mlflow.db"
    assert MlflowTracker(tracking_uri="http://127.0.0.1:5000").location() == "http://127.0.0.1:5000"


def test_artifacts_go_where_the_option_says(tmp_path: Path, mlflow: MlflowTracker) -> None:
    tracker = MlflowTracker(tracking_uri=mlflow.tracking_uri, artifacts=str(tmp_path / "elsewhere"))
    tracker.start_run(_start())
    (tmp_path / "a.txt").write_text("x")
    tracker.put_artifact(_R1, "renamed.txt", tmp_path / "a.txt")
    assert [found.name for found in (tmp_path / "elsewhere").rglob("*.txt")] == ["renamed.txt"]


def test_a_run_is_resumed_among_more_experiments_than_a_page(mlflow: MlflowTracker) -> None:
    mlflow.start_run(_start())
    with closing(sqlite3.connect(Path(mlflow.tracking_uri) / "mlflow.db")) as store, store:
        store.execute("CREATE TEMP TABLE made AS SELECT * FROM experiments WHERE name = 'acme/e'")
        for n in range(1001):
            store.execute("UPDATE made SET experiment_id = ?, name = ?", (1000 + n, f"elsewhere/{n}"))
            store.execute("INSERT INTO experiments SELECT * FROM made")
    again = MlflowTracker(tracking_uri=mlflow.tracking_uri)
    again.start_run(_start())
    assert len(list(again.find_runs("acme", Query()))) == 1


class Unwell(BaseHTTPRequestHandler):
    """A server that is there and answers nothing but 503."""

    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.asked.append(self.path)
        self.send_error(503)

    do_POST = do_GET  # noqa: N815  the server's name for it

    def log_message(self, *_: object) -> None:
        """Nothing is logged."""


@pytest.fixture
def unwell() -> Iterator[str]:
    Unwell.asked.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), Unwell) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_server_that_is_down_is_asked_once(unwell: str) -> None:
    tracker = MlflowTracker(tracking_uri=unwell)
    calls: list[Callable[[], object]] = [
        tracker.check,
        lambda: tracker.write(_R1, TrackBatch("w", 1, tags={"a": "b"})),
        lambda: list(tracker.find_runs("acme", Query())),
    ]
    for number, call in enumerate(calls, 1):
        with pytest.raises(MLOpsError, match=r"http://127.* cannot be used \(ConnectionError: it answers 503 .*- check 'tracking_uri'"):
            call()
        assert len(Unwell.asked) == number


def test_a_port_where_nobody_listens_is_an_outage_in_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(MLOpsError, match=r"cannot be used .*refused.* - check 'tracking_uri'") as caught:
        MlflowTracker(tracking_uri=f"http://127.0.0.1:{port}").check()
    assert not isinstance(caught.value, ExperimentError)


def test_a_password_in_the_uri_is_not_shown() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(MLOpsError, match=r"http://me:\*\*\*@127\.0\.0\.1.* cannot be used ") as caught:
        MlflowTracker(tracking_uri=f"http://me:s3cr3t-word@127.0.0.1:{port}").check()
    assert "s3cr3t-word" not in caught.value.message


def test_a_store_that_cannot_be_opened_is_an_outage_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_text("this is no database")
    with pytest.raises(MLOpsError, match=r"cannot be used .* - check 'tracking_uri'") as caught:
        MlflowTracker(tracking_uri=str(tmp_path)).check()
    assert not isinstance(caught.value, ExperimentError)
    assert "\n" not in caught.value.message
