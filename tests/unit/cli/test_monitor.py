"""``mlops monitor``."""

from __future__ import annotations

import fcntl
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
from contextlib import suppress
from io import StringIO
from typing import TYPE_CHECKING

from rich.console import Console

from mlops_core.cli.output import Output
from mlops_core.exceptions import MonitoringError
from mlops_core.monitoring import ModelMonitoring
from mlops_core.stack import locate

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest

    from mlops_core.project import Project

    from .conftest import Answer


def test_a_model_without_data(mlops: Callable[..., Answer], project: Project) -> None:
    answer = mlops("monitor", "line")
    assert answer.code == 0
    assert answer.out.startswith("line: unknown\n")


def test_figures(mlops: Callable[..., Answer], project: Project) -> None:
    for number in range(10):
        project.monitoring.track_prediction("line", 0.1, number > 0, None if number else "ValueError", environment="staging")
    project.monitoring.record_values("line", {"drift.p_value": 0.01}, environment="staging")
    project.monitoring.flush()
    told = mlops("monitor", "line", "--window", "15m", "--environment", "staging", "--json").json
    assert (told["metrics"]["total_predictions"], told["metrics"]["error_rate"]) == (10, 0.1)
    out = mlops("monitor", "line").out
    assert out.startswith("line: unhealthy\n")
    assert "errors: ValueError" in out
    assert "drift.p_value" in out
    assert "Open incidents: none" in out


def test_the_figures_of_each_version_and_step_are_in_the_json(mlops: Callable[..., Answer], project: Project) -> None:
    for version in ("1", "2"):
        project.monitoring.track_prediction("line", 0.1, success=True, environment="staging", version=version)
    project.monitoring.flush()
    told = mlops("monitor", "line", "--json").json
    assert set(told) == {"metrics", "health", "incidents", "history"}
    assert sorted(told["history"]["versions"]) == ["1", "2"]
    assert sum(point["total_predictions"] for point in told["history"]["points"]) == 2
    assert "Versions" in mlops("monitor", "line").out
    assert "Versions" not in mlops("monitor", "line", "--version", "1").out


def test_incidents_of_other_environments_are_left_out(mlops: Callable[..., Answer], project: Project) -> None:
    project.monitoring.track_prediction("line", 0.1, success=False, environment="staging")
    project.monitoring.evaluate()
    project.monitoring.acknowledge("errors", "line", "staging", by="ann")
    assert "acknowledged by ann" in mlops("monitor", "line").out
    assert "Open incidents: none" in mlops("monitor", "line", "--environment", "production").out


def test_a_terminal_shows_it_on_the_alternate_screen_until_interrupted(tmp_path: Path) -> None:
    (tmp_path / "mlops.yaml").write_text("version: 1\nmonitoring: {sinks: [sqlite]}\n")
    with ModelMonitoring(stack=locate(tmp_path)) as monitoring:
        monitoring.track_prediction("line", 0.1, success=True)
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))
    command = [sys.executable, "-c", "from mlops_core.cli import main; main()", "monitor", "line", "--live"]
    surroundings = {name: value for name, value in os.environ.items() if name not in {"COLUMNS", "LINES", "NO_COLOR"}}
    before = signal.signal(signal.SIGINT, signal.SIG_DFL)  # a program that was started in the background hands on that it ignores it
    running = subprocess.Popen(command, cwd=tmp_path, stdin=slave, stdout=slave, stderr=slave, env={**surroundings, "TERM": "xterm"})
    signal.signal(signal.SIGINT, before)
    os.close(slave)
    seen = b""
    try:
        while seen.count(b"throughput") < 2:
            seen += os.read(master, 65536)
        running.send_signal(signal.SIGINT)
        with suppress(OSError):  # the other end is closed
            while more := os.read(master, 65536):
                seen += more
        assert running.wait(30) == 130
    finally:
        running.kill()
        running.wait()
        os.close(master)
    screen = seen[seen.index(b"\x1b[?1049h") : seen.rindex(b"\x1b[?1049l")]
    assert screen.count(b"throughput") >= 2
    assert "HEALTHY" in screen.decode()
    assert seen[seen.rindex(b"\x1b[?1049l") :].rstrip().endswith(b"interrupted")


def test_a_refresh_that_fails_leaves_the_picture_and_says_why(
    mlops: Callable[..., Answer], project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn, naps = StringIO(), iter([None, None, KeyboardInterrupt()])
    console = Console(file=drawn, force_terminal=True, width=100, height=30, color_system=None)
    project.monitoring.track_prediction("line", 0.1, success=True)

    def nap(_: float) -> None:
        if (ended := next(naps)) is not None:
            raise ended
        monkeypatch.setattr(ModelMonitoring, "history", away)

    def away(*_: object, **__: object) -> None:
        raise MonitoringError("sink memory: cannot be read: no route to host")

    monkeypatch.setattr("time.sleep", nap)
    monkeypatch.setattr(Output, "fancy", property(lambda _: True))
    monkeypatch.setattr(Output, "console", property(lambda _: console))
    assert mlops("monitor", "line", "--live").code == 130
    last = drawn.getvalue().rpartition("HEALTHY")[2]
    assert "no newer figures: sink memory: cannot be read: no route to host" in last
    assert "throughput" in last


def test_live_repeats_until_interrupted(mlops: Callable[..., Answer], project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    naps = []

    def nap(seconds: float) -> None:
        naps.append(seconds)
        if len(naps) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr("time.sleep", nap)
    answer = mlops("monitor", "line", "--live")
    assert answer.code == 130
    assert answer.out.count("line: unknown") == 2
