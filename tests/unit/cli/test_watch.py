"""``mlops watch``."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mlops_core.project import Project

    from .conftest import Answer


def test_once(mlops: Callable[..., Answer], project: Project) -> None:
    before = signal.getsignal(signal.SIGINT)
    told = mlops("watch", "--once", "--json").json
    assert signal.getsignal(signal.SIGINT) is before
    assert told["passes"]
    assert not [one["error"] for one in told["passes"] if one["error"]]


def test_it_stops_when_told(tmp_path: Path) -> None:
    (tmp_path / "mlops.yaml").write_text("version: 1\nproject: demo\nregistry: {use: sqlite, path: registry.db}\n")
    command = [sys.executable, "-c", "from mlops_core.cli import main; main(['watch'])"]
    watcher = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)
    assert watcher.stdout is not None
    assert watcher.stdout.readline() == "watching; end with Ctrl-C\n"
    watcher.send_signal(signal.SIGTERM)
    out, err = watcher.communicate(timeout=30)
    assert (watcher.returncode, out, err) == (0, "stopped\n", "")


def test_it_lets_sinks_listen_while_it_watches(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    sink = f"{{use: prometheus, path: counts.db, port: {port}}}"
    (tmp_path / "mlops.yaml").write_text(
        f"version: 1\nproject: demo\nregistry: {{use: sqlite, path: registry.db}}\nmonitoring: {{sinks: [sqlite, {sink}]}}\n"
    )
    command = [sys.executable, "-c", "from mlops_core.cli import main; main(['watch'])"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as watcher:
        try:
            while True:
                assert watcher.poll() is None
                try:
                    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
                        assert answer.status == 200
                    break
                except urllib.error.URLError:
                    time.sleep(0.05)
        finally:
            watcher.send_signal(signal.SIGTERM)
        assert (watcher.wait(30), watcher.stderr and watcher.stderr.read()) == (0, "")
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30)
