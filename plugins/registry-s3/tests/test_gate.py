"""The queue of a host's writers: they exclude each other, and nothing hangs on it."""

from __future__ import annotations

import os
import signal
import tempfile
import threading
import time
from typing import TYPE_CHECKING

import pytest

from mlops_registry_s3 import gate as module
from mlops_registry_s3.gate import gate

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def test_one_at_a_time() -> None:
    inside, most = 0, 0

    def work() -> None:
        nonlocal inside, most
        for _ in range(5):
            with gate("model"):
                inside += 1
                most = max(most, inside)
                time.sleep(0.002)
                inside -= 1

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1


def test_others_do_not_wait() -> None:
    with gate("model"), gate("another model"):
        pass


def test_nobody_waits_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PATIENCE", 0.05)
    with gate("model"):
        with gate("model"):  # whoever holds it is stopped
            pass
        with gate("model"):
            pass
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and any(thread.name == "mlops-s3-gate" for thread in threading.enumerate()):
        time.sleep(0.01)
    started = time.monotonic()
    with gate("model"):  # those who left did not keep it
        assert time.monotonic() - started < 1


def test_one_that_is_interrupted_leaves_the_turn_to_others() -> None:
    before = signal.signal(signal.SIGUSR1, _interrupt)
    timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGUSR1))
    timer.start()
    try:
        with gate("model"), pytest.raises(KeyboardInterrupt), gate("model"):
            pytest.fail("both have the turn")
    finally:
        timer.join()
        signal.signal(signal.SIGUSR1, before)
    for _ in range(2):
        started = time.monotonic()
        with gate("model"):
            assert time.monotonic() - started < 10


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def test_without_a_folder_there_is_no_gate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "file"))
    with gate("model"), gate("model"):
        pass
