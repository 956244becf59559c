"""What clients notice while versions are loaded, switched, broken, killed and rolled back.

    python benchmarks/switching.py [switches] [worker] [rollback] [--requests 100000] [--json] [--check] [--small]

A local server with two workers, and clients in a process of their own that keep 4 connections busy. A version is ``y = slope * x``, and its
load sleeps for a second, as that of a large model takes; its slope is its version, so that an answer tells whether it is right. For the
rollbacks in one process it does not sleep.

``switches``: new versions are deployed one after the other, one that raises while it loads, and one whose deploying process is killed by
``kill -9`` amid the load, until so many requests have been sent: how many failed, and the 99th percentile of the latency of those that
were sent while a version loaded, beside that of the others.

``worker``: one of the two workers is killed by ``kill -9``: what its clients see, when another one stands in its place beyond the time that
its load takes, and whether the framework's own client sees anything. Every fourth follows at once upon the one before, when the server has
no process that was started ahead.

``rollback``: from where the call reaches the deployer to the last request that is routed to the version taken back, which its model tells:
it is asked when the version has been chosen, or later. Beside it, from the call to the last answer of that version, which is routed before
it is computed and sent. Across processes and in one, with the registry there and with another process holding it.
``--check`` exits 1 where a goal is missed; ``--small`` tries everything in a minute, and checks nothing.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from _lines import Line, answer, at_most, parser
from _switching_place import CONNECTIONS, LOAD, MEMORY, Clients, Row, project_with, serving
from attrs import evolve

from mlops_core.exceptions import DeploymentError, MLOpsError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mlops_core import Project
    from mlops_core.roles import Deployer

PARTS: Final = ("switches", "worker", "rollback")
SLOWER: Final = 3.0
READY: Final = 2.0  # seconds beside the load
AHEAD: Final = 4.0  # seconds in which the server starts a process for the next death
ACROSS, WITHIN = 1000.0, 5.0  # milliseconds
_REGISTRIES: Final = (("", False), (", the registry down", True))
DISTRIBUTIONS: Final = ("motadata-mlops-core", "motadata-mlops-deployer-local", "uvicorn", "httptools", "orjson")
DEPLOYER: Final = """
import sys
from mlops_core import Project
with Project.open(sys.argv[1]) as project:
    project.deployment.deploy_model("m", sys.argv[2], "production")
"""


def wrongs(rows: Sequence[Row]) -> list[str]:
    """What went wrong, in the order in which it did."""
    return [row.wrong for row in rows if row.wrong]


def slowest(rows: Sequence[Row]) -> float:
    """The 99th percentile of the latency, in milliseconds."""
    return float(np.quantile([row.answered - row.sent for row in rows], 0.99)) * 1000


def switches(place: Path, requests: int) -> list[Line]:
    """The lines of ``switches``."""
    loads, turn = list[tuple[float, float]](), 1
    with serving(place, 100) as (project, port), Clients(port) as clients:
        while turn < 4 or _counted(project) < requests:
            turn += 1
            start = time.monotonic()
            if turn == 2:
                _refused(project)
            elif turn == 3:
                _killed(place, f"{turn}.0.0")
            else:
                project.deployment.deploy_model("m", f"{turn}.0.0", "production")
            loads.append((start, time.monotonic()))
            time.sleep(LOAD)
    rows = clients.rows
    busy = [row for row in rows if any(start <= row.sent <= end for start, end in loads)]
    calm = [row for row in rows if not any(start <= row.answered and row.sent <= end for start, end in loads)]
    failed, answered = wrongs(rows), len({row.version for row in rows})
    told = {"requests": len(rows), "failed": len(failed), "loads": len(loads), "versions": answered}
    words = f"failed, {answered} versions, one that does not load, a deployment that is killed"
    ratio = slowest(busy) / slowest(calm)
    said = f"{slowest(busy):9.2f} ms, else {slowest(calm):9.2f} ms  {ratio:6.2f}x"
    return [
        Line(words, f"{len(failed):9d} of {len(rows)} {failed[:1] or ''}", "0", not failed and answered >= turn - 2, told),
        Line("p99 while a version loads", said, f"<= {SLOWER:g}x", ratio <= SLOWER, {"ratio": ratio}),
    ]


def _counted(project: Project) -> int:
    return project.monitoring.get_metrics("m", timedelta(days=1), environment="production").total_predictions


def _refused(project: Project) -> None:
    try:
        project.deployment.deploy_model("m", "broken", "production")
    except DeploymentError:
        return
    raise SystemExit("switching: a version that does not load was deployed")


def _killed(place: Path, version: str) -> None:
    """The deploying process, amid the load."""
    process = subprocess.Popen([sys.executable, "-c", DEPLOYER, str(place), version])
    time.sleep(2 * LOAD)
    process.send_signal(signal.SIGKILL)
    process.wait()


def worker(place: Path, rounds: int) -> list[Line]:
    """The lines of ``worker``: as many kills."""
    seen, took, again, own = list[Row](), list[float](), list[float](), list[str]()
    with serving(place, 1) as (project, port):
        for number in range(rounds):
            at_once = number % 4 == 3
            time.sleep(0 if at_once else AHEAD)
            with Clients(port) as clients, _asking(project, own):
                _, (victim, _), *_ = _processes(place)
                began = time.monotonic()
                os.kill(victim, signal.SIGKILL)
                while len(now := _processes(place)) < 3 or victim in {pid for pid, _ in now}:
                    time.sleep(0.01)
                (again if at_once else took).append(time.monotonic() - began - LOAD)
                time.sleep(0.5)
            seen += clients.rows
    failed = wrongs(seen)
    resets = [one for one in failed if one.startswith(("ConnectionResetError", "BrokenPipeError", "ConnectionError"))]
    most = rounds * CONNECTIONS
    lines = [
        Line(
            f"failed by reset when a worker is killed, {rounds} times, of {len(seen)} requests",
            f"{len(resets):9d}",
            f"<= {most}",
            len(resets) <= most,
            {"resets": len(resets)},
        ),
        Line("wrong answers and other failures", f"{len(failed) - len(resets):9d} {sorted(set(failed) - set(resets))[:1] or ''}", "0"),
        at_most("another stands in its place, beside the load, the longest", max(took), "s", READY, median=float(np.median(took))),
        *[at_most("the same when none was started ahead, the longest", max(again), "s", median=float(np.median(again))) for _ in again[:1]],
        Line("failures through the framework's client", f"{len(own):9d} {own[:1] or ''}", "0", not own),
    ]
    lines[1] = evolve(lines[1], holds=len(failed) == len(resets), data={"others": len(failed) - len(resets)})
    return lines


def _processes(place: Path) -> list[tuple[int, str]]:
    """The supervisor and the workers, as the supervisor lists them."""
    told = json.loads(next(place.rglob("server.json")).read_text())
    return [(told["pid"], told["started"]), *(tuple(one) for one in told["workers"])]


@contextlib.contextmanager
def _asking(project: Project, failures: list[str]) -> Iterator[None]:
    """Ask by the facade meanwhile."""
    done = threading.Event()

    def ask() -> None:
        while not done.is_set():
            try:
                project.deployment.predict("m", "production", {"x": [1.5]})
            except MLOpsError as error:
                failures.append(error.message)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def rollback(place: Path, rounds: int) -> list[Line]:
    """The lines of ``rollback``."""
    lines = list[Line]()
    with serving(place, 2) as (project, port):
        for words, down in _REGISTRIES:
            took = [_taken_back(place, project, port, down=down) for _ in range(rounds)]
            lines += _told(f"across processes{words}", took, ACROSS)
    with project_with(place / "within", 2, MEMORY, load=0.0) as project:
        for words, down in _REGISTRIES:
            took = [_taken_back_here(place / "within", project, down=down) for _ in range(rounds * 5)]
            lines += _told(f"in one process{words}", took, WITHIN)
    return lines


def _told(where: str, took: Sequence[tuple[float, float]], most: float) -> list[Line]:
    """The goal's figure, and what a client sees, whose last answer was routed before."""
    routed, answered = (float(np.quantile(times, 0.99)) * 1000 for times in zip(*took, strict=True))
    return [
        at_most(f"last request routed {where}, p99 of {len(took)}", routed, "ms", most),
        at_most(f"its last answer, from the rollback's call {where}", answered, "ms"),
    ]


def _taken_back(place: Path, project: Project, port: int, *, down: bool) -> tuple[float, float]:
    """Seconds until the version that is taken back was last routed a request, from where the call reaches the server, and last answered."""
    done = project.deployment.deploy_model("m", "2.0.0", "production")
    with Clients(port) as clients:
        began, reached = _roll_back(place, project, done.deployment_id, down=down)
        time.sleep(0.2)
    project.deployment.advance()  # the journal follows
    if failed := wrongs(clients.rows):
        raise SystemExit(f"switching: a request failed during a rollback: {failed[0]}")
    if clients.rows[-1].version != "1.0.0":
        raise SystemExit(f"switching: after the rollback version {clients.rows[-1].version} answers")
    old = [row for row in clients.rows if row.version == "2.0.0"]
    return max(0.0, max(row.routed for row in old) - reached), max(row.answered for row in old) - began


def _roll_back(place: Path, project: Project, deployment: str, *, down: bool) -> tuple[float, float]:
    """When it was called, and when that reached the server: the deployer, before it has asked anybody."""
    reached = list[float]()
    with _registry_down(place) if down else contextlib.nullcontext(), _watched(project.stack.environment("production"), reached):
        began = time.monotonic()
        project.deployment.rollback_deployment(deployment)
    return began, reached[0]


@contextlib.contextmanager
def _registry_down(place: Path) -> Iterator[None]:
    """Another process holds the database, as long as the block takes: no write passes."""
    with contextlib.closing(sqlite3.connect(place / "registry.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        yield
        other.execute("ROLLBACK")


def _taken_back_here(place: Path, project: Project, *, down: bool) -> tuple[float, float]:
    """The same in one process, with threads that ask."""
    project.deployment.deploy_model("m", "1.0.0", "production")
    done = project.deployment.deploy_model("m", "2.0.0", "production")
    seen, over = [(0.0, 0.0), (0.0, 0.0)], threading.Event()

    def ask(number: int) -> None:
        while not over.is_set():
            one = project.deployment.predict("m", "production", {"x": [1.5]})
            if one.version == "2.0.0":
                seen[number] = (one.outputs["asked"][0], time.monotonic())

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(len(seen))]
    for thread in threads:
        thread.start()
    time.sleep(0.05)
    began, reached = _roll_back(place, project, done.deployment_id, down=down)
    over.set()
    for thread in threads:
        thread.join()
    project.deployment.advance()
    return max(0.0, max(routed for routed, _ in seen) - reached), max(0.0, max(answered for _, answered in seen) - began)


@contextlib.contextmanager
def _watched(deployer: Deployer, reached: list[float]) -> Iterator[None]:
    """Note when a call reaches the deployer."""
    kind = type(deployer)
    before = kind.set_routes

    def noted(*arguments: Any) -> int:
        reached.append(time.monotonic())
        return before(*arguments)

    kind.set_routes = noted  # type: ignore[method-assign,assignment]  # for a moment
    try:
        yield
    finally:
        kind.set_routes = before  # type: ignore[method-assign]


def main() -> int:
    """Measure and print; 0 where every goal holds or none is asked for."""
    options = parser(__doc__, PARTS)
    options.add_argument("--requests", type=int, default=100_000, help="requests of 'switches' at least (100000)")
    options.add_argument("--rounds", type=int, default=20, help="kills of a worker, and rollbacks of each kind (20)")
    asked = options.parse_args()
    requests, rounds = (2_000, 2) if asked.small else (asked.requests, asked.rounds)
    lines = list[Line]()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        for part in asked.parts:
            match part:
                case "switches":
                    lines += switches(Path(folder) / part, requests)
                case "worker":
                    lines += worker(Path(folder) / part, rounds)
                case "rollback":
                    lines += rollback(Path(folder) / part, rounds)
    return answer(asked, lines, DISTRIBUTIONS)


if __name__ == "__main__":
    sys.exit(main())
