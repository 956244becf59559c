"""``sink.sqlite``: the contract, many processes, forks, schema and erasure."""

import sqlite3
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from mlops_core.exceptions import MonitoringError
from mlops_core.records import Logged, SeriesKey, Window
from mlops_core.testing.sink_suite import MonitorSinkSuite, segment
from mlops_sink_sql.sqlite import SqliteSink

AT = datetime(2024, 5, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
SERIES = SeriesKey("acme", "production", "tickets", "1.0.0")


class TestContract(MonitorSinkSuite):
    @pytest.fixture
    def sink(self, tmp_path: Path) -> SqliteSink:
        return SqliteSink(path=tmp_path / "folder" / "monitoring.db")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "monitoring.db"


def total(path: Path) -> int:
    sink = SqliteSink(path=path)
    try:
        return Window.merge(sink.read(SERIES, AT, AT + HOUR)).total
    finally:
        sink.close()


WRITER = """
import sys
from mlops_core.testing.sink_suite import segment
from mlops_sink_sql.sqlite import SqliteSink
sink = SqliteSink(path=sys.argv[1])
for sequence in range(1, 26):
    sink.write([segment(sequence, writer=sys.argv[2]), segment(sequence, writer="shared")])
sink.close()
"""


def test_is_found_under_its_name() -> None:
    (entry,) = entry_points(group="mlops_core.sink", name="sqlite")
    assert entry.load().mlops_monitor_sink(name="sqlite") is SqliteSink


def test_the_hook_loads_no_database_before_it_is_called() -> None:
    program = "import sys, mlops_sink_sql; print('sqlalchemy' in sys.modules)"
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "False"


def test_constructing_opens_nothing(path: Path) -> None:
    sink = SqliteSink(path=path)
    sink.close()
    assert not path.exists()


def test_check_makes_the_file(path: Path) -> None:
    sink = SqliteSink(path=path)
    sink.check()
    assert sink.migrate(dry_run=True) == ()
    sink.close()
    assert path.exists()


def test_processes_write_at_once(path: Path) -> None:
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(path), f"w{number}"]) for number in range(3)]
    assert [writer.wait(60) for writer in writers] == [0, 0, 0]
    assert total(path) == 3 * 25 + 25


def test_a_forked_child_opens_its_own_connections(tmp_path: Path) -> None:
    """In a process with one thread, since a test runner has several."""
    program = """
import os, sys
from mlops_core.testing.sink_suite import segment
from mlops_sink_sql.sqlite import SqliteSink
sink = SqliteSink(path=sys.argv[1])
sink.write([segment(1)])
child = os.fork()
sink.write([segment(2, writer="child" if child == 0 else "w1")])
sink.close()
if child == 0:
    os._exit(0)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
sink.write([segment(3)])
series = segment().series
print(len(list(sink.read(series, segment().start, segment().end))))
sink.close()
"""
    answer = subprocess.run([sys.executable, "-c", program, str(tmp_path / "monitoring.db")], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "4"


def test_a_newer_schema_is_refused(path: Path) -> None:
    sink = SqliteSink(path=path)
    sink.write([segment(1)])
    sink.close()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE sink_meta SET value = '99' WHERE name = 'schema'")
    connection.close()
    with pytest.raises(MonitoringError, match=r"schema 99, this release knows 2 - upgrade motadata-mlops-sink-sql"):
        SqliteSink(path=path).write([segment(2)])


def test_a_file_of_something_else_is_one_line(path: Path) -> None:
    path.write_text("this is no database, and long enough to be told from an empty one" * 20)
    with pytest.raises(MonitoringError, match=r"sink\.sqlite: .*not a database.* - check the file") as caught:
        SqliteSink(path=path).check()
    assert "\n" not in caught.value.message


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(MonitoringError, match="cannot be made"):
        SqliteSink(path=tmp_path / "file" / "monitoring.db").check()


def test_what_is_purged_is_gone_from_the_files(path: Path) -> None:
    secret = "planted-7f3a"
    sink = SqliteSink(path=path)
    sink.write([segment(1, sample=({"prediction_id": "p1", "name": secret},))])
    sink.log([Logged(SERIES, "prediction", "p1", AT, {"name": secret}), Logged(SERIES, "prediction", "p2", AT, 1)])
    assert sink.purge("acme", ids=["p1", *(f"unknown-{number}" for number in range(2000))]) == 2
    assert all(secret.encode() not in file.read_bytes() for file in path.parent.iterdir())
    assert len(sink.read_log(SERIES, AT, AT + HOUR).items) == 1
    sink.close()


def test_times_keep_their_microseconds(path: Path) -> None:
    at = datetime(2024, 5, 1, 12, 0, 0, 123457, tzinfo=UTC)
    sink = SqliteSink(path=path)
    sink.log([Logged(SERIES, "outcome", "p1", at, None)])
    assert sink.read_log(SERIES, at, at + timedelta(microseconds=1)).items[0].at == at
    sink.close()
