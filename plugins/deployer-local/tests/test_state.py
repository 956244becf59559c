"""The files and processes of a server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from mlops_deployer_local.channel import RefusalError
from mlops_deployer_local.process import end_all, is_alive, started
from mlops_deployer_local.state import EndpointRoutes, ServerState, read_json, write_json

if TYPE_CHECKING:
    from pathlib import Path

ROUTE = {"name": "1-a", "version": "a", "weight": 1.0}


def test_the_state_survives_its_file(tmp_path: Path) -> None:
    state = ServerState(port=8801)
    state.endpoints["acme/delays"] = EndpointRoutes(3, [ROUTE], None, [], ["a", "b"], {"3": 1})
    write_json(tmp_path / "state.json", state.plain())

    assert ServerState.read(tmp_path / "state.json") == state
    assert state.versions() == [("acme/delays", "a"), ("acme/delays", "b")]
    assert (tmp_path / "state.json").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["state.json"]


def test_a_file_of_the_first_format_is_read(tmp_path: Path) -> None:
    plain = ServerState(endpoints={"acme/delays": EndpointRoutes(3, [ROUTE], None, [], ["a"])}).plain()
    del plain["endpoints"]["acme/delays"]["crashes"]
    write_json(tmp_path / "state.json", {**plain, "format": 1})

    assert ServerState.read(tmp_path / "state.json").endpoint("acme/delays") == EndpointRoutes(3, [ROUTE], None, [], ["a"])


def test_crashes_are_counted_for_what_takes_requests_and_old_ones_forgotten() -> None:
    state = ServerState()
    state.route("acme/delays", EndpointRoutes(1, [ROUTE]))
    state.endpoint("acme/idle")
    state.crash()
    state.crash()
    assert state.endpoint("acme/delays").crashes == {"1": 2}
    assert state.endpoint("acme/idle").crashes == {}
    state.route("globex/delays", EndpointRoutes(7, [ROUTE]))
    state.crash({"globex/delays", "acme/idle"})
    assert (state.endpoint("acme/delays").crashes, state.endpoint("globex/delays").crashes) == ({"1": 2}, {"7": 1})
    assert state.crashed == 3
    for revision in range(2, 100):
        state.route("acme/delays", EndpointRoutes(revision, [ROUTE]))
        state.crash()
    assert list(state.endpoint("acme/delays").crashes) == [str(revision) for revision in range(36, 100)]


def test_no_file_is_an_empty_state(tmp_path: Path) -> None:
    assert ServerState.read(tmp_path / "state.json") == ServerState()


@pytest.mark.parametrize(
    ("text", "said"),
    [('{"format": 3}', "format 3 is not known to this release"), ("[]", "not a JSON mapping"), ("{", "Expecting property name")],
)
def test_a_file_that_is_not_ours_is_refused(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "state.json").write_text(text)
    with pytest.raises(ValueError, match=said):
        ServerState.read(tmp_path / "state.json")


def test_what_is_routed_is_not_forgotten() -> None:
    state = ServerState()
    state.endpoints["acme/delays"] = EndpointRoutes(1, [ROUTE], "c", [], ["a", "b", "c"])
    state.unload("acme/delays", "b")
    state.unload("acme/delays", "z")
    assert state.endpoint("acme/delays").loaded == ["a", "c"]
    for version in ("a", "c"):
        with pytest.raises(RefusalError, match=f"version {version} is routed"):
            state.unload("acme/delays", version)


def test_a_process_is_known_by_number_and_start() -> None:
    own = started(os.getpid())
    assert own is not None
    assert is_alive((os.getpid(), own))
    assert not is_alive((os.getpid(), "another start"))
    assert started(2**22 + 1) is None


def test_processes_are_asked_then_ended_and_never_a_stranger() -> None:
    program = "import signal, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(60)"
    deaf = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
    quick = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    with deaf, quick:
        assert deaf.stdout is not None
        deaf.stdout.readline()
        known = [(process.pid, started(process.pid) or "") for process in (deaf, quick)]
        stranger = (os.getpid(), "another start")
        assert end_all([*known, stranger], 0.5) == []
        assert [process.wait() for process in (deaf, quick)] == [-9, -15]


def test_a_file_is_replaced_in_one_step(tmp_path: Path) -> None:
    path = tmp_path / "server.json"
    write_json(path, {"a": 1})
    write_json(path, {"b": 2})
    assert read_json(path) == json.loads(path.read_text()) == {"b": 2}
