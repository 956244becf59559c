"""What clients notice while versions are loaded, switched, broken, killed and rolled back.

    python benchmarks/switching.py [switches] [worker] [rollback] [--requests 100000] [--json] [--check] [--small]

A local server with two workers, and clients in a process of their own that keep 4 connections busy. A version is ``y = slope * x``, and its
load sleeps for a second, as that of a large model takes; its slope is its version, so that an answer tells whether it is right.

``switches``: new versions are deployed one after the other, one that raises while it loads, and one whose deploying process is killed by
``kill -9`` amid the load, until so many requests have been sent: how many failed, and the 99th percentile of the latency of those that
were sent while a version loaded, beside that of the others.

``worker``: one of the two workers is killed by ``kill -9``: what its clients see, when another one stands in its place beyond the time that
its load takes, and whether the framework's own client sees anything.

``rollback``: from the call to the last answer of the version that was taken back; with the registry there, with another process holding it,
and, from where the call reaches the deployer, in one process.
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
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from _lines import Line, answer, at_most, parser
from attrs import define, evolve, field, frozen

from mlops_core import Project
from mlops_core.exceptions import DeploymentError, MLOpsError
from mlops_core.records import Column, Schema

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType
    from typing import Self

    from mlops_core.roles import Deployer

PARTS: Final = ("switches", "worker", "rollback")
CONNECTIONS: Final = 4
LOAD: Final = 1.0  # seconds
SLOWER: Final = 3.0
READY: Final = 2.0  # seconds beside the load
ACROSS, WITHIN = 1000.0, 5.0  # milliseconds
DISTRIBUTIONS: Final = ("motadata-mlops-core", "motadata-mlops-deployer-local", "uvicorn", "httptools", "orjson")
SCHEMA: Final = Schema((Column("x", "float64"),))
CONFIGURATION: Final = """\
version: 1
tenant: bench
tracker: []
registry: {use: sqlite, path: registry.db, busy_timeout: 0.5}
formats: ["./slow.py:SlowFormat"]
environments: {production: ENVIRONMENT}
monitoring: {sinks: [sqlite]}
"""
LOCAL: Final = "{use: local, workers: 2, rollback_window: 1h}"
MEMORY: Final = '"mlops_core.testing.memory_deployer:MemoryDeployer"'
FORMAT: Final = '''\
"""A model in a file, whose load takes a second, or fails."""

import time
from attrs import define
from mlops_core.roles import Format


class Slow:
    def __init__(self, slope):
        self.slope = slope

    def predict(self, columns):
        return {"y": columns["x"] * self.slope}


@define
class SlowFormat(Format):
    contract = 1
    capabilities = frozenset({"predict"})
    name = "slow"

    def accepts(self, value):
        return isinstance(value, Slow)

    def sniff(self, path):
        return path.is_file() and path.read_bytes()[:5] == b"slow "

    def write(self, value, path):
        path.write_text(f"slow {value.slope}")

    def read(self, path):
        time.sleep(LOAD)
        slope = float(path.read_text().split()[1])
        if slope < 0:
            raise ValueError("broken")
        return Slow(slope)

    def predictor(self, value, schema):
        return value
'''
DEPLOYER: Final = """
import sys
from mlops_core import Project
with Project.open(sys.argv[1]) as project:
    project.deployment.deploy_model("m", sys.argv[2], "production")
"""


@frozen
class Row:
    """One request."""

    sent: float
    answered: float
    version: str
    wrong: str


@define
class Clients:
    """Keep connections busy while the block lasts; then ``rows`` says what they saw."""

    port: int
    rows: Sequence[Row] = field(factory=list, init=False)
    _process: subprocess.Popen[str] = field(init=False)

    def __enter__(self) -> Self:
        command = [sys.executable, str(Path(__file__).with_name("_clients.py")), str(self.port), str(CONNECTIONS)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        time.sleep(1.0)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        told, _ = self._process.communicate()
        self.rows = sorted((Row(*row) for row in json.loads(told)), key=lambda row: row.sent)


@contextlib.contextmanager
def project_with(place: Path, versions: int, environment: str) -> Iterator[Project]:
    """A project with so many versions, and one that does not load."""
    place.mkdir()
    (place / "slow.py").write_text(FORMAT.replace("LOAD", str(LOAD)), encoding="utf-8")
    (place / "mlops.yaml").write_text(CONFIGURATION.replace("ENVIRONMENT", environment), encoding="utf-8")
    with Project.open(place) as project:
        for number in (*range(1, versions + 1), -1):
            path = place / f"model{number}"
            path.write_text(f"slow {number}", encoding="utf-8")
            project.versioning.version_model("m", f"{number}.0.0" if number > 0 else "broken", path, schema=SCHEMA)
        try:
            yield project
        finally:
            project.deployment.shutdown("production")


@contextlib.contextmanager
def serving(place: Path, versions: int) -> Iterator[tuple[Project, int]]:
    """The same on a local server, the first version deployed; and the port."""
    with project_with(place, versions, LOCAL) as project:
        project.deployment.deploy_model("m", "1.0.0", "production")
        yield project, int(json.loads(next(place.rglob("server.json")).read_text())["port"])


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
    seen, took, own = list[Row](), list[float](), list[str]()
    with serving(place, 1) as (project, port):
        for _ in range(rounds):
            with Clients(port) as clients, _asking(project, own):
                _, (victim, _), *_ = _processes(place)
                began = time.monotonic()
                os.kill(victim, signal.SIGKILL)
                while len(now := _processes(place)) < 3 or victim in {pid for pid, _ in now}:
                    time.sleep(0.01)
                took.append(time.monotonic() - began - LOAD)
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
        at_most("another stands in its place, beside the load", float(np.median(took)), "s", READY, longest=max(took)),
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
    lines = []
    with serving(place, 2) as (project, port):
        for words, down in (("", False), (", the registry down", True)):
            took = [_taken_back(place, project, port, down=down) for _ in range(rounds)]
            lines.append(at_most(f"rolled back{words}, p99 of {rounds}", float(np.quantile(took, 0.99)) * 1000, "ms", ACROSS))
    with project_with(place / "within", 2, MEMORY) as project:
        took = [_taken_back_here(project) for _ in range(rounds * 5)]
    lines.append(at_most(f"rolled back in one process, p99 of {len(took)}", float(np.quantile(took, 0.99)) * 1000, "ms", WITHIN))
    return lines


def _taken_back(place: Path, project: Project, port: int, *, down: bool) -> float:
    """Seconds from the call to the last answer of the version that was taken back."""
    done = project.deployment.deploy_model("m", "2.0.0", "production")
    with Clients(port) as clients:
        with _registry_down(place) if down else contextlib.nullcontext():
            began = time.monotonic()
            project.deployment.rollback_deployment(done.deployment_id)
        time.sleep(0.2)
    project.deployment.advance()  # the journal follows
    if failed := wrongs(clients.rows):
        raise SystemExit(f"switching: a request failed during a rollback: {failed[0]}")
    if clients.rows[-1].version != "1.0.0":
        raise SystemExit(f"switching: after the rollback version {clients.rows[-1].version} answers")
    return max(row.answered for row in clients.rows if row.version == "2.0.0") - began


@contextlib.contextmanager
def _registry_down(place: Path) -> Iterator[None]:
    """Another process holds the database, as long as the block takes: no write passes."""
    with contextlib.closing(sqlite3.connect(place / "registry.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        yield
        other.execute("ROLLBACK")


def _taken_back_here(project: Project) -> float:
    """The same in one process, with threads that ask."""
    project.deployment.deploy_model("m", "1.0.0", "production")
    done = project.deployment.deploy_model("m", "2.0.0", "production")
    last, over = [0.0, 0.0], threading.Event()

    def ask(number: int) -> None:
        while not over.is_set():
            if project.deployment.predict("m", "production", {"x": [1.5]}).version == "2.0.0":
                last[number] = time.monotonic()

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(len(last))]
    for thread in threads:
        thread.start()
    time.sleep(0.05)
    reached = list[float]()
    with _watched(project.stack.environment("production"), reached):
        project.deployment.rollback_deployment(done.deployment_id)
    over.set()
    for thread in threads:
        thread.join()
    return max(0.0, max(last) - reached[0])


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
