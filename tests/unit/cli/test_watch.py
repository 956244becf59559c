"""``mlops watch``."""

from __future__ import annotations

import signal
import subprocess
import sys
from typing import TYPE_CHECKING

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
