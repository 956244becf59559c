"""The quickstart's pipeline on 2 % of its rows is killed at every effect and at random: it is resumed, and does nothing twice."""

from __future__ import annotations

import gzip
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import IO, TYPE_CHECKING

import pytest
from attrs import define

from mlops_core import Project

if TYPE_CHECKING:
    from collections.abc import Iterator

QUICKSTART = Path(__file__).parents[2] / "examples" / "quickstart"
RUNNER = Path(__file__).with_name("quickstart_runner.py")
PROGRAM = Path(sys.executable).with_name("mlops")
SHARE = 0.02
LONGEST = 2.0  # seconds from the beginning of a stage to the kill
MODEL = "flight_delay"
STAGES = ("data_collection", "data_check", "data_preprocessing", "training", "reference", "validation", "deployment", "monitoring")
SMALL = """
tracker: []
environments:
  staging: {use: local, port: 0, rollback_window: 0s}
observers: ["./counting.py:Counting"]
pipeline:
  stages:
    training: {params: {max_iter: 10, min_samples_leaf: 5}}
    validation: {require: {roc_auc: {min: 0.5}}}
    deployment: {to: [staging]}
"""
TRACKED = SMALL.replace("tracker: []\n", "")
COUNTING = '''
"""Keeps a line for every stage that begins."""

from pathlib import Path

from attrs import define

from mlops_core.hookspecs import hookimpl
from mlops_core.roles import Observer


@define
class Counting(Observer):
    contract = 1

    @hookimpl
    def stage_started(self, event):
        with Path(__file__).with_name("began").open("a") as stream:
            stream.write(f"{event.run_id} {event.stage}\\n")
'''
# Everything that the deployment stage does, in order; each is an effect or the entry that tells of one. What comes before and after it is
# the same on every backend: test_pipeline_crash.py kills around each write of it.
POINTS = (
    "add_next_version",
    "entry deployments pending",
    "entry deployments loading",
    "load",
    "entry deployments warming",
    "entry deployments ready",
    "entry deployments promoting",
    "set_routes",
    "entry deployments live",
    "entry runs stage_succeeded deployment",
)
BEFORE = ("entry runs started", "add_next_version")
ALIKE = frozenset(f"entry deployments {state}" for state in ("loading", "warming", "ready"))  # from "pending" on nothing outside changes


@define(eq=False)
class Runner:
    """The process whose forks call ``mlops``."""

    process: subprocess.Popen[str]
    stdin: IO[str]
    stdout: IO[str]

    def __call__(self, folder: Path, *arguments: str, point: str = "", when: str = "") -> tuple[int, list[str]]:
        """How a call of ``mlops`` ended, and the points that it passed."""
        request = {"folder": str(folder), "arguments": [*arguments, "--profile", "small"], "point": point, "when": when}
        self.stdin.write(json.dumps(request) + "\n")
        self.stdin.flush()
        answer = json.loads(self.stdout.readline())
        return answer["status"], answer["passed"]


@pytest.fixture(scope="module")
def runner() -> Iterator[Runner]:
    with subprocess.Popen([sys.executable, str(RUNNER)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield Runner(process, process.stdin, process.stdout)
        process.stdin.close()


@pytest.fixture(scope="module")
def rows() -> bytes:
    """The flights of the quickstart, cut to a share of their rows, the same each time."""
    chance = random.Random(2013)
    with gzip.open(QUICKSTART / "data" / "flights.csv.gz", "rt") as stream:
        header, *lines = stream
    kept = [line for line in lines if chance.random() < SHARE]
    assert 0.015 < len(kept) / len(lines) < 0.025
    return gzip.compress("".join([header, *kept]).encode(), mtime=0)


def lay_out(folder: Path, rows: bytes, overlay: str = SMALL) -> Path:
    """The quickstart's project, with an overlay that makes it small."""
    for name in ("mlops.yaml", "stages.py"):
        shutil.copy2(QUICKSTART / name, folder)
    (folder / "mlops.small.yaml").write_text(overlay)
    (folder / "counting.py").write_text(COUNTING)
    (folder / "data").mkdir()
    (folder / "data" / "flights.csv.gz").write_bytes(rows)
    return folder


@define
class Told:
    """What is known of a project from outside."""

    runs: list[tuple[str, str]]
    finished: set[tuple[str, str]]
    versions: list[tuple[str, str | None]]
    deployments: list[tuple[str, str]]
    url: str


def tell(folder: Path) -> Told:
    """Runs, newest first, finished stages, versions with their runs, deployments with their states."""
    with Project.open(folder, profile="small") as project:
        runs = project.pipeline().runs()
        there = MODEL in project.versioning.models()
        return Told(
            runs=[(run.run_id, run.status.value) for run in runs],
            finished={(run.run_id, stage.stage) for run in runs for stage in run.stages if stage.status == "succeeded"},
            versions=[(one.version, one.run_id) for one in project.versioning.list_versions(MODEL)] if there else [],
            deployments=[(one.version, one.status.value) for one in project.deployment.history(MODEL, "staging")],
            url=project.deployment.status(MODEL, "staging").url,
        )


def answering(folder: Path) -> str:
    """The version that answers a real request."""
    row = {"carrier": ["UA"], "origin": ["JFK"], "hour": [8], "weekday": [2], "distance": [1400]}
    weather = {"temp": [40.0], "humid": [60.0], "wind_speed": [9.0], "precip": [0.0], "visib": [10.0]}
    with Project.open(folder, profile="small") as project:
        return project.deployment.predict(MODEL, "staging", {**row, **weather}).version


def began(folder: Path) -> Counter[tuple[str, str]]:
    """How often each stage of each run began."""
    path = folder / "began"
    lines = path.read_text().splitlines() if path.exists() else []
    return Counter((line.split()[0], line.split()[1]) for line in lines)


def check(folder: Path, before: Told, times: Counter[tuple[str, str]]) -> Told:
    """Everything that a resumed run promises; answers what is known now."""
    after = tell(folder)
    said = (folder / "said").read_text()
    assert {status for _, status in after.runs} == {"succeeded"}, said
    assert {stage for run, stage in after.finished if run == after.runs[0][0]} == set(STAGES), said
    now = began(folder)
    assert {one: now[one] for one in before.finished} == {one: times[one] for one in before.finished}, "a finished stage ran again"
    assert max(now.values()) <= 2, now
    numbers = [str(number) for number in range(1, len(after.runs) + 1)]
    assert [version for version, _ in after.versions] == numbers, "each run registers one version"
    assert sorted(run or "" for _, run in after.versions) == sorted(run for run, _ in after.runs)
    assert [version for version, _ in after.deployments] == numbers, "each run deploys once"
    assert [status for _, status in after.deployments if status == "live"] == ["live"]
    assert after.deployments[-1][1] == "live"
    assert answering(folder) == numbers[-1]
    return after


def shut_down(folder: Path, runner: Runner) -> None:
    """Stop the server; nothing that was ever started for the project is left, and nothing listens."""
    url = tell(folder).url
    assert runner(folder, "deployments", "shutdown", "staging")[0] == 0
    listed = subprocess.run(["ps", "-axww", "-o", "pid=,command="], capture_output=True, text=True, check=True).stdout
    assert [line for line in listed.splitlines() if str(folder) in line] == []
    host, _, port = url.split("/")[2].partition(":")
    with pytest.raises(ConnectionRefusedError):
        connect(host, int(port))


def connect(host: str, port: int) -> None:
    import socket

    socket.create_connection((host, port), timeout=5).close()


@define(eq=False)
class Killed:
    """One project in which run after run is killed and resumed, on one server."""

    folder: Path
    runner: Runner

    def at(self, point: str, when: str) -> None:
        status, passed = self.runner(self.folder, "run", point=point, when=when)
        assert status == -signal.SIGKILL, (self.folder / "said").read_text()
        assert passed[-1] == point
        before, times = tell(self.folder), began(self.folder)
        assert self.runner(self.folder, "run", "--resume")[0] == 0, (self.folder / "said").read_text()
        check(self.folder, before, times)


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory, rows: bytes, runner: Runner) -> Iterator[Killed]:
    folder = lay_out(tmp_path_factory.mktemp("killed"), rows)
    yield Killed(folder, runner)
    shut_down(folder, runner)


def test_the_points_of_this_test_are_all_that_a_deployment_passes(tmp_path: Path, rows: bytes, runner: Runner) -> None:
    folder = lay_out(tmp_path, rows)
    status, passed = runner(folder, "run", "--run-id", "run-1")
    assert status == 0, (folder / "said").read_text()
    first, last = passed.index("entry runs stage_started deployment"), passed.index("entry runs stage_succeeded deployment")
    assert [name for name in passed[first + 1 : last + 1] if name != "put_artifact"] == list(POINTS)
    assert passed[0] == BEFORE[0]
    assert began(folder) == Counter({("run-1", stage): 1 for stage in STAGES})
    left = tell(folder)
    assert runner(folder, "run", "--resume")[0] == 0
    assert check(folder, left, began(folder)) == left
    shut_down(folder, runner)


@pytest.mark.parametrize("point", [pytest.param(point, marks=[pytest.mark.long] if point in ALIKE else []) for point in POINTS])
def test_killed_after_an_effect_and_before_the_next_entry(killed: Killed, point: str) -> None:
    killed.at(point, "after")


@pytest.mark.parametrize("point", BEFORE)
def test_killed_after_the_artifacts_and_before_what_names_them(killed: Killed, point: str) -> None:
    killed.at(point, "before")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "fault" in metafunc.fixturenames:
        metafunc.parametrize("fault", range(metafunc.config.getoption("--fault-rounds")))


def test_killed_at_a_random_moment(tmp_path: Path, rows: bytes, runner: Runner, fault: int) -> None:
    """The program itself with its whole process group, each time from the beginning, so that the server's start is among the moments."""
    chance = random.Random(fault)
    folder = lay_out(tmp_path, rows)
    with (folder / "said").open("w") as said:
        process = subprocess.Popen([PROGRAM, "run", "--profile", "small"], cwd=folder, stdout=said, stderr=said, start_new_session=True)
    stages = chance.randint(0, len(STAGES))
    while process.poll() is None and began(folder).total() < stages:
        time.sleep(0.005)
    try:
        status = process.wait(chance.uniform(0, LONGEST))
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        status = process.wait()
    assert status in {0, -signal.SIGKILL}, (folder / "said").read_text()
    before, times = tell(folder), began(folder)
    assert len(before.runs) <= 1
    assert runner(folder, "run", "--resume")[0] == 0, (folder / "said").read_text()
    check(folder, before, times)
    shut_down(folder, runner)


def test_a_killed_run_is_one_run_of_its_tracker(tmp_path: Path, rows: bytes, runner: Runner) -> None:
    """With the quickstart's own tracker: what was logged before the kill and after the resumption is one run, once."""
    folder = lay_out(tmp_path, rows, TRACKED)
    assert runner(folder, "run", "--run-id", "run-1", point="set_routes", when="after")[0] == -signal.SIGKILL
    before, times = tell(folder), began(folder)
    assert runner(folder, "run", "--resume")[0] == 0, (folder / "said").read_text()
    check(folder, before, times)
    shut_down(folder, runner)
    with Project.open(folder, profile="small") as project:
        (tracked,) = project.tracker.search_runs()
    assert (tracked.run_id, tracked.status.value) == ("run-1", "finished")
    assert tracked.metrics["roc_auc"] > 0.5
    assert tracked.params["deployment.version"] == "1"
