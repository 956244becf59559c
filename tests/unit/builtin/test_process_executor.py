import importlib
import os
import signal
import subprocess
from pathlib import Path

import pytest
from attrs import evolve

from mlops_core.builtin import process_executor
from mlops_core.builtin.process_executor import ProcessExecutor
from mlops_core.exceptions import PluginError, StageError
from mlops_core.records import StackRef, StageTask
from mlops_core.roles import Executor
from mlops_core.testing.executor_suite import ExecutorSuite, alive, answer_task, hang_with_child, print_and_fail, wait_until

LEAVING = """
import subprocess, sys
from pathlib import Path
from mlops_core.testing.executor_suite import answer_task

def leave_child(task):
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    Path(task.config.root, "pids").write_text(str(child.pid))
    child.returncode = 0  # no warning about a child that is left on purpose
    return answer_task(task)
"""

THREADING = """
import os, threading
from pathlib import Path
from mlops_core.testing.executor_suite import answer_task

def leave_thread(task):
    Path(task.config.root, "pids").write_text(str(os.getpid()))
    threading.Thread(target=threading.Event().wait).start()
    print("it goes on")
    return answer_task(task)
"""


class TestProcessExecutor(ExecutorSuite):
    def executor(self) -> Executor:
        return ProcessExecutor()


def task_in(root: Path) -> StageTask:
    return StageTask(StackRef(str(root), "acme"), "run-1", "training", 2)


def pids_in(root: Path) -> list[int]:
    return [int(word) for word in (root / "pids").read_text().split()]


def test_the_hook_hands_over_the_class() -> None:
    assert process_executor.mlops_executor() is ProcessExecutor


def test_what_a_stage_prints_is_kept(tmp_path: Path) -> None:
    ProcessExecutor().submit(print_and_fail, task_in(tmp_path)).exception(timeout=30)
    log = (tmp_path / ".mlops/logs/run-1/training-2.log").read_text()
    assert "attempt 2 is about to fail" in log
    assert "StageError: the data is not there" in log


def test_a_killed_worker_names_the_signal_and_the_log(tmp_path: Path) -> None:
    future = ProcessExecutor().submit(hang_with_child, task_in(tmp_path))
    assert wait_until((tmp_path / "pids").exists)
    os.kill(pids_in(tmp_path)[0], signal.SIGKILL)

    error = future.exception(timeout=30)
    assert isinstance(error, StageError)
    assert str(error) == (
        "stage 'training': its worker process was killed by SIGKILL before it answered "
        "(it printed nothing; log: .mlops/logs/run-1/training-2.log)"
    )


def test_what_a_stage_leaves_running_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker also finds what the parent finds: the module lies where only the parent's own path leads."""
    (tmp_path / "leaving.py").write_text(LEAVING)
    monkeypatch.syspath_prepend(tmp_path)
    leave_child = importlib.import_module("leaving").leave_child

    assert ProcessExecutor().submit(leave_child, task_in(tmp_path)).result(timeout=30).attempt == 2
    assert wait_until(lambda: not any(alive(pid) for pid in pids_in(tmp_path)))


def test_a_thread_that_never_ends_does_not_keep_the_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "threading_stage.py").write_text(THREADING)
    monkeypatch.syspath_prepend(tmp_path)
    leave_thread = importlib.import_module("threading_stage").leave_thread

    assert ProcessExecutor().submit(leave_thread, task_in(tmp_path)).result(timeout=60).attempt == 2
    assert wait_until(lambda: not any(alive(pid) for pid in pids_in(tmp_path)))
    assert "it goes on" in (tmp_path / ".mlops/logs/run-1/training-2.log").read_text()


def test_a_stage_that_answered_has_not_passed_its_deadline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The deadline passes while what it left running still ends."""
    wait = subprocess.Popen.wait

    def late(process: subprocess.Popen[bytes], timeout: float | None = None) -> int:
        code = wait(process)
        if timeout is not None:
            raise subprocess.TimeoutExpired(process.args, timeout)
        return code

    monkeypatch.setattr(subprocess.Popen, "wait", late)
    task = evolve(task_in(tmp_path), timeout=60.0)
    assert ProcessExecutor().submit(answer_task, task).result(timeout=60).attempt == 2


def test_a_worker_that_cannot_be_logged_is_an_error_not_a_hang(tmp_path: Path) -> None:
    (tmp_path / ".mlops").write_text("a file where a folder belongs")
    error = ProcessExecutor().submit(answer_task, task_in(tmp_path)).exception(timeout=30)
    assert isinstance(error, StageError)
    assert "no worker could be started" in str(error)


def test_work_of_the_main_module_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answer_task, "__module__", "__main__")
    with pytest.raises(PluginError, match="__main__"):
        ProcessExecutor().submit(answer_task, task_in(tmp_path))
