"""``sink.postgres``: the contract on a real server, its address, its connections, many writers, its crashes."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Self

import psycopg
import pytest

from mlops_core.exceptions import MonitoringError
from mlops_core.records import Logged, SeriesKey, Window, merge_segments
from mlops_core.testing.servers import PostgresServer, free_ports
from mlops_core.testing.sink_suite import MonitorSinkSuite, segment
from mlops_sink_sql.postgres import PostgresSink

from .conftest import interrupted, many_files

if TYPE_CHECKING:
    from collections.abc import Iterator

AT = datetime(2024, 5, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
SERIES = SeriesKey("acme", "production", "tickets", "1.0.0")


@pytest.fixture
def url(postgres: PostgresServer) -> str:
    return postgres.database()


@pytest.fixture
def sink(url: str) -> Iterator[PostgresSink]:
    with closing(PostgresSink(url)) as sink:
        yield sink


def total(sink: PostgresSink) -> int:
    return Window.merge(sink.read(SERIES, AT, AT + HOUR)).total


def connections(url: str) -> int:
    with psycopg.connect(url) as connection:
        counted = connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'mlops'"
        ).fetchone()
    assert counted is not None
    return int(counted[0])


class TestContract(MonitorSinkSuite):
    @pytest.fixture
    def sink(self, url: str) -> PostgresSink:
        return PostgresSink(url)


class TestAddress:
    def test_the_entry_point_hands_over_the_class(self) -> None:
        (point,) = entry_points(group="mlops_core.sink", name="postgres")
        assert point.load().mlops_monitor_sink(name="postgres") is PostgresSink

    def test_the_password_is_in_no_repr_and_no_error(self) -> None:
        (port,) = free_ports(1)
        sink = PostgresSink(f"postgresql://me:hunter2@127.0.0.1:{port}/monitoring")
        with pytest.raises(MonitoringError) as refused:
            sink.check()
        assert "hunter2" not in repr(sink) + repr(sink.database) + refused.value.message
        assert refused.value.message.startswith(f"sink.postgres: postgresql://127.0.0.1:{port}/monitoring: connection failed")
        assert "\n" not in refused.value.message

    @pytest.mark.parametrize("address", ["me:hun@ter2@host/m", "me:hunter2@host:ter2/m", "me@host:hunter2"])
    def test_a_password_that_is_not_escaped_is_not_told(self, address: str) -> None:
        with pytest.raises(MonitoringError, match="of the password written as %40 %3A %2F") as refused:
            PostgresSink(f"postgresql://{address}")
        assert "ter2" not in refused.value.message
        assert refused.value.__context__ is None  # a traceback would tell what is in that

    @pytest.mark.parametrize(
        ("url", "said"),
        [("m", "not a database URL"), ("mysql://host/m", "'mysql' is another kind of database"), ("", "not a database URL")],
    )
    def test_what_is_no_postgres_url_is_refused(self, url: str, said: str) -> None:
        with pytest.raises(MonitoringError, match=rf"sink\.postgres: url: {said}.* - give postgresql://"):
            PostgresSink(url)

    @pytest.mark.parametrize("schema", ["Mine", "a;drop", "", "a" * 64])
    def test_a_schema_is_a_plain_name(self, schema: str) -> None:
        with pytest.raises(MonitoringError, match=r"sink\.postgres: schema: .* is no plain name"):
            PostgresSink("postgresql://host/m", schema=schema)

    def test_two_schemas_are_two_sinks(self, url: str, sink: PostgresSink) -> None:
        sink.write([segment(1)])
        with closing(PostgresSink(url, schema="other")) as other:
            assert total(other) == 0

    def test_a_schema_that_another_made_is_enough(self, url: str) -> None:
        """Whoever administers the database may give a sink one schema, and no right to make others."""
        role = f"r{uuid.uuid4().hex}"
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(f"CREATE ROLE {role} LOGIN")
            connection.execute(f"CREATE SCHEMA given AUTHORIZATION {role}")
        limited = url.replace("postgres@", f"{role}@")
        with closing(PostgresSink(limited, schema="given")) as sink:
            sink.write([segment(1)])
        with closing(PostgresSink(limited, schema="other")) as sink, pytest.raises(MonitoringError, match="permission denied"):
            sink.check()

    def test_without_the_driver_the_remedy_is_named(self, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "psycopg", None)
        with pytest.raises(MonitoringError, match=r"needs psycopg - run `pip install 'motadata-mlops-sink-sql\[postgres\]'`"):
            PostgresSink(url).check()

    def test_building_connects_to_nothing(self) -> None:
        PostgresSink("postgresql://127.0.0.1:1/nowhere").close()


class TestSchema:
    def test_a_fresh_database_is_opened_by_many_at_once(self, url: str) -> None:
        sinks = [PostgresSink(url) for _ in range(6)]
        with ThreadPoolExecutor(6) as pool:
            list(pool.map(PostgresSink.check, sinks))
        for one in sinks:
            one.close()

    def test_a_newer_one_is_refused(self, url: str, sink: PostgresSink) -> None:
        sink.check()
        with psycopg.connect(url) as connection:
            connection.execute("UPDATE mlops.sink_meta SET value = '99' WHERE name = 'schema'")
        with pytest.raises(MonitoringError, match="schema 99, this release knows 2 - upgrade motadata-mlops-sink-sql"):
            PostgresSink(url).check()


class TestConnections:
    def test_they_end_with_the_sink(self, sink: PostgresSink, url: str) -> None:
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda number: sink.write([segment(number)]), range(1, 20)))
        sink.close()
        deadline = time.monotonic() + 30
        while connections(url):  # the server's side of one ends a moment later
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def test_one_that_the_server_closed_is_replaced_unseen(self, sink: PostgresSink, url: str) -> None:
        sink.write([segment(1)])
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE application_name = 'mlops'")
        sink.write([segment(2)])
        assert total(sink) == 2

    def test_a_writer_waits_no_longer_than_its_patience(self, sink: PostgresSink, url: str) -> None:
        sink.write([segment(1)])
        with psycopg.connect(url) as connection, closing(PostgresSink(url, busy_timeout=0.2)) as other:
            other.check()
            connection.execute("LOCK TABLE mlops.sink_segments IN ACCESS EXCLUSIVE MODE")
            with pytest.raises(MonitoringError, match="canceling statement due to lock timeout"):
                other.write([segment(2)])
            connection.rollback()
            other.write([segment(2)])
        assert total(sink) == 2

    def test_a_server_that_does_not_answer_is_given_up_within_the_patience(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            sink = PostgresSink(f"postgresql://127.0.0.1:{silent.getsockname()[1]}/m", busy_timeout=2)
            began = time.monotonic()
            with pytest.raises(MonitoringError, match="timeout"):
                sink.check()
            assert time.monotonic() - began < 9  # libpq's own would be longer, and without end by default

    def test_a_server_that_falls_silent_is_given_up_too(self, url: str) -> None:
        """As behind a proxy: the connection stands, and nothing comes through it."""
        with _Proxy(url) as proxy, closing(PostgresSink(proxy.url, busy_timeout=0.5)) as sink:
            sink.write([segment(1)])
            proxy.silent.set()
            with pytest.raises(MonitoringError, match="was silent for"):
                sink.write([segment(2)])

    def test_descriptors_may_have_long_numbers(self, sink: PostgresSink) -> None:
        """``select`` takes those below 1024 only."""
        with many_files():
            sink.write([segment(1)])
            sink.write([segment(2)])

    def test_an_interrupted_write_leaves_a_sink_that_can_be_used(self, sink: PostgresSink, url: str) -> None:
        sink.write([segment(1)])
        with psycopg.connect(url) as connection:
            connection.execute("LOCK TABLE mlops.sink_segments IN ACCESS EXCLUSIVE MODE")
            with interrupted(), pytest.raises(KeyboardInterrupt):
                sink.write([segment(2)])
            connection.rollback()
        sink.write([segment(2)])
        assert total(sink) == 2

    def test_a_forked_child_has_connections_of_its_own(self, url: str) -> None:
        """In a process with one thread, since a test runner has several."""
        program = """
import os, sys
from mlops_core.testing.sink_suite import segment
from mlops_sink_sql.postgres import PostgresSink
sink = PostgresSink(sys.argv[1])
sink.write([segment(1)])
child = os.fork()
sink.write([segment(2, writer="child" if child == 0 else "w1")])
sink.close()
if child == 0:
    os._exit(0)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
print(len(list(sink.read(segment().series, segment().start, segment().end))))
sink.close()
"""
        answer = subprocess.run([sys.executable, "-c", program, url], capture_output=True, text=True, check=True)
        assert answer.stdout.strip() == "3"


class TestAtOnce:
    def test_processes_that_bring_the_same_segments_count_once(self, url: str, sink: PostgresSink) -> None:
        """As when a spool is drained by several; meanwhile others roll up, and nothing is lost."""
        program = """
import sys
from mlops_core.testing.sink_suite import segment
from mlops_sink_sql.postgres import PostgresSink
sink = PostgresSink(sys.argv[1])
for sequence in range(1, 41):
    sink.write([segment(sequence, sequence % 60, writer=sys.argv[2]), segment(sequence, sequence % 60, writer="shared")])
sink.close()
"""
        sink.check()
        writers = [subprocess.Popen([sys.executable, "-c", program, url, f"w{number}"]) for number in range(4)]
        while any(writer.poll() is None for writer in writers):
            sink.replace(SERIES, AT, AT + timedelta(minutes=2), timedelta(minutes=2), merge_segments)
        assert [writer.wait() for writer in writers] == [0] * 4
        assert total(sink) == 4 * 40 + 40

    def test_a_merge_is_not_overtaken_by_an_erasure(self, sink: PostgresSink, url: str) -> None:
        """Or it would bring back what was erased."""
        sink.write([segment(1, sample=({"prediction_id": "p1"},)), segment(2)])
        entered, erased = threading.Event(), []

        def merge(found: object) -> object:
            entered.set()
            time.sleep(0.3)
            return merge_segments(found)  # type: ignore[arg-type]

        def purge() -> None:
            with closing(PostgresSink(url)) as other:
                other.check()
                entered.wait(30)
                erased.append(other.purge("acme", ids=["p1"]))

        purging = threading.Thread(target=purge)
        purging.start()
        sink.replace(SERIES, AT, AT + HOUR, HOUR, merge)  # type: ignore[arg-type]
        purging.join()
        assert erased == [1]
        assert [one.sample for one in sink.read(SERIES, AT, AT + HOUR)] == [()]

    def test_what_the_server_cannot_keep_is_a_refusal(self, sink: PostgresSink) -> None:
        """Not an outage, after which it would be tried for ever."""
        with pytest.raises(ValueError, match="NUL"):
            sink.log([Logged(SERIES, "prediction", "p\0", AT, 1)])
        with pytest.raises(ValueError, match="out of range"):
            sink.write([segment(1, total=2**63)])
        sink.write([segment(1)])
        assert total(sink) == 1


def test_a_server_that_dies_is_one_line_and_loses_nothing() -> None:
    with PostgresServer() as server, closing(PostgresSink(server.database())) as sink:
        sink.write([segment(1), segment(2)])
        server.kill()
        for act in (lambda: sink.write([segment(3)]), lambda: total(sink), lambda: sink.purge("acme", ids=["p"])):
            with pytest.raises(MonitoringError, match=r"^sink\.postgres: postgresql://127.*: .* - check the server") as refused:
                act()
            assert "\n" not in refused.value.message
        server.start()
        assert total(sink) == 2
        sink.write([segment(2), segment(3)])
        assert total(sink) == 3


class _Proxy:
    """Passes bytes between a client and the server, until it is silent."""

    def __init__(self, url: str) -> None:
        self.silent = threading.Event()
        self._server = url.rpartition("@")[2].partition("/")[0]
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self.url = url.replace(self._server, f"127.0.0.1:{self._listening.getsockname()[1]}")
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        host, _, port = self._server.partition(":")
        while True:
            try:
                near, _ = self._listening.accept()
            except OSError:
                return
            far = socket.create_connection((host, int(port)))
            self._open += [near, far]
            for one, other in ((near, far), (far, near)):
                threading.Thread(target=self._pass, args=(one, other), daemon=True).start()

    def _pass(self, one: socket.socket, other: socket.socket) -> None:
        try:
            while data := one.recv(1 << 16):
                if not self.silent.is_set():
                    other.sendall(data)
            other.shutdown(socket.SHUT_WR)
        except OSError:
            return

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for one in (self._listening, *self._open):
            one.close()
