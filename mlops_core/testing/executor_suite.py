"""What every executor must do: derive from ``ExecutorSuite`` in a test, give the executor, and pytest runs the rest.

The functions below are what the suite runs; they stand in a module of their own right, so that a worker elsewhere can import them.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from abc import abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import attrs
import pytest

from mlops_core.exceptions import CapabilityError, PluginError, StageError, StageTimeoutError
from mlops_core.records import ArtifactRef, Blob, File, StackRef, StageResult, StageStatus, StageTask

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlops_core.roles import Executor

__all__ = ["ExecutorSuite", "alive", "answer_task", "die", "hang_with_child", "print_and_fail", "wait_until"]

_PATIENCE: Final = 30.0


def answer_task(task: StageTask) -> StageResult:
    """What the task said, and in which process."""
    return StageResult(
        stage=task.stage,
        status=StageStatus.SUCCEEDED,
        attempt=task.attempt,
        outputs=task.inputs,
        metrics={"pid": float(os.getpid())},
        params={"run": task.run_id, "tenant": task.config.tenant, "model": task.model},
    )


def print_and_fail(task: StageTask) -> StageResult:
    """A stage whose work cannot be done."""
    print(f"attempt {task.attempt} is about to fail")  # noqa: T201  what a stage prints must not disturb its answer
    raise StageError("the data is not there")


def die(task: StageTask) -> StageResult:
    """A worker that is killed half-way, as by the system when memory runs out."""
    sys.stderr.write("loading the data\n")
    sys.stderr.flush()
    os.kill(os.getpid(), signal.SIGTERM)
    return answer_task(task)


def hang_with_child(task: StageTask) -> StageResult:
    """A stage that hangs together with a process that it started."""
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    told = Path(task.config.root) / "pids"
    told.with_suffix(".new").write_text(f"{os.getpid()} {child.pid}")
    told.with_suffix(".new").replace(told)
    child.wait()
    return answer_task(task)


def alive(pid: int) -> bool:
    """Whether a process runs; one that ended and waits to be collected does not."""
    try:
        os.kill(pid, 0)
        told = Path(f"/proc/{pid}/stat")
        return not told.exists() or told.read_text().rpartition(")")[2].split()[0] not in {"Z", "X"}
    except (ProcessLookupError, FileNotFoundError):
        return False


def wait_until(true: Any, seconds: float = _PATIENCE) -> bool:
    """Call ``true()`` until it is, or for ``seconds``; answers whether it was."""
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


class ExecutorSuite:
    """Conformance of one executor. Override ``executor``."""

    @abstractmethod
    def executor(self) -> Executor:
        """A new instance of the executor."""

    @pytest.fixture
    def subject(self) -> Iterator[Executor]:
        """The executor under test, closed afterwards."""
        executor = self.executor()
        yield executor
        executor.close()

    def task(self, root: Path, *, timeout: float | None = None, attempt: int = 1, stage: str = "training") -> StageTask:
        """A task of a project in ``root``."""
        blob = Blob("ab" * 32, 3)
        inputs = {"data": ArtifactRef("ab" * 32, 3, "json", "data", (File("data.json", blob),))}
        return StageTask(StackRef(str(root), "acme"), "run-1", stage, attempt, inputs, timeout, model="tickets")

    def test_declares_itself(self, subject: Executor) -> None:
        """The contract stands in the class's own body, and every option explains itself."""
        kind: Any = type(subject)
        assert vars(kind)["contract"] == 1
        assert [one.name for one in attrs.fields(kind) if one.init and not one.metadata.get("help")] == []

    def test_answers_what_the_work_answered(self, subject: Executor, tmp_path: Path) -> None:
        """The task arrives whole, and so does the result."""
        task = self.task(tmp_path, attempt=3)
        result = subject.submit(answer_task, task).result(timeout=_PATIENCE)

        assert result.outputs == task.inputs
        assert (result.stage, result.status, result.attempt) == ("training", StageStatus.SUCCEEDED, 3)
        assert result.params == {"run": "run-1", "tenant": "acme", "model": "tickets"}

    def test_runs_where_it_says(self, subject: Executor, tmp_path: Path) -> None:
        """Another process exactly if it is remote."""
        result = subject.submit(answer_task, self.task(tmp_path)).result(timeout=_PATIENCE)
        assert (result.metrics["pid"] != os.getpid()) == ("remote" in subject.capabilities)

    def test_tasks_do_not_mix(self, subject: Executor, tmp_path: Path) -> None:
        """Several tasks may be under way at once."""
        tasks = [self.task(tmp_path, stage=f"stage-{number}", attempt=number) for number in range(1, 4)]
        futures = [subject.submit(answer_task, task) for task in tasks]
        assert [future.result(timeout=_PATIENCE).attempt for future in futures] == [1, 2, 3]

    def test_what_the_work_raises_is_set_on_the_future(self, subject: Executor, tmp_path: Path) -> None:
        """With its class and its message; what it printed is in nobody's way."""
        future = subject.submit(print_and_fail, self.task(tmp_path))
        error = future.exception(timeout=_PATIENCE)
        assert (type(error), str(error)) == (StageError, "the data is not there")

    def test_is_of_use_after_a_failure(self, subject: Executor, tmp_path: Path) -> None:
        """One failed task does not harm the next."""
        subject.submit(print_and_fail, self.task(tmp_path)).exception(timeout=_PATIENCE)
        assert subject.submit(answer_task, self.task(tmp_path, attempt=2)).result(timeout=_PATIENCE).attempt == 2

    def test_a_deadline_ends_the_task_with_all_its_processes(self, subject: Executor, tmp_path: Path) -> None:
        """An executor that cannot kill refuses a deadline instead."""
        task = self.task(tmp_path, timeout=3.0)
        if "kill" not in subject.capabilities:
            with pytest.raises(CapabilityError, match="timeout"):
                subject.submit(answer_task, task)
            return
        error = subject.submit(hang_with_child, task).exception(timeout=_PATIENCE)
        assert isinstance(error, StageTimeoutError)
        assert "3 s" in str(error)
        pids = [int(word) for word in (tmp_path / "pids").read_text().split()]
        assert wait_until(lambda: not any(alive(pid) for pid in pids))

    def test_a_dead_worker_is_one_line(self, subject: Executor, tmp_path: Path) -> None:
        """It names the signal and the last line; an executor whose work cannot die alone has to be no remote one."""
        if "remote" not in subject.capabilities:
            assert subject.submit(answer_task, self.task(tmp_path)).result().metrics["pid"] == os.getpid()
            return
        error = subject.submit(die, self.task(tmp_path)).exception(timeout=_PATIENCE)
        assert isinstance(error, StageError)
        assert "SIGTERM" in str(error)
        assert "loading the data" in str(error)
        assert "\n" not in str(error)

    def test_work_must_be_found_by_a_remote_worker(self, subject: Executor, tmp_path: Path) -> None:
        """A function without an importable name is refused before anything starts; a local executor takes it."""

        def nameless(task: StageTask) -> StageResult:
            return attrs.evolve(answer_task(task), summary="nameless")

        if "remote" in subject.capabilities:
            with pytest.raises(PluginError, match="cannot be imported"):
                subject.submit(nameless, self.task(tmp_path))
        else:
            assert subject.submit(nameless, self.task(tmp_path)).result().summary == "nameless"

    def test_close_ends_what_runs(self, subject: Executor, tmp_path: Path) -> None:
        """Closing twice is fine, and no worker stays."""
        if "kill" in subject.capabilities:
            future = subject.submit(hang_with_child, self.task(tmp_path))
            assert wait_until((tmp_path / "pids").exists)
            subject.close()
            assert isinstance(future.exception(timeout=_PATIENCE), StageError)
            assert wait_until(lambda: not any(alive(int(pid)) for pid in (tmp_path / "pids").read_text().split()))
        subject.close()
        assert subject.submit(answer_task, self.task(tmp_path)).result(timeout=_PATIENCE).stage == "training"
