"""One file, many processes, threads and forks: nothing is lost, nothing is there twice."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
import weakref
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from mlops_core.records import Metric, Query, RunKey, RunStart, TrackBatch
from mlops_tracker_local import LocalTracker
from mlops_tracker_local.database import Database

if TYPE_CHECKING:
    from pathlib import Path

AT = datetime(2024, 5, 1, tzinfo=UTC)
KEY = RunKey("acme", "e", "r1")
WRITER = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from mlops_core.records import Metric, RunKey, RunStart, TrackBatch
from mlops_tracker_local import LocalTracker

path, writer = sys.argv[1:]
at, key, tracker = datetime(2024, 5, 1, tzinfo=UTC), RunKey("acme", "e", "r1"), LocalTracker(path=Path(path))
print("ready", flush=True)
sys.stdin.readline()
tracker.start_run(RunStart(key, "shared", at, join=True))
for number in range(1, 51):
    metrics = tuple(Metric(name, 1.0, number, at) for name in ("loss", writer))
    batch = TrackBatch(writer, number, params={f"{writer}.{number}": "x"}, metrics=metrics)
    tracker.write(key, batch)
    tracker.write(key, batch)
tracker.close()
"""


def batch(writer: str, number: int) -> TrackBatch:
    return TrackBatch(writer, number, metrics=(Metric("loss", 1.0, number, AT),))


def points(path: Path) -> int:
    with closing(sqlite3.connect(path)) as store:
        (found,) = store.execute("SELECT count(*) FROM point JOIN metric ON metric.id = metric WHERE name = 'loss'").fetchone()
        assert store.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    return int(found)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "project" / "tracking.db"


def test_processes_that_begin_at_once_make_one_file_and_lose_nothing(path: Path) -> None:
    command = [sys.executable, "-c", WRITER, str(path)]
    pipe = subprocess.PIPE
    processes = [subprocess.Popen([*command, f"w{number}"], stdin=pipe, stdout=pipe, text=True) for number in range(6)]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    for process in processes:
        process.communicate(timeout=60)
    assert [process.returncode for process in processes] == [0] * 6
    assert points(path) == 300
    with closing(LocalTracker(path=path)) as tracker:
        (run,) = tracker.find_runs("acme", Query())
    assert len(run.params) == 300
    assert run.metrics == {"loss": 1.0, **{f"w{number}": 1.0 for number in range(6)}}


def test_threads_and_forks_take_turns(path: Path) -> None:
    with closing(LocalTracker(path=path)) as tracker:
        tracker.start_run(RunStart(KEY, "shared", AT))
        stop, written = threading.Event(), [0, 0]

        def write(place: int) -> None:
            while not stop.is_set() and written[place] < 5000:
                written[place] += 1
                tracker.write(KEY, batch(f"thread{place}", written[place]))
                list(tracker.find_runs("acme", Query()))

        threads = [threading.Thread(target=write, args=(place,)) for place in range(2)]
        for thread in threads:
            thread.start()
        codes = []
        for number in range(20):
            child = os.fork()
            if not child:
                status = 1
                try:
                    tracker.write(KEY, batch(f"child{number}", 1))
                    status = 0
                finally:
                    os._exit(status)
            codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        stop.set()
        for thread in threads:
            thread.join(60)
        assert codes == [0] * 20
        assert min(written) > 0
        assert points(path) == sum(written) + 20


def test_what_a_killed_process_wrote_stays(path: Path) -> None:
    program = WRITER.replace("tracker.close()", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    done = subprocess.run([sys.executable, "-c", program, str(path), "w0"], input="\n", text=True, check=False)
    assert done.returncode == -9
    assert points(path) == 50


def test_closing_leaves_one_file(path: Path) -> None:
    tracker = LocalTracker(path=path)
    tracker.start_run(RunStart(KEY, "r", AT))
    tracker.close()
    assert [found.name for found in path.parent.iterdir()] == ["tracking.db"]


def test_a_database_that_is_gone_is_kept_alive_by_no_hook(path: Path) -> None:
    database = Database(path, 1.0)
    with database.reading():
        pass
    database.close()
    gone = weakref.ref(database)
    del database
    assert gone() is None


def test_a_tracked_run_imports_no_mlflow(tmp_path: Path) -> None:
    (tmp_path / "mlops.yaml").write_text("version: 1\nproject: p\ntracker: local\n", encoding="utf-8")
    program = """
import sys
from mlops_core import ExperimentTracker
with ExperimentTracker() as tracker:
    tracker.log_params({"depth": 3})
    tracker.log_metrics({"loss": 0.5}, step=1)
    tracker.flush()
    found, = tracker.search_runs("metrics.loss < 1")
print(found.params["depth"], found.metrics["loss"], tracker.tracking_uri)
print(*sorted({name.partition(".")[0] for name in sys.modules} & {"mlflow", "sqlalchemy", "numpy", "pandas"}))
"""
    answer = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert answer.stdout.splitlines() == [f"3 0.5 {tmp_path / '.mlops' / 'tracking.db'}", ""]
    assert answer.stderr == ""


def test_many_that_make_a_file_at_once_all_have_it(tmp_path: Path) -> None:
    failed: list[BaseException] = []

    def make(path: Path, together: threading.Barrier) -> None:
        with closing(LocalTracker(path=path)) as tracker:
            together.wait(60)
            try:
                tracker.check()
            except BaseException as error:  # noqa: BLE001  a thread's error is told by the test
                failed.append(error)

    for number in range(40):
        together = threading.Barrier(8)
        threads = [threading.Thread(target=make, args=(tmp_path / f"{number}.db", together)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    assert failed == []
