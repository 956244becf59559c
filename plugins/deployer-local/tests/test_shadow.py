"""A shadow in serving processes: slow, failing or hanging, no client notices."""

from __future__ import annotations

import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from mlops_core.records import SeriesKey
from mlops_deployer_local.bodies import INVOCATIONS
from mlops_deployer_local.process import is_alive
from mlops_deployer_local.shadow import Shadow

from .conftest import scripted

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_PATIENCE = 30.0


def until(found: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _PATIENCE
    while not found():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def shadow(rig: Any, **script: Any) -> None:
    rig.serve("1.0.0")
    rig.deployer.load(rig.endpoint, rig.version("2.0.0", **script), rig.context)
    rig.route(("1.0.0", 1.0), shadow="2.0.0")


def test_one_that_hangs_costs_its_copies_only(rig: Any) -> None:
    shadow(rig, delay=3600)
    begun = time.monotonic()
    assert {rig.ask(rig.endpoint) for _ in range(130)} == {"1.0.0"}
    until(lambda: rig.shadowed("2.0.0").dropped >= 29)  # 100 wait, and one or none has begun

    assert time.monotonic() - begun < _PATIENCE
    assert rig.get("/v2/health/ready", x_mlops_tenant="acme")[0] == 200
    rig.route(("1.0.0", 1.0))
    until(lambda: rig.shadowed("2.0.0").dropped >= 129)  # those that waited are told as well
    processes = rig.processes()
    begun = time.monotonic()
    rig.deployer.shutdown()
    assert time.monotonic() - begun < 10
    assert not any(map(is_alive, processes))


def test_it_is_counted_under_its_version_and_revision_with_what_its_schema_says(rig: Any) -> None:
    shadow(rig, column="distance")
    rig.ask(rig.endpoint)
    until(lambda: rig.shadowed("2.0.0").errors == 1)

    told = [line[3:] for line in rig.records()]
    assert ["1.0.0", 2, True, None] in told
    assert ["2.0.0", 2, False, "BadRequestError"] in told
    assert rig.records(".failures")[0][1:] == [[], "BadRequestError"]


def test_a_client_s_mistake_is_no_copy(rig: Any) -> None:
    shadow(rig)
    status, _, _ = rig.post("/endpoints/delays/invocations", {"inputs": {"x": ["much"]}}, x_mlops_tenant="acme")
    rig.ask(rig.endpoint)
    until(lambda: rig.shadowed("2.0.0").total == 1)
    assert (status, rig.shadowed("2.0.0").errors) == (422, 0)


def test_it_gets_what_the_live_version_fails_at(rig: Any) -> None:
    shadow(rig)
    body = {"inputs": {"x": [-1.0], "carrier": ["UA"]}}
    assert rig.post("/endpoints/delays/invocations", body, x_mlops_tenant="acme")[0] == 500
    until(lambda: rig.shadowed("2.0.0").errors == 1)


@pytest.mark.parametrize("how", ["crash", "restart"])
def test_it_is_there_again_after_a_crash_and_after_a_restart(rig: Any, how: str) -> None:
    shadow(rig)
    if how == "crash":
        body = {"inputs": {"x": [-2.0], "carrier": ["UA"]}}
        with pytest.raises(OSError, match=r"."):
            rig.post("/endpoints/delays/invocations", body, x_mlops_tenant="acme")
        until(lambda: len(rig.processes()) == 2 and all(map(is_alive, rig.processes())))
    else:
        rig.deployer.shutdown()
        rig.load("1.0.0")
    before = rig.shadowed("2.0.0").total
    rig.ask(rig.endpoint)
    until(lambda: rig.shadowed("2.0.0").total == before + 1)
    assert rig.deployer.observe(rig.endpoint).shadow == "2.0.0"


def test_its_metadata_is_not_served(rig: Any) -> None:
    shadow(rig)
    assert rig.get("/v2/models/delays/versions/2.0.0", x_mlops_tenant="acme")[0] == 404


def test_one_that_computes_gives_the_interpreter_back_soon(tmp_path: Path) -> None:
    before, done = sys.getswitchinterval(), threading.Event()

    def run(columns: Any) -> Any:
        done.set()
        raise ValueError("it was asked, and that is all")

    version = scripted().make_version("2.0.0")
    shadow = Shadow(version, run, scripted().Silent(tmp_path / "records", None, 1))
    try:
        shadow.offer(INVOCATIONS, {"inputs": {"x": [1.0], "carrier": ["UA"]}}, "p1", 40)
        assert done.wait(_PATIENCE)
        assert sys.getswitchinterval() <= 0.0005
    finally:
        sys.setswitchinterval(before)
        shadow.close()


def test_one_that_ends_its_thread_is_counted_and_goes_on(tmp_path: Path) -> None:
    def run(columns: Any) -> Any:
        raise SystemExit(f"out, at {columns['x'][0]}")

    path = tmp_path / "records.jsonl"
    shadow = Shadow(scripted().make_version("2.0.0"), run, scripted().Lines(path, SeriesKey("acme", "staging", "delays", "2.0.0"), 1))
    for at in range(2):
        shadow.offer(INVOCATIONS, {"inputs": {"x": [float(at)], "carrier": ["UA"]}}, f"p{at}", 40)
    until(lambda: path.exists() and path.read_text().count("\n") == 2)
    assert path.read_text().count('false, "SystemExit"') == 2
    shadow.close()


def test_what_waits_is_bounded_in_bytes_too_but_one_is_always_taken(tmp_path: Path) -> None:
    go_on = threading.Event()

    def run(columns: Any) -> Any:
        assert go_on.wait(_PATIENCE)
        raise ValueError(f"it was asked for {len(columns)} columns, and that is all")

    path = tmp_path / "records.jsonl"
    shadow = Shadow(scripted().make_version("2.0.0"), run, scripted().Lines(path, SeriesKey("acme", "staging", "delays", "2.0.0"), 1))
    body, dropped = {"inputs": {"x": [1.0], "carrier": ["UA"]}}, path.with_suffix(".dropped")
    for number, size in enumerate((10 << 20, 6 << 20, 1)):
        shadow.offer(INVOCATIONS, body, f"p{number}", size)
    assert dropped.read_text().count("\n") == 1, "16 MB are held by one that has begun and one that waits"
    go_on.set()
    until(lambda: path.exists() and path.read_text().count("\n") == 2)
    until(lambda: shadow._given == shadow._done)  # noqa: SLF001  what it holds is told nowhere else
    shadow.offer(INVOCATIONS, body, "p3", 100 << 20)
    until(lambda: path.read_text().count("\n") == 3)
    assert dropped.read_text().count("\n") == 1
    shadow.close()


def test_every_process_gives_its_copies(make_rig: Any) -> None:
    rig = make_rig(workers=2)
    shadow(rig)
    for _ in range(60):  # each request comes by a connection of its own, to either process
        rig.ask(rig.endpoint)
    until(lambda: rig.shadowed("2.0.0").total == 60)
    assert rig.shadowed("2.0.0").dropped == 0
