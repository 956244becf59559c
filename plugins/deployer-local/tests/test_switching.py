"""No request fails while versions load, switch, crash or return."""

from __future__ import annotations

import http.client
import json
import os
import signal
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, Any, Self

import pytest

from mlops_core.exceptions import DeploymentError
from mlops_core.records import Variant
from mlops_deployer_local.process import is_alive

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

BODY = json.dumps({"inputs": {"x": [1.5], "carrier": ["UA"]}})
HEADERS = {"Content-Type": "application/json"}


class Load:
    """Clients with connections that they keep, and one that opens a new one for each request."""

    def __init__(self, rig: Any, kept: int = 3, fresh: int = 1) -> None:
        self.rig = rig
        self.answers: list[str] = []
        self.failures: list[str] = []
        self.slowest = 0.0
        self.done = threading.Event()
        self.threads = [threading.Thread(target=self.client, args=(True,)) for _ in range(kept)]
        self.threads += [threading.Thread(target=self.client, args=(False,)) for _ in range(fresh)]

    def __enter__(self) -> Self:
        for thread in self.threads:
            thread.start()
        self.wait_for_any(50)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.done.set()
        for thread in self.threads:
            thread.join()

    def client(self, keep: bool) -> None:  # noqa: FBT001  an argument of a thread
        connection = self.rig.connect()
        while not self.done.is_set():
            begun = time.monotonic()
            try:
                connection.request("POST", "/v2/models/delays/infer", INFER, HEADERS)
                answer = connection.getresponse()
                body = json.loads(answer.read())
            except (OSError, http.client.HTTPException) as error:
                self.failures.append(f"{type(error).__name__}: {error}")
                connection.close()
                continue
            self.slowest = max(self.slowest, time.monotonic() - begun)
            self.judge(answer.status, body)
            if not keep:
                connection.close()
        connection.close()

    def judge(self, status: int, body: dict[str, Any]) -> None:
        outputs = {one["name"]: one["data"] for one in body.get("outputs", ())}
        if status == 200 and outputs == {"version": [body["model_version"]], "double": [3.0]}:
            self.answers.append(body["model_version"])
        else:
            self.failures.append(f"{status}: {body}")

    def wait_for_any(self, count: int) -> None:
        self.wait(lambda since: len(since) >= count)

    def wait_for(self, *versions: str, count: int = 100) -> None:
        self.wait(lambda since: min(Counter(since)[version] for version in versions) >= count)

    def wait(self, enough: Callable[[list[str]], bool]) -> None:
        start, deadline = len(self.answers), time.monotonic() + 60
        while not enough(self.answers[start:]):
            assert time.monotonic() < deadline, (Counter(self.answers[start:]), self.failures[-3:])
            time.sleep(0.005)


INFER = json.dumps(
    {
        "inputs": [
            {"name": "x", "shape": [1], "datatype": "FP64", "data": [1.5]},
            {"name": "carrier", "shape": [1], "datatype": "BYTES", "data": ["UA"]},
        ]
    }
)


def routes(*weights: tuple[str, float]) -> tuple[Variant, ...]:
    return tuple(Variant(f"v-{version}", version, weight) for version, weight in weights)


def test_no_request_of_thousands_fails_while_versions_switch(rig: Any) -> None:
    rig.serve("1.0.0")
    with Load(rig) as load:
        for number in range(2, 5):
            before, after = f"{number - 1}.0.0", f"{number}.0.0"
            rig.load(after)
            rig.route((before, 0.5), (after, 0.5))
            load.wait_for(before, after)
            revision = rig.route((after, 1.0))
            start = len(load.answers)
            load.wait_for(after, count=200)
            assert load.answers[start:].count(before) <= len(load.threads), "after the acknowledgement only answers on their way are old"
            rig.deployer.set_routes(rig.endpoint, routes((before, 1.0)), None, revision)
            load.wait_for(before)
            rig.route((after, 1.0))
            rig.deployer.unload(rig.endpoint, before)
            load.wait_for(after)

    assert load.failures == []
    assert len(load.answers) > 2000


def test_a_version_that_kills_its_process_harms_nobody(rig: Any) -> None:
    rig.serve("1.0.0")
    with Load(rig) as load:
        with pytest.raises(DeploymentError, match="the serving process ended while it loaded"):
            rig.deployer.load(rig.endpoint, rig.version("2.0.0", fault="crash"), rig.context)
        load.wait_for("1.0.0")

    assert load.failures == []
    assert rig.deployer.observe(rig.endpoint).loaded == ("1.0.0",)


def test_a_load_that_takes_too_long_is_ended(rig: Any) -> None:
    rig.serve("1.0.0")
    rig.context.timeout = 1.5
    with pytest.raises(DeploymentError, match="no answer within"):
        rig.deployer.load(rig.endpoint, rig.version("2.0.0", load_time=60), rig.context)

    assert rig.ask(rig.endpoint) == "1.0.0"
    assert len(rig.processes()) == 2


def test_a_version_that_cannot_predict_is_unhealthy(rig: Any) -> None:
    rig.deployer.load(rig.endpoint, rig.version("1.0.0", fault="predict"), rig.context)
    health = rig.deployer.health(rig.endpoint, "1.0.0")

    assert health.status == "unhealthy"
    assert health.detail == "it fails on a made-up row: ValueError: this model never works and says so in two lines"


def test_a_killed_worker_is_replaced_and_new_connections_wait_for_it(rig: Any) -> None:
    rig.serve("1.0.0")
    before = rig.processes()
    os.kill(before[1][0], signal.SIGKILL)

    assert [rig.ask(rig.endpoint) for _ in range(20)] == ["1.0.0"] * 20
    assert rig.processes()[0] == before[0]
    assert rig.processes()[1] != before[1]


def test_a_model_that_kills_its_process_comes_back(rig: Any) -> None:
    rig.serve("1.0.0")
    with pytest.raises((OSError, http.client.HTTPException)):
        rig.post("/invocations", {"inputs": {"x": [-2.0], "carrier": ["UA"]}})

    assert rig.ask(rig.endpoint) == "1.0.0"


def test_without_its_supervisor_the_server_goes_on_and_the_next_call_brings_one(rig: Any) -> None:
    rig.serve("1.0.0")
    address, before = rig.address, rig.processes()
    os.kill(before[0][0], signal.SIGKILL)
    with Load(rig, fresh=0) as load:  # a connection that is being opened while the old listener closes may be reset
        load.wait_for("1.0.0")
        assert rig.again().observe(rig.endpoint).detail == {"server": "down"}
        rig.load("2.0.0")
        assert rig.route(("2.0.0", 1.0)) == 2
        load.wait_for("2.0.0")

    assert load.failures == []
    assert rig.address == address
    assert [process for process in before if is_alive(process)] == []


def test_after_everything_was_killed_the_next_call_starts_it_again(rig: Any) -> None:
    rig.serve("1.0.0")
    address = rig.address
    os.killpg(rig.processes()[0][0], signal.SIGKILL)
    rig.load("1.0.0")

    assert rig.address == address
    assert rig.ask(rig.endpoint) == "1.0.0"
    assert rig.deployer.observe(rig.endpoint).revision == 1


def test_a_routed_version_that_no_longer_loads_is_told_and_others_are_served(rig: Any) -> None:
    rig.serve("1.0.0")
    rig.load("2.0.0")
    rig.route(("1.0.0", 0.5), ("2.0.0", 0.5))
    rig.version("2.0.0", fault="load")
    os.kill(rig.processes()[1][0], signal.SIGKILL)

    asked = [rig.post("/invocations", {"inputs": {"x": [1.0], "carrier": ["UA"]}}) for _ in range(40)]
    assert {status for status, _, _ in asked} == {200, 503}
    assert {answer["error"] for status, answer, _ in asked if status == 503} == {"model delays: version 2.0.0 is not loaded"}
    assert rig.get("/v2/health/ready")[0] == 503


def test_two_processes_serve_and_switch_together(make_rig: Any) -> None:
    rig = make_rig(workers=2)
    rig.serve("1.0.0")
    assert len(rig.processes()) == 3
    with Load(rig) as load:
        rig.load("2.0.0")
        rig.route(("2.0.0", 1.0))
        load.wait_for("2.0.0")

    assert load.failures == []


def test_a_silent_connection_is_closed_after_a_second_of_a_switch_and_not_before(rig: Any) -> None:
    rig.serve("1.0.0")
    silent = rig.connect()
    silent.request("POST", "/v2/models/delays/infer", INFER, HEADERS)
    assert silent.getresponse().read()
    rig.load("2.0.0")
    silent.request("POST", "/v2/models/delays/infer", INFER, HEADERS)
    answer = silent.getresponse()

    assert answer.status == 200
    assert answer.headers["connection"] == "close"
    silent.close()


def test_a_server_shut_down_leaves_nothing(rig: Any) -> None:
    rig.serve("1.0.0")
    address, processes = rig.address, rig.processes()
    rig.deployer.shutdown()

    assert [process for process in processes if is_alive(process)] == []
    assert not (rig.context.workdir / "server" / "server.json").exists()
    with pytest.raises(ConnectionRefusedError):
        http.client.HTTPConnection(*address).connect()
    assert rig.deployer.observe(rig.endpoint).detail == {"server": "stopped"}


def test_a_stale_file_never_ends_a_stranger(rig: Any) -> None:
    """The number of a dead supervisor may belong to another program by now."""
    rig.serve("1.0.0")
    folder = rig.context.workdir / "server"
    written = json.loads((folder / "server.json").read_text())
    rig.deployer.shutdown()
    stranger = os.getpid()
    stale = {**written, "pid": stranger, "workers": [[stranger, "another start"]]}
    (folder / "server.json").write_text(json.dumps(stale))
    rig.again().shutdown()
    rig.serve("1.0.0")

    assert rig.ask(rig.endpoint) == "1.0.0"


def test_a_taken_port_is_one_line(make_rig: Any) -> None:
    first = make_rig()
    first.serve("1.0.0")
    second = make_rig(port=first.address[1])

    with pytest.raises(DeploymentError, match=r"port \d+ of 127.0.0.1 cannot be taken \(Address already in use\)"):
        second.serve("1.0.0")
    assert first.ask(first.endpoint) == "1.0.0"
