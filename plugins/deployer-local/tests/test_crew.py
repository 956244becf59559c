"""Serving processes that die, lack a version, or were started before the configuration changed."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from mlops_core.exceptions import DeploymentError
from mlops_core.records import EndpointKey
from mlops_deployer_local.process import is_alive, started

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mlops_deployer_local.process import Process

GLOBEX = EndpointKey("globex", "staging", "scoring")
BODY = {"inputs": {"x": [1.0], "carrier": ["UA"]}}


def wait(met: Callable[[], Any]) -> Any:
    """What this answers once it is not empty."""
    deadline = time.monotonic() + 60
    while not (found := met()):
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.01)
    return found


def at_gate(rig: Any, gate: str) -> int:
    """The process that waits at this gate while it loads."""
    folder: Path = rig.folder
    return int(wait(lambda: [path.name.rpartition("-")[2] for path in folder.glob(f"{gate}-*")])[0])


def kill(rig: Any) -> None:
    os.kill(rig.processes()[1][0], signal.SIGKILL)


def load_in_thread(rig: Any, name: str, **script: Any) -> threading.Thread:
    version = rig.version(name, **script)
    thread = threading.Thread(target=rig.deployer.load, args=(rig.endpoint, version, rig.context))
    thread.start()
    return thread


# --- processes that die


def test_a_model_that_exits_while_it_loads_or_warms_up_ends_no_process(rig: Any) -> None:
    rig.serve("1.0.0")
    with pytest.raises(DeploymentError, match=r"delays 2\.0\.0: SystemExit: enough of this$"):
        rig.deployer.load(rig.endpoint, rig.version("2.0.0", exits="load"), rig.context)
    rig.deployer.load(rig.endpoint, rig.version("3.0.0", exits="predict"), rig.context)
    health = rig.deployer.health(rig.endpoint, "3.0.0")

    assert (health.status, health.detail) == ("unhealthy", "it fails on a made-up row: SystemExit: enough of this")
    assert rig.ask(rig.endpoint) == "1.0.0"
    assert "crashes" not in rig.deployer.observe(rig.endpoint).detail


def test_a_process_that_dies_during_a_load_is_replaced_meanwhile(rig: Any) -> None:
    rig.serve("1.0.0")
    loading = load_in_thread(rig, "2.0.0", gate="second")
    at_gate(rig, "second")
    kill(rig)

    assert rig.ask(rig.endpoint) == "1.0.0"
    assert loading.is_alive()
    (rig.folder / "second").touch()
    loading.join()
    rig.route(("2.0.0", 1.0))
    assert {rig.ask(rig.endpoint) for _ in range(20)} == {"2.0.0"}


def test_a_replacement_that_comes_after_a_load_does_not_join(rig: Any) -> None:
    rig.serve("1.0.0")
    loading = load_in_thread(rig, "2.0.0", gate="second")
    at_gate(rig, "second")
    rig.version("1.0.0", gate="first")
    kill(rig)
    late = at_gate(rig, "first")
    late_process = (late, started(late) or "")
    (rig.folder / "second").touch()
    loading.join()
    rig.route(("2.0.0", 1.0))
    (rig.folder / "first").touch()
    wait(lambda: not is_alive(late_process))

    assert len(rig.processes()) == 2
    assert rig.deployer.health(rig.endpoint, "2.0.0").status == "healthy"
    assert Counter(rig.ask(rig.endpoint) for _ in range(40)) == {"2.0.0": 40}


def test_a_load_leaves_nothing_behind_when_the_server_is_shut_down_meanwhile(rig: Any) -> None:
    rig.serve("1.0.0")
    busy = rig.connect()
    busy.request("POST", "/invocations", json.dumps({"inputs": {"x": [-3.0], "carrier": ["UA"]}}), {"Content-Type": "application/json"})
    wait((rig.folder / "begun").exists)
    with ThreadPoolExecutor() as pool:
        loading = pool.submit(rig.deployer.load, rig.endpoint, rig.version("2.0.0", gate="second"), rig.context)
        fresh = at_gate(rig, "second")
        process = (fresh, started(fresh) or "")
        ending = pool.submit(rig.again().shutdown)
        wait(lambda: stopped(rig))
        (rig.folder / "second").touch()
        wait(lambda: not is_alive(process))
        (rig.folder / "go-on").touch()
        assert busy.getresponse().status == 200
        ending.result()
        with pytest.raises(DeploymentError):
            loading.result()
    busy.close()


def stopped(rig: Any) -> bool:
    """Whether the supervisor has heard that it is to end."""
    return bool(json.loads((rig.context.workdir / "server" / "state.json").read_text())["stopped"])


def test_a_replacement_that_lacks_a_version_says_so_and_the_next_load_brings_it(rig: Any) -> None:
    rig.serve("1.0.0")
    rig.load("2.0.0")
    rig.version("2.0.0", fault="load")
    kill(rig)

    assert rig.ask(rig.endpoint) == "1.0.0"
    assert rig.deployer.observe(rig.endpoint).loaded == ("1.0.0",)
    with pytest.raises(DeploymentError, match=r"version 2\.0\.0 is not loaded - load it before it is routed"):
        rig.route(("2.0.0", 1.0))
    rig.load("2.0.0")
    rig.route(("2.0.0", 1.0))
    assert rig.ask(rig.endpoint) == "2.0.0"


def test_a_routed_version_that_was_lost_takes_no_more_requests(rig: Any) -> None:
    rig.serve("1.0.0")
    rig.load("2.0.0")
    rig.route(("1.0.0", 0.5), ("2.0.0", 0.5))
    rig.version("2.0.0", fault="load")
    kill(rig)
    wait(lambda: rig.get("/v2/health/ready")[0] == 503)

    with pytest.raises(DeploymentError, match=r"version 2\.0\.0 is not loaded"):
        rig.route(("2.0.0", 1.0))
    rig.route(("1.0.0", 1.0))
    assert rig.get("/v2/health/ready")[0] == 200
    assert {rig.ask(rig.endpoint) for _ in range(20)} == {"1.0.0"}


def crash(rig: Any, endpoint: EndpointKey) -> None:
    """Have a model end its process."""
    with pytest.raises((OSError, http.client.HTTPException)):
        rig.post(f"/endpoints/{endpoint.model}/invocations", {"inputs": {"x": [-2.0], "carrier": ["UA"]}}, x_mlops_tenant=endpoint.tenant)


def test_processes_that_died_are_counted_by_the_revision_that_was_routed(rig: Any) -> None:
    rig.serve("1.0.0")
    rig.load("2.0.0")
    rig.load("2.0.0", endpoint=GLOBEX)
    assert "crashes" not in rig.deployer.observe(rig.endpoint).detail
    crash(rig, rig.endpoint)
    assert rig.ask(rig.endpoint) == "1.0.0"
    rig.route(("1.0.0", 0.5), ("2.0.0", 0.5))
    for _ in range(2):
        crash(rig, rig.endpoint)
        rig.ask(rig.endpoint)

    assert rig.again().observe(rig.endpoint).detail["crashes"] == {"1": 1, "2": 2}
    assert "crashes" not in rig.deployer.observe(GLOBEX).detail, "it took no requests"
    rig.load("3.0.0")
    rig.route(("3.0.0", 1.0))
    rig.deployer.shutdown()
    rig.load("3.0.0")
    assert rig.again().observe(rig.endpoint).detail["crashes"] == {"1": 1, "2": 2}, "a process that ends as it is told is no crash"


def test_a_process_that_died_counts_against_those_whose_requests_it_held(rig: Any) -> None:
    """Of two tenants the one whose model ended it; both, where it was ended and held nothing."""
    rig.serve("1.0.0")
    rig.load("1.0.0", endpoint=GLOBEX)
    rig.route(("1.0.0", 1.0), endpoint=GLOBEX)
    crash(rig, GLOBEX)
    assert wait(lambda: rig.deployer.observe(GLOBEX).detail.get("crashes")) == {"1": 1}
    assert "crashes" not in rig.deployer.observe(rig.endpoint).detail
    assert rig.ask(GLOBEX) == rig.ask(rig.endpoint) == "1.0.0"
    os.kill(rig.processes()[1][0], signal.SIGKILL)
    assert wait(lambda: rig.deployer.observe(rig.endpoint).detail.get("crashes")) == {"1": 1}
    assert rig.deployer.observe(GLOBEX).detail["crashes"] == {"1": 2}


def test_a_process_that_a_shadow_ended_counts_against_its_endpoint(rig: Any) -> None:
    rig.serve("1.0.0")
    rig.load("1.0.0", endpoint=GLOBEX)
    rig.route(("1.0.0", 1.0), endpoint=GLOBEX)
    rig.deployer.load(rig.endpoint, rig.version("2.0.0", fatal=True), rig.context)
    rig.route(("1.0.0", 1.0), shadow="2.0.0")
    rig.ask(rig.endpoint)
    assert wait(lambda: rig.deployer.observe(rig.endpoint).detail.get("crashes")) == {"2": 1}
    assert "crashes" not in rig.deployer.observe(GLOBEX).detail


def test_a_process_that_dies_on_its_way_out_is_counted(rig: Any) -> None:
    rig.serve("1.0.0")
    leaving, client = rig.processes()[1], rig.connect()
    body = json.dumps({"inputs": {"x": [-3.0], "carrier": ["UA"]}})
    client.request("POST", "/invocations", body, {"Content-Type": "application/json"})
    wait((rig.folder / "begun").exists)
    rig.load("2.0.0")
    os.kill(leaving[0], signal.SIGKILL)

    with pytest.raises(http.client.RemoteDisconnected):
        client.getresponse()
    client.close()
    assert wait(lambda: rig.deployer.observe(rig.endpoint).detail.get("crashes")) == {"1": 1}


# --- a process that is started ahead


def ahead(rig: Any, supervisor: Process) -> Process:
    """The supervisor's child that is on no list, once there is one."""

    def found() -> list[int]:
        told = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
        children = {int(pid) for pid, parent in map(str.split, told.splitlines()) if int(parent) == supervisor[0]}
        return sorted(pid for pid in children - {pid for pid, _ in rig.processes()} if started(pid))

    [pid] = wait(found)
    return pid, started(pid) or ""


def test_a_process_that_dies_is_replaced_by_the_one_that_was_started_ahead(rig: Any) -> None:
    rig.serve("1.0.0")
    supervisor = rig.processes()[0]
    for _ in range(2):
        spare = ahead(rig, supervisor)
        kill(rig)

        assert rig.ask(rig.endpoint) == "1.0.0"
        assert rig.processes() == [supervisor, spare]


def test_one_that_died_before_it_was_needed_is_missed_by_nobody(rig: Any) -> None:
    rig.serve("1.0.0")
    spare = ahead(rig, rig.processes()[0])
    os.kill(spare[0], signal.SIGKILL)
    wait(lambda: not is_alive(spare))
    kill(rig)

    assert rig.ask(rig.endpoint) == "1.0.0"
    assert spare not in rig.processes()


def test_what_was_started_ahead_is_run_as_the_newest_load_says(rig: Any) -> None:
    rig.serve("1.0.0")
    supervisor = rig.processes()[0]
    old = ahead(rig, supervisor)
    rig.configure(body_limit=10)
    rig.load("1.0.0")
    wait(lambda: not is_alive(old))
    spare = ahead(rig, supervisor)
    kill(rig)
    wait(lambda: rig.processes() == [supervisor, spare])

    assert rig.post("/invocations", BODY)[0] == 413


@pytest.mark.parametrize("manner", ["shutdown", "kill"])
def test_what_was_started_ahead_ends_with_its_server(rig: Any, manner: str) -> None:
    rig.serve("1.0.0")
    supervisor = rig.processes()[0]
    spare = ahead(rig, supervisor)
    if manner == "shutdown":
        rig.deployer.shutdown()
        assert not is_alive(spare)
    else:
        os.kill(supervisor[0], signal.SIGKILL)
        wait(lambda: not is_alive(spare))
        assert rig.ask(rig.endpoint) == "1.0.0"


# --- a process that hangs


def test_a_process_that_hangs_keeps_no_other_from_following_new_routes(make_rig: Any) -> None:
    rig = make_rig(workers=2)
    rig.serve("1.0.0")
    rig.load("2.0.0")
    hanging = rig.processes()[1][0]
    os.kill(hanging, signal.SIGSTOP)
    with ThreadPoolExecutor() as pool:
        routing = pool.submit(rig.route, ("2.0.0", 1.0))
        wait(lambda: rig.ask(rig.endpoint) == "2.0.0")

        assert not routing.done(), "the other one answers by the new routes before it is given up"
        os.kill(hanging, signal.SIGKILL)
        assert routing.result() == 2


# --- a version that no longer loads


def test_another_version_that_no_longer_loads_blocks_no_load(rig: Any) -> None:
    rig.serve("1.0.0")
    rig.load("2.0.0")
    rig.version("2.0.0", fault="load")
    rig.load("3.0.0", endpoint=GLOBEX)

    assert rig.deployer.observe(rig.endpoint).loaded == ("1.0.0",)
    assert rig.deployer.observe(GLOBEX).loaded == ("3.0.0",)
    assert rig.ask(rig.endpoint) == "1.0.0"


def test_a_version_that_serves_and_no_longer_loads_goes_on_and_blocks_no_load(rig: Any) -> None:
    rig.serve("1.0.0")
    before = rig.processes()
    rig.version("1.0.0", fault="load")
    rig.load("2.0.0", endpoint=GLOBEX)
    rig.route(("2.0.0", 1.0), endpoint=GLOBEX)

    assert rig.ask(GLOBEX) == "2.0.0"
    assert rig.ask(rig.endpoint) == "1.0.0"
    assert rig.processes() == before
    with pytest.raises(DeploymentError, match="does not match its sha256"):
        rig.deployer.load(GLOBEX, rig.version("3.0.0", fault="load"), rig.context)
    assert rig.deployer.observe(GLOBEX).loaded == ("2.0.0",)


def test_readiness_is_that_of_the_callers_models(rig: Any) -> None:
    rig.serve("1.0.0")
    rig.load("2.0.0", endpoint=GLOBEX)
    rig.route(("2.0.0", 1.0), endpoint=GLOBEX)
    rig.version("1.0.0", fault="load")
    kill(rig)

    status, answer, _ = wait(lambda: [found for found in [rig.get("/v2/health/ready")] if found[0] == 503])[0]
    assert (status, answer) == (503, {"ready": False, "error": "delays: version 1.0.0 is not loaded"})
    assert rig.get("/v2/health/ready", x_mlops_tenant="globex")[:2] == (200, {"ready": True})
    assert rig.ask(GLOBEX) == "2.0.0"


def test_a_load_beside_what_answers_holds_up_no_change_of_routes(rig: Any) -> None:
    rig.serve("1.0.0")
    rig.load("2.0.0")
    rig.version("1.0.0", fault="load")
    with ThreadPoolExecutor() as pool:
        loading = pool.submit(rig.deployer.load, GLOBEX, rig.version("3.0.0", gate="fresh"), rig.context)
        at_gate(rig, "fresh")
        rig.version("3.0.0", gate="beside")
        (rig.folder / "fresh").touch()
        assert at_gate(rig, "beside") == rig.processes()[1][0]
        try:
            assert pool.submit(rig.route, ("2.0.0", 1.0)).result(30) == 2
            assert rig.ask(rig.endpoint) == "2.0.0"
            rig.deployer.unload(rig.endpoint, "1.0.0")
            assert not loading.done()
        finally:
            (rig.folder / "beside").touch()
        loading.result()
    rig.route(("3.0.0", 1.0), endpoint=GLOBEX)
    assert (rig.ask(GLOBEX), rig.ask(rig.endpoint)) == ("3.0.0", "2.0.0")


# --- a configuration that changes


def test_a_load_brings_the_configuration_of_whoever_asks(rig: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    rig.serve("1.0.0")
    supervisor = rig.processes()[0]
    monkeypatch.setenv("SCRIPTED_TENANT", "globex")
    rig.configure(body_limit=60, workers=2)
    rig.load("2.0.0")

    assert rig.post("/invocations", BODY)[0] == 404, "requests belong to another tenant where they do not say to whom"
    large = {"inputs": {"x": [1.0] * 40, "carrier": ["UA"] * 40}}
    assert rig.post("/invocations", large, x_mlops_tenant="acme")[0] == 413
    wait(lambda: len(rig.processes()) == 3)
    before = rig.processes()
    assert before[0] == supervisor
    kill(rig)
    wait(lambda: before[1] not in (now := rig.processes()) and len(now) == 3)
    assert {rig.post("/invocations", BODY)[0] for _ in range(20)} == {404}, "so it is with a process that replaces one"


def test_a_loaded_version_is_loaded_again_when_the_configuration_has_changed(rig: Any) -> None:
    rig.serve("1.0.0")
    before = rig.processes()
    rig.load("1.0.0")
    assert rig.processes() == before
    rig.configure(body_limit=10)
    rig.load("1.0.0")

    assert rig.post("/invocations", BODY)[0] == 413
    assert rig.deployer.observe(rig.endpoint).loaded == ("1.0.0",)


def test_a_configuration_that_serves_nothing_is_refused_and_changes_nothing(rig: Any) -> None:
    rig.serve("1.0.0")
    rig.context.configure({"threads": 0})
    with pytest.raises(DeploymentError, match="the serving process ended while it loaded"):
        rig.load("2.0.0")
    kill(rig)

    assert rig.ask(rig.endpoint) == "1.0.0"


def test_a_changed_configuration_waits_for_a_version_that_serves_and_no_longer_loads(rig: Any) -> None:
    rig.serve("1.0.0")
    rig.version("1.0.0", fault="load")
    rig.configure(body_limit=10)

    with pytest.raises(DeploymentError, match="the configuration has changed, and a version that takes requests no longer loads with it"):
        rig.load("2.0.0", endpoint=GLOBEX)
    assert rig.ask(rig.endpoint) == "1.0.0"


def test_an_address_that_changed_is_told_and_taken_by_the_next_start(rig: Any) -> None:
    rig.serve("1.0.0")
    before = rig.address[1]
    rig.configure(port=before)
    rig.load("1.0.0")
    rig.configure(port=before + 1 if before < 65535 else before - 1)
    said = rf"the server listens on 127\.0\.0\.1, port {before}, and the configuration says 127\.0\.0\.1, port \d+ - end it with "
    with pytest.raises(DeploymentError, match=said):
        rig.load("2.0.0")
    assert rig.ask(rig.endpoint) == "1.0.0"
    rig.configure(host="localhost")
    with pytest.raises(DeploymentError, match="and the configuration says localhost - end it with `mlops deployments shutdown`"):
        rig.load("2.0.0")
    rig.deployer.shutdown()
    rig.load("2.0.0")
    assert rig.ask(rig.endpoint) == "1.0.0"


def test_an_address_that_is_open_by_now_is_refused_before_a_load(rig: Any) -> None:
    rig.serve("1.0.0")
    rig.configure(host="0.0.0.0")  # noqa: S104  that is what is refused
    with pytest.raises(DeploymentError, match=r"host 0\.0\.0\.0 is open to other machines, and no tokens are set"):
        rig.load("2.0.0")
