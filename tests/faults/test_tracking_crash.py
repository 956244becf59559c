"""Tracking when programs are killed: every acknowledged metric is there afterwards, none twice, and no run is left running."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Final

import pytest

from mlops_core import Project
from mlops_core.records import RunStatus

if TYPE_CHECKING:
    from pathlib import Path

METRICS: Final = 1000
WRITER: Final = """
import sys
from mlops_core import Project
with Project.open(sys.argv[1]) as project, project.tracker.start_run(experiment="e", run_id=sys.argv[2]) as run:
    run.log_params({"depth": 3})
    for step in range(int(sys.argv[3])):
        run.log_metrics({"loss": 1 / (step + 1)}, step=step)
        print(step + 1, flush=True)
    sys.stdin.read()
"""
TRACKERS: Final = {"local": "{use: local, path: runs.db}", "mlflow": "{use: mlflow, tracking_uri: mlruns}"}


@pytest.fixture(params=TRACKERS)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    (tmp_path / "mlops.yaml").write_text(f"version: 1\ntracker: {TRACKERS[request.param]}\n", encoding="utf-8")
    with Project.open(tmp_path) as project:
        project.tracker.create_experiment("e")
        assert project.tracker.flush(60)
    return tmp_path


def killed(place: Path, run: str, count: int, after: int, pause: float) -> int:
    """Kill -9 a program that logs ``count`` metrics ``pause`` seconds after it told of ``after``; answers how many it told of."""
    command = [sys.executable, "-c", WRITER, str(place), run, str(count)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        first = [writer.stdout.readline() for _ in range(after)]
        time.sleep(pause)
        writer.send_signal(signal.SIGKILL)
        told = [*first, *writer.stdout.read().splitlines()]
        assert writer.wait() == -signal.SIGKILL
    return int(told[-1])


def recovered(place: Path, run: str) -> list[float]:
    """The values of the run by step, after a program that comes later has delivered what was left of it."""
    with Project.open(place) as project:
        project.tracker.recover()
        assert project.tracker.flush(60)
        found = project.tracker.get_run(run)
        assert found.status is RunStatus.INTERRUPTED
        assert dict(found.params) == {"depth": "3"}
        points = project.tracker.metric_history(run, "loss")
    assert [point.step for point in points] == list(range(len(points)))
    return [point.value for point in points]


def test_a_thousand_of_a_thousand_after_a_kill(place: Path, fault_rounds: int) -> None:
    """The delivery is anywhere between its first batch and its last."""
    for number in range(fault_rounds):
        chance = random.Random(number)
        assert killed(place, f"r{number}", METRICS, METRICS, chance.choice([0.0, chance.uniform(0, 0.5)])) == METRICS
        assert recovered(place, f"r{number}") == [1 / (step + 1) for step in range(METRICS)]


def test_killed_amid_the_writing(place: Path, fault_rounds: int) -> None:
    """What was told is there; at most the one call that was under way is there beside it."""
    for number in range(fault_rounds):
        chance = random.Random(number)
        told = killed(place, f"r{number}", METRICS, chance.randint(1, METRICS // 2), chance.uniform(0, 0.02))
        assert len(recovered(place, f"r{number}")) in {told, told + 1}
