import subprocess
import sys
from pathlib import Path

from mlops_core.builtin.process_executor import ProcessExecutor
from mlops_core.exceptions import StageError
from mlops_core.records import StackRef, StageTask
from mlops_core.testing.executor_suite import alive, print_and_fail, wait_until

PARENT = """
import sys
from pathlib import Path
from mlops_core.builtin.process_executor import ProcessExecutor
from mlops_core.records import StackRef, StageTask
from mlops_core.testing.executor_suite import hang_with_child

task = StageTask(StackRef(sys.argv[1], "acme"), "run-1", "training", 1)
ProcessExecutor().submit(hang_with_child, task).result()
"""


def task_in(root: Path) -> StageTask:
    return StageTask(StackRef(str(root), "acme"), "run-1", "training", 2)


def test_the_traceback_of_the_worker_is_the_cause(tmp_path: Path) -> None:
    error = ProcessExecutor().submit(print_and_fail, task_in(tmp_path)).exception(timeout=30)
    assert error is not None
    assert "print_and_fail" in str(error.__cause__)


def test_an_error_of_python_arrives_as_a_stage_error(tmp_path: Path) -> None:
    error = ProcessExecutor().submit(int, task_in(tmp_path)).exception(timeout=30)  # type: ignore[arg-type]  # wrong on purpose
    assert isinstance(error, StageError)
    assert str(error).startswith("TypeError: ")


def test_a_worker_dies_with_its_parent(tmp_path: Path) -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT, str(tmp_path)])
    try:
        assert wait_until((tmp_path / "pids").exists)
    finally:
        parent.kill()
        parent.wait()
    assert wait_until(lambda: not any(alive(pid) for pid in map(int, (tmp_path / "pids").read_text().split())))


def test_a_stage_cannot_read_the_pipe_to_its_parent(tmp_path: Path) -> None:
    """Standard input is empty: a stage that asks a question fails instead of waiting for ever."""
    error = ProcessExecutor().submit(input, task_in(tmp_path)).exception(timeout=30)  # type: ignore[arg-type]  # asks on purpose
    assert isinstance(error, StageError)
    assert str(error).startswith("EOFError")
