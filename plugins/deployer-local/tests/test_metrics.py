"""``GET /metrics``: exact over all processes of a server, whatever is killed, replaced or started again."""

from __future__ import annotations

import contextlib
import http.client
import json
import math
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from attrs import frozen
from prometheus_client.parser import text_string_to_metric_families

from mlops_core.exceptions import DeploymentError
from mlops_core.records import EndpointKey, SeriesKey
from mlops_deployer_local.exposition import BOUNDS, Page
from mlops_deployer_local.metrics import Metrics
from mlops_deployer_local.process import is_alive
from mlops_deployer_local.state import read_json, write_json

from .conftest import PROGRAM, rows, scripted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

GLOBEX = EndpointKey("globex", "staging", "delays")
CALL = "/endpoints/delays/invocations"
PATIENCE = 30.0
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


class Scrape:
    """What one scrape told."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.families = list(text_string_to_metric_families(text))
        self.samples: Samples = {(one.name, frozenset(one.labels.items())): one.value for family in self.families for one in family.samples}

    def of(self, version: str, name: str = "mlops_predictions_total", **labels: str) -> float:
        place = {"tenant": "acme", "environment": "staging", "model": "delays", "version": version, **labels}
        return self.samples[name, frozenset(place.items())]

    def server(self, name: str) -> float:
        return self.samples[f"mlops_server_{name}", frozenset({("environment", "staging")})]

    def counters(self) -> Samples:
        ends = ("_total", "_bucket", "_count", "_sum")
        return {key: value for key, value in self.samples.items() if key[0].endswith(ends)}


@frozen
class Alone:
    """A server that nobody supervises."""

    host: str
    port: int

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(self.host, self.port, timeout=60)


def scrape(rig: Any, method: str = "GET", **headers: str) -> Scrape:
    connection = rig.connect()
    connection.request(method, "/metrics", headers=headers)
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    assert answer.status == 200, text
    assert answer.getheader("content-type") == "text/plain; version=0.0.4; charset=utf-8"
    return Scrape(text)


def until(found: Callable[[], Any]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not found():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.01)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, rig_in: Any) -> Iterator[Any]:
    with rig_in(tmp_path_factory.mktemp("server"), workers=2) as rig:
        rig.serve("1.0.0")
        rig.deployer.load(GLOBEX, rig.version("1.0.0"), rig.context)
        rig.route(("1.0.0", 1.0), endpoint=GLOBEX)
        yield rig


def test_every_answer_is_counted_whichever_process_gave_it_and_whichever_is_asked(server: Any) -> None:
    before = scrape(server).of("1.0.0")
    for _ in range(30):
        server.ask(server.endpoint)
    first = scrape(server)

    assert first.of("1.0.0") == before + 30
    for _ in range(20):
        assert scrape(server).counters() == first.counters()


def test_latencies_are_a_histogram_with_the_bounds_of_the_sink(server: Any) -> None:
    server.ask(server.endpoint)
    told = scrape(server)
    within = [told.of("1.0.0", "mlops_prediction_latency_seconds_bucket", le=str(bound)) for bound in (*BOUNDS, "+Inf")]
    total = told.of("1.0.0", "mlops_prediction_latency_seconds_sum")

    assert within == sorted(within)
    assert within[-1] == told.of("1.0.0", "mlops_prediction_latency_seconds_count") == told.of("1.0.0") > 0
    pairs = list(zip(BOUNDS, within, strict=False))
    assert sum((count - before) * bound for (_, before), (bound, count) in pairwise(pairs)) >= total
    assert (BOUNDS[0], BOUNDS[-1]) == (2.0**-14, 64.0)


def test_failures_are_counted_by_type(server: Any) -> None:
    before = scrape(server).of("1.0.0")
    assert server.post(CALL, rows(-1.0), x_mlops_tenant="acme")[0] == 500
    assert server.post(CALL, b"no JSON", x_mlops_tenant="acme")[0] == 400  # the client's mistake, which nobody counts
    told = scrape(server)

    assert told.of("1.0.0") == before + 1
    assert told.of("1.0.0", "mlops_predictions_failed_total") == 1
    assert told.of("1.0.0", "mlops_prediction_errors_total", type="ValueError") == 1


def test_gauges_tell_of_the_server_and_its_routes(server: Any) -> None:
    told = scrape(server)

    assert told.server("processes") == 2
    assert told.server("resident_memory_bytes") > 10_000_000
    assert told.server("crashes_total") == 0
    assert time.time() - 600 < told.server("start_time_seconds") < time.time()
    assert told.of("1.0.0", "mlops_route_weight") == 1
    assert told.samples["mlops_route_revision", frozenset({("tenant", "acme"), ("environment", "staging"), ("model", "delays")})] == 1
    assert {family.type for family in told.families} == {"counter", "gauge", "histogram"}
    assert [family.name for family in told.families if not family.documentation] == []


def test_a_tenant_that_is_named_sees_its_own(server: Any) -> None:
    assert 'tenant="acme"' in scrape(server).text
    assert 'tenant="acme"' not in scrape(server, **{"X-MLOps-Tenant": "globex"}).text


def test_it_is_read_and_nothing_else(server: Any) -> None:
    assert scrape(server, "HEAD").text == ""
    assert server.request("POST", "/metrics", b"")[0] == 405


def test_counters_are_exact_over_a_kill_a_new_version_and_a_new_server(make_rig: Any) -> None:
    rig = make_rig(workers=2)
    rig.serve("1.0.0")
    told = scrape(rig)

    def ask(version: str, times: int, count: int) -> None:
        nonlocal told
        assert {rig.ask(rig.endpoint) for _ in range(times)} == {version}
        before, told = told, scrape(rig)
        assert told.of(version) == count
        later = told.counters()
        assert {key: value for key, value in before.counters().items() if later[key] < value} == {}, "a counter went down"

    ask("1.0.0", 20, 20)
    os.kill(rig.processes()[1][0], signal.SIGKILL)
    ask("1.0.0", 10, 30)
    until(lambda: scrape(rig).server("crashes_total") == 1)
    until(lambda: scrape(rig).server("processes") == 2)
    ask("1.0.0", 10, 40)
    rig.serve("2.0.0")
    ask("2.0.0", 10, 10)
    os.kill(rig.processes()[0][0], signal.SIGKILL)  # the supervisor: what serves goes on
    ask("2.0.0", 10, 20)
    rig.route(("2.0.0", 1.0))  # starts another one, whose processes take over
    ask("2.0.0", 10, 30)
    rig.deployer.shutdown()
    rig.route(("2.0.0", 1.0))
    ask("2.0.0", 10, 40)

    assert told.of("1.0.0") == 40
    assert told.server("crashes_total") == 1


def test_under_load_no_answer_is_missing_and_no_counter_goes_down(make_rig: Any) -> None:
    rig = make_rig(workers=2)
    rig.serve("1.0.0")
    over, told, asked, answered = threading.Event(), scrape(rig), Counter[int](), Counter[str]()

    def ask(number: int) -> None:
        while not over.is_set():
            asked[number] += 1
            with contextlib.suppress(DeploymentError):  # the process that was killed had it
                answered[f"{number} {rig.ask(rig.endpoint)}"] += 1

    clients = [threading.Thread(target=ask, args=(number,)) for number in range(3)]
    for client in clients:
        client.start()
    for version in ("2.0.0", "1.0.0"):
        os.kill(rig.processes()[1][0], signal.SIGKILL)
        until(lambda: len(rig.processes()) == 3 and is_alive(rig.processes()[1]))
        rig.serve(version)
        for _ in range(10):
            with contextlib.suppress(OSError):  # as above
                before, told = told, scrape(rig)
                later = told.counters()
                assert {key: value for key, value in before.counters().items() if later[key] < value} == {}
    over.set()
    for client in clients:
        client.join()
    told = scrape(rig)
    counted = {version: told.of(version) for version in ("1.0.0", "2.0.0")}

    assert all(counted[version] >= sum(answered[f"{number} {version}"] for number in range(3)) > 0 for version in counted)
    assert sum(counted.values()) <= sum(asked.values())
    assert told.server("crashes_total") == 2


def test_a_token_is_needed_where_tokens_are_set_and_shows_nobody_elses_names(rig: Any) -> None:
    (rig.folder / "tokens.json").write_text(json.dumps({"token-of-acme": "acme", "token-of-globex": "globex"}))
    rig.serve("1.0.0")
    rig.deployer.load(GLOBEX, rig.version("1.0.0"), rig.context)
    rig.route(("1.0.0", 1.0), endpoint=GLOBEX)

    assert rig.get("/metrics")[0] == 401
    assert rig.get("/metrics", authorization="Bearer wrong")[0] == 401
    assert rig.get("/metrics", authorization="Bearer token-of-globex", x_mlops_tenant="acme")[0] == 403
    told = scrape(rig, Authorization="Bearer token-of-globex")
    assert 'tenant="globex"' in told.text
    assert "acme" not in told.text
    assert told.server("processes") == 1


def test_what_a_shadow_does_is_told_apart(rig: Any) -> None:
    rig.serve("1.0.0")
    rig.deployer.load(rig.endpoint, rig.version("2.0.0", fault="predict"), rig.context)
    rig.route(("1.0.0", 1.0), shadow="2.0.0")
    for _ in range(7):
        rig.ask(rig.endpoint)
    until(lambda: scrape(rig).of("2.0.0", "mlops_shadow_predictions_total") == 7)
    told = scrape(rig)

    assert told.of("1.0.0") == 7
    assert told.of("2.0.0", "mlops_shadow_predictions_failed_total") == 7
    assert told.of("2.0.0", "mlops_shadow_prediction_errors_total", type="ValueError") == 7
    assert told.of("2.0.0", "mlops_shadow_prediction_latency_seconds_count") == 7
    assert told.of("2.0.0", "mlops_shadow_dropped_total") == 0
    assert [key for key in told.samples if key[0].startswith("mlops_prediction") and ("version", "2.0.0") in key[1]] == []


def test_requests_in_flight_are_told_while_they_are(rig: Any) -> None:
    rig.serve("1.0.0")
    busy = [rig.connect() for _ in range(3)]
    for one in busy:
        one.request("POST", CALL, json.dumps(rows(-3.0)), {"Content-Type": "application/json"})
    until(lambda: scrape(rig).of("1.0.0", "mlops_requests_in_flight") == 3)
    assert scrape(rig).of("1.0.0") == 0

    (rig.folder / "go-on").touch()
    assert [one.getresponse().status for one in busy] == [200] * 3
    told = scrape(rig)
    assert (told.of("1.0.0", "mlops_requests_in_flight"), told.of("1.0.0")) == (0, 3)
    for one in busy:
        one.close()


def test_a_folder_that_takes_no_counts_costs_the_metrics_alone(rig: Any) -> None:
    folder: Path = rig.context.workdir / "server"
    folder.mkdir(parents=True)
    (folder / "metrics").touch()
    rig.serve("1.0.0")
    assert rig.ask(rig.endpoint) == "1.0.0"
    status, answer, _ = rig.get("/metrics")

    assert status == 503
    assert answer["error"] == "metrics: what was counted is not complete - the server's log says why"
    assert re.search(r"metrics: \S+/metrics cannot be written \(File exists\), so the counts of a process are lost", rig.log())
    assert rig.log().count("metrics: ") == 1


def test_the_server_of_an_earlier_release_does_not_say_since_when(rig: Any) -> None:
    rig.serve("1.0.0")
    path: Path = rig.context.workdir / "server" / "server.json"
    info = read_json(path)
    assert info is not None
    del info["since"]
    write_json(path, info)
    told = scrape(rig)
    assert told.of("1.0.0") == 0
    assert "mlops_server_start_time_seconds" not in {one.name for one in told.families}


def test_types_of_errors_stay_few_over_any_number_of_revisions(tmp_path: Path) -> None:
    metrics = Metrics(scripted().Host(tmp_path), "staging", tmp_path)
    for revision in range(5):
        recorder = metrics.recorder(SeriesKey("acme", "staging", "delays", "1.0.0"), revision)
        for number in range(20):
            recorder.count(0.1, False, f"Error{revision}-{number}")
    types = {key[-1]: cells[0] for key, cells in metrics.counts.total().items() if len(key) > 4}
    assert len(types) == 33
    assert (sum(types.values()), types["other"]) == (100, 68)


def test_a_process_that_is_alone_tells_its_own(rig: Any) -> None:
    rig.version("1.0.0")
    command = [sys.executable, str(PROGRAM), str(rig.folder), "{}", "alone", "acme/delays/1.0.0"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        found = next(match for line in process.stderr if (match := re.search(r"served at http://([^:]+):(\d+)", line)))
        alone = Alone(found[1], int(found[2]))
        connection = alone.connect()
        connection.request("POST", "/invocations", json.dumps(rows(1.0)), {"Content-Type": "application/json"})
        assert connection.getresponse().status == 200
        connection.close()
        told = scrape(alone)
    finally:
        process.terminate()
        process.communicate()

    assert told.of("1.0.0") == 1
    assert told.server("processes") == 1
    assert told.of("1.0.0", "mlops_route_weight") == 1
    assert not (rig.context.workdir / "server").exists(), "it needs no folder"


def test_labels_are_escaped() -> None:
    page, odd = Page(), 'a "b"\\ \n c'
    page.sample("mlops_prediction_errors_total", {"type": odd}, 3)
    page.latencies("mlops_prediction_latency_seconds", {"model": odd}, [1] * (len(BOUNDS) + 1), 2.5)
    told = Scrape(page.text().decode())

    assert told.samples["mlops_prediction_errors_total", frozenset({("type", odd)})] == 3
    assert told.samples["mlops_prediction_latency_seconds_bucket", frozenset({("model", odd), ("le", "+Inf")})] == len(BOUNDS) + 1
    assert math.isclose(told.samples["mlops_prediction_latency_seconds_sum", frozenset({("model", odd)})], 2.5)
