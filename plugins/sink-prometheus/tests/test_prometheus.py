"""``sink.prometheus``: the contract, and what a scrape says after retries, restarts, forks and kills."""

from __future__ import annotations

import json
import logging
import math
import random
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

import pytest
from attrs import evolve
from prometheus_client.parser import text_string_to_metric_families

from mlops_core import ModelMonitoring
from mlops_core.exceptions import MonitoringError
from mlops_core.records import Segment, SeriesKey, ValueSum, Window
from mlops_core.records.histogram import bucket, upper_bound
from mlops_core.stack import locate
from mlops_core.testing.sink_suite import MonitorSinkSuite, segment
from mlops_sink_prometheus.sink import PrometheusSink

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

AT = datetime(2024, 5, 1, 12, tzinfo=UTC)
SERIES = SeriesKey("acme", "production", "tickets", "1.0.0")
LABELS = {"tenant": "acme", "environment": "production", "model": "tickets", "version": "1.0.0"}
PATIENCE = 30.0


class TestContract(MonitorSinkSuite):
    @pytest.fixture
    def sink(self, tmp_path: Path) -> PrometheusSink:
        return PrometheusSink(path=tmp_path / "folder" / "prometheus.db", port=0)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "prometheus.db"


@pytest.fixture
def sink(path: Path) -> Iterator[PrometheusSink]:
    made = PrometheusSink(path=path, port=0)
    yield made
    made.close()


Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def parsed(text: str) -> Samples:
    """Every sample by its name and labels."""
    found = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    samples = {(sample.name, frozenset(sample.labels.items())): sample.value for sample in found}
    assert len(samples) == len(found), "a sample is exposed twice"
    return samples


def value(samples: Samples, name: str, /, **labels: str) -> float | None:
    return samples.get((name, frozenset({**LABELS, **labels}.items())))


def total(path: Path) -> float | None:
    sink = PrometheusSink(path=path)
    try:
        return value(parsed(sink.text()), "mlops_predictions_total")
    finally:
        sink.close()


def wait_for(answer: Callable[[], object]) -> None:
    until = time.monotonic() + PATIENCE
    while not answer():
        assert time.monotonic() < until
        time.sleep(0.02)


def get(url: str, method: str = "GET") -> tuple[int, str]:
    asked = urllib.request.Request(url, method=method)  # noqa: S310  an address of this test
    try:
        with urllib.request.urlopen(asked, timeout=PATIENCE) as answer:  # noqa: S310  the same
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


# --- what is exposed


def made_up(draw: random.Random, writer: str, sequence: int) -> Segment:
    """A segment as a serving process makes them."""
    seconds = [draw.choice((0.0, 2.0**-14, 2.0**-13.5, 1.0, 64.0, 65.0, draw.lognormvariate(-3, 3))) for _ in range(draw.randrange(30))]
    histogram: dict[int, int] = {}
    for one in seconds:
        histogram[bucket(one)] = histogram.get(bucket(one), 0) + 1
    errors = {kind: draw.randrange(5) for kind in draw.sample(("Timeout", "ValueError", "other"), draw.randrange(4))}
    return segment(
        sequence,
        second=draw.randrange(3600),
        series=evolve(SERIES, version=draw.choice(("1.0.0", "2.0.0"))),
        writer=writer,
        total=len(seconds),
        errors=sum(errors.values()),
        errors_by_type=errors,
        latency_sum=math.fsum(seconds),
        histogram=histogram,
        values={"live.f1": ValueSum(1, 0.5, draw.random(), AT + timedelta(seconds=draw.randrange(100)))},
    )


def check_equal(samples: Samples, version: str, merged: Window, schema: int) -> None:
    """What is exposed is what merging the segments says."""
    assert value(samples, "mlops_predictions_total", version=version) == merged.total
    assert value(samples, "mlops_predictions_failed_total", version=version) == merged.errors
    for kind, count in merged.errors_by_type.items():
        assert value(samples, "mlops_prediction_errors_total", version=version, type=kind) == count
    bounds = [dict(labels)["le"] for name, labels in samples if name.endswith("_bucket") and dict(labels)["version"] == version]
    assert len(bounds) == 20 * 2**schema + 2
    for bound in bounds:
        told = value(samples, "mlops_prediction_latency_seconds_bucket", version=version, le=bound)
        assert told == sum(count for index, count in merged.histogram.items() if upper_bound(index) <= float(bound))
        assert float(bound) == math.inf or float(bound) == 2.0 ** (round(math.log2(float(bound)) * 2**schema) / 2**schema)
    assert value(samples, "mlops_prediction_latency_seconds_count", version=version) == merged.total
    assert value(samples, "mlops_prediction_latency_seconds_sum", version=version) == pytest.approx(merged.latency_sum)
    last = merged.values["live.f1"]
    assert last.at is not None
    assert value(samples, "mlops_value", version=version, name="live.f1") == last.last
    assert value(samples, "mlops_value_timestamp_seconds", version=version, name="live.f1") == last.at.timestamp()


@pytest.mark.parametrize("schema", [0, 1, 2, 3])
def test_a_scrape_says_what_merging_the_segments_says(path: Path, schema: int) -> None:
    draw = random.Random(schema)
    segments = [made_up(draw, f"w{number % 3}", number // 3 + 1) for number in range(120)]
    sink = PrometheusSink(path=path, schema=schema)
    for start in range(0, 120, 7):
        sink.write(draw.sample(segments[start : start + 7], len(segments[start : start + 7])))
    sink.write(draw.sample(segments, 60))  # a second copy of half of them
    samples = parsed(sink.text())
    sink.close()
    for version in ("1.0.0", "2.0.0"):
        check_equal(samples, version, Window.merge(one for one in segments if one.series.version == version), schema)


def test_the_types_and_helps_are_those_of_the_documentation(sink: PrometheusSink) -> None:
    sink.write([segment(errors=1, errors_by_type={"Timeout": 1}, values={"live.f1": ValueSum(1, 0.5, 0.5, AT)})])
    found = {family.name: family.type for family in text_string_to_metric_families(sink.text())}
    assert found == {
        "mlops_predictions": "counter",
        "mlops_predictions_failed": "counter",
        "mlops_prediction_errors": "counter",
        "mlops_prediction_latency_seconds": "histogram",
        "mlops_value": "gauge",
        "mlops_value_timestamp_seconds": "gauge",
    }


def test_before_the_first_prediction_there_is_nothing_to_say(sink: PrometheusSink) -> None:
    assert sink.text() == ""


@pytest.mark.parametrize("odd", ['a"b', "a\\b", "a\nb", 'mix\\n"\n\\', "naïve ☃", "}", "{,=}", "\r\t", ""])
def test_hostile_labels_come_through(sink: PrometheusSink, odd: str) -> None:
    hostile = segment(series=evolve(SERIES, model=odd), errors=1, errors_by_type={odd: 1}, values={odd: ValueSum(1, 1.5, 1.5, AT)})
    sink.write([hostile, segment(2)])
    samples = parsed(sink.text())
    assert value(samples, "mlops_prediction_errors_total", model=odd, type=odd) == 1
    assert value(samples, "mlops_value", model=odd, name=odd) == 1.5
    assert value(samples, "mlops_predictions_total") == 1


def test_what_utf_8_cannot_hold_costs_no_count(sink: PrometheusSink) -> None:
    sink.write([segment(errors=2, errors_by_type={"caf\udce9": 1, "a\0b": 1})])
    samples = parsed(sink.text())
    assert value(samples, "mlops_prediction_errors_total", type="caf?") == 1
    assert value(samples, "mlops_prediction_errors_total", type="a?b") == 1


def test_errors_without_a_type_are_other_ones(sink: PrometheusSink) -> None:
    """A segment that was refused for its content comes again with its counts only."""
    sink.write([segment(1, errors=2, errors_by_type={"Timeout": 1, "other": 1}), segment(2, errors=3)])
    assert value(parsed(sink.text()), "mlops_prediction_errors_total", type="other") == 4


def test_a_series_that_is_quiet_is_not_exposed_until_it_goes_on(path: Path) -> None:
    sink = PrometheusSink(path=path, quiet=timedelta(seconds=0.2))
    sink.write([segment(1), segment(2, series=evolve(SERIES, version="2.0.0"))])
    time.sleep(0.25)
    assert sink.text() == ""
    sink.write([segment(3)])
    samples = parsed(sink.text())
    assert value(samples, "mlops_predictions_total") == 2
    assert value(samples, "mlops_predictions_total", version="2.0.0") is None
    sink.close()


def test_a_late_value_does_not_hide_a_newer_one(sink: PrometheusSink) -> None:
    for sequence, (second, figure) in enumerate([(10, 0.1), (30, 0.3), (20, 0.2)], start=1):
        sink.write([segment(sequence, values={"live.f1": ValueSum(1, figure, figure, AT + timedelta(seconds=second))})])
    assert value(parsed(sink.text()), "mlops_value", name="live.f1") == 0.3


@pytest.mark.parametrize(
    "fields",
    [
        {"total": -1},
        {"errors_by_type": {"Timeout": -1}},
        {"histogram": {0: -1}},
        {"latency_sum": math.nan},
        {"latency_sum": -0.1},
        {"latency_sum": math.inf},
        {"values": {"live.f1": ValueSum(1, math.nan, math.nan, AT)}},
        {"total": 2**63},
    ],
)
def test_what_no_counter_can_take_is_refused_and_changes_nothing(sink: PrometheusSink, fields: dict[str, Any]) -> None:
    sink.write([segment(1)])
    before = sink.text()
    with pytest.raises((ValueError, OverflowError)):
        sink.write([segment(2), evolve(segment(3), **fields)])
    assert sink.text() == before
    sink.write([segment(2)])
    assert value(parsed(sink.text()), "mlops_predictions_total") == 2


# --- each segment once


def test_a_retry_counts_once_over_restarts(path: Path) -> None:
    order = [3, 1, 5, 3, 5, 2, 2, 4, 4, 1, 6]
    for sequence in order:
        sink = PrometheusSink(path=path)
        sink.write([segment(sequence), segment(sequence)])
        sink.close()
    assert total(path) == 6


WRITER = """
import sys
from mlops_core.stack import locate
from mlops_core.testing.sink_suite import segment
from mlops_sink_prometheus.sink import PrometheusSink
sink = PrometheusSink(path=sys.argv[1])
for sequence in range(1, 26):
    sink.write([segment(sequence, writer=sys.argv[2]), segment(sequence, writer="shared")])
sink.close()
"""


def test_processes_write_at_once(path: Path) -> None:
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(path), f"w{number}"]) for number in range(4)]
    assert [writer.wait(60) for writer in writers] == [0, 0, 0, 0]
    assert total(path) == 4 * 25 + 25


KILLED = """
import sys
from mlops_core.stack import locate
from mlops_core.testing.sink_suite import segment
from mlops_sink_prometheus.sink import PrometheusSink
sink = PrometheusSink(path=sys.argv[1])
for sequence in range(int(sys.argv[2]), 1_000_000):
    sink.write([segment(sequence)])
    print(sequence, flush=True)
"""


def test_a_killed_process_loses_and_repeats_nothing(path: Path) -> None:
    """The next one begins with the last segment that it knows of, which may be counted, and with the one after, which may be too."""
    draw = random.Random(7)
    reached, seen = 1, 0.0
    for _ in range(6):
        command = [sys.executable, "-c", KILLED, str(path), str(reached)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
            assert writer.stdout is not None
            assert writer.stdout.readline() == f"{reached}\n"
            time.sleep(draw.random() * 0.2)
            writer.send_signal(signal.SIGKILL)
            told = writer.stdout.read().split()
        reached = int(told[-1]) if told else reached
        now = total(path)
        assert now in (reached, reached + 1)
        assert now >= seen
        seen = now
    assert reached > 6


SERVING = """
import sys
from pathlib import Path
from mlops_core import ModelMonitoring
from mlops_core.stack import locate
monitoring = ModelMonitoring(stack=locate(Path(sys.argv[1])))
number = 0
while True:
    number += 1
    monitoring.track_prediction("tickets", 0.001 * (number % 50), number % 7 > 0, None if number % 7 else "Timeout", version="1.0.0")
    if number == 200:
        monitoring.flush(60)
        print("counts", flush=True)
"""


def test_what_killed_processes_counted_is_the_same_here_as_in_a_sink_that_is_read(tmp_path: Path) -> None:
    """The whole way: buffers, spools, deliveries that are cut off and taken over; each prediction that was spooled is counted once."""
    (tmp_path / "mlops.yaml").write_text(
        "version: 1\nproject: p\ntenant: acme\nmonitoring: {sinks: [sqlite, {use: prometheus, port: 0}]}\n"
    )
    draw = random.Random(5)
    for _ in range(3):
        command = [sys.executable, "-c", SERVING, str(tmp_path)]
        processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "counts\n"
        time.sleep(0.2 + draw.random() * 0.3)
        for process in processes:
            process.kill()
            process.communicate()
    with ModelMonitoring(stack=locate(tmp_path)) as monitoring:
        monitoring.drain()
        window = monitoring.get_metrics("tickets", timedelta(hours=1))
    sink = PrometheusSink(path=tmp_path / ".mlops" / "prometheus.db")
    samples = parsed(sink.text())
    sink.close()
    place = {"environment": "default"}
    assert window.total_predictions > 100
    assert value(samples, "mlops_predictions_total", **place) == window.total_predictions
    assert value(samples, "mlops_prediction_errors_total", type="Timeout", **place) == window.total_errors
    assert value(samples, "mlops_prediction_latency_seconds_count", **place) == window.total_predictions


def test_a_forked_child_has_its_own_connection_and_no_port(tmp_path: Path) -> None:
    """In a process with one thread of its own, since a test runner has several."""
    program = """
import json, os, sys, time
from mlops_core.stack import locate
from mlops_core.testing.sink_suite import segment
from mlops_sink_prometheus.sink import PrometheusSink
sink = PrometheusSink(path=sys.argv[1], port=0)
sink.write([segment(1)])
sink.listen()
while sink.address is None:
    time.sleep(0.01)
child = os.fork()
sink.write([segment(2, writer="child" if child == 0 else "w1")])
if child == 0:
    print(json.dumps({"listens": sink.address}), flush=True)
    sink.listen()
    while sink.address is None:
        time.sleep(0.01)
    print(json.dumps({"total": sink.text().split("} ")[1].split()[0]}), flush=True)
    sink.close()
    os._exit(0)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
sink.close()
"""
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", program, str(tmp_path / "prometheus.db")]
    answer = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    first, last = map(json.loads, answer.stdout.splitlines())
    assert first == {"listens": None}
    assert last["total"] in {"2", "3"}
    assert total(tmp_path / "prometheus.db") == 3


# --- listening


def test_it_answers_at_its_address_only(sink: PrometheusSink, caplog: pytest.LogCaptureFixture) -> None:
    sink.write([segment(1)])
    with caplog.at_level(logging.INFO):
        sink.listen()
        wait_for(lambda: sink.address)
    address = sink.address or ""
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/metrics", address)
    assert f"sink prometheus: metrics are at {address}" in caplog.messages
    assert get(address) == (200, sink.text())
    assert get(f"{address}?name[]=up") == (200, sink.text())
    assert get(address, "HEAD") == (200, "")
    assert get(address.removesuffix("metrics")) == (404, "metrics are at /metrics\n")
    sink.close()
    assert sink.address is None


def test_many_scrapes_go_over_one_connection(sink: PrometheusSink) -> None:
    import http.client

    sink.write([segment(1)])
    sink.listen()
    wait_for(lambda: sink.address)
    connection = http.client.HTTPConnection(str(sink.address).split("/")[2], timeout=PATIENCE)
    for _ in range(3):
        connection.request("GET", "/metrics")
        answer = connection.getresponse()
        assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        assert value(parsed(answer.read().decode()), "mlops_predictions_total") == 1
    connection.close()


def test_a_client_that_says_nothing_holds_nobody_up(sink: PrometheusSink) -> None:
    sink.listen()
    wait_for(lambda: sink.address)
    host, port = str(sink.address).split("/")[2].split(":")
    with socket.create_connection((host, int(port))) as silent:
        silent.sendall(b"GET /met")
        assert get(str(sink.address))[0] == 200


def test_another_takes_over_the_port(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    port = free_port()
    first, second = PrometheusSink(path=path, port=port), PrometheusSink(path=path, port=port)
    try:
        first.write([segment(1)])
        first.listen()
        wait_for(lambda: first.address)
        with caplog.at_level(logging.INFO):
            second.listen()
            wait_for(lambda: any("stands by for" in message for message in caplog.messages))
        second.write([segment(2)])
        assert second.address is None
        assert value(parsed(get(f"http://127.0.0.1:{port}/metrics")[1]), "mlops_predictions_total") == 2
        first.close()
        wait_for(lambda: second.address)
        assert value(parsed(get(f"http://127.0.0.1:{port}/metrics")[1]), "mlops_predictions_total") == 2
    finally:
        first.close()
        second.close()
    assert sum("stands by" in message for message in caplog.messages) == 1


def test_an_address_that_is_none_is_logged_once_and_harms_nothing(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    sink = PrometheusSink(path=path, host="203.0.113.7", port=9464)
    sink.listen()
    wait_for(lambda: caplog.messages)
    time.sleep(1.2)
    sink.write([segment(1)])
    sink.close()
    assert len(caplog.messages) == 1
    assert re.match(r"sink prometheus: stands by for 203\.0\.113\.7:9464: .*assign", caplog.messages[0])


def test_a_file_that_cannot_be_read_is_a_503_without_its_path(sink: PrometheusSink, path: Path) -> None:
    sink.listen()
    wait_for(lambda: sink.address)
    path.write_text("this is no database, and long enough to be told from an empty one" * 20)
    status, text = get(str(sink.address))
    assert (status, text) == (503, "the counts cannot be read; the log says why\n")


# --- the file


def test_is_found_under_its_name() -> None:
    (entry,) = entry_points(group="mlops_core.sink", name="prometheus")
    assert entry.load().mlops_monitor_sink() is PrometheusSink


def test_constructing_opens_nothing(path: Path) -> None:
    sink = PrometheusSink(path=path)
    sink.close()
    assert not path.exists()


def test_check_makes_the_file(sink: PrometheusSink, path: Path) -> None:
    sink.check()
    assert path.exists()


@pytest.mark.parametrize(
    "options", [{"port": -1}, {"port": 65536}, {"schema": 4}, {"schema": -1}, {"host": ""}, {"busy_timeout": 0.0}, {"quiet": timedelta(0)}]
)
def test_options_that_mean_nothing_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=str(next(iter(options)))):
        PrometheusSink(**options)  # type: ignore[arg-type]  # on purpose


def test_a_newer_schema_is_refused(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(MonitoringError, match=r"schema 99, this release knows 1 - upgrade motadata-mlops-sink-prometheus"):
        PrometheusSink(path=path).check()


def test_another_programs_database_is_refused(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE theirs (x)")
    connection.close()
    with pytest.raises(MonitoringError, match="another program's database - give this sink a 'path' of its own"):
        PrometheusSink(path=path).check()


def test_a_file_of_something_else_is_one_line(path: Path) -> None:
    path.write_text("this is no database, and long enough to be told from an empty one" * 20)
    with pytest.raises(MonitoringError, match=r"sink\.prometheus: .*not a database.* - check the file") as caught:
        PrometheusSink(path=path).check()
    assert "\n" not in caught.value.message


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(MonitoringError, match="cannot be made"):
        PrometheusSink(path=tmp_path / "file" / "prometheus.db").check()


def test_a_file_that_is_locked_is_an_outage_after_the_timeout(path: Path) -> None:
    sink = PrometheusSink(path=path, busy_timeout=0.05)
    sink.check()
    with sqlite3.connect(path, isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(MonitoringError, match="locked"):
            sink.write([segment(1)])
        other.execute("ROLLBACK")
    other.close()
    sink.write([segment(1)])
    assert value(parsed(sink.text()), "mlops_predictions_total") == 1
    sink.close()
