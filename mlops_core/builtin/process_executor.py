"""Executor ``process``: each stage runs in a fresh worker process of its own session."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from concurrent.futures import Future
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, ClassVar, Final

from attrs import define, field

from mlops_core import exceptions
from mlops_core.exceptions import MLOpsError, PluginError, StageError, StageTimeoutError
from mlops_core.hookspecs import hookimpl
from mlops_core.records import StageResult
from mlops_core.roles import Executor

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlops_core.records import StageTask

__all__ = ["ProcessExecutor"]

_BOOT: Final = (
    "import json, sys; job = json.loads(sys.stdin.readline()); sys.path[:] = job['path']; "
    "from mlops_core.builtin.process_worker import main; main(job)"
)
_TAIL: Final = 4096
_SHOWN: Final = 200


@define(eq=False)
class ProcessExecutor(Executor):
    """A stage that hangs, crashes or leaks takes nobody with it: its process group is killed at the timeout and when it ends.

    What the stage prints is kept in ``.mlops/logs/RUN/STAGE-ATTEMPT.log``. The worker composes the stack anew from the task, so the stack
    must be portable. It dies with the process that submitted it.
    """

    contract: ClassVar[int] = 1
    capabilities: ClassVar[frozenset[str]] = frozenset({"kill", "remote"})

    _running: set[subprocess.Popen[bytes]] = field(factory=set, init=False, repr=False)
    _pid: int = field(factory=os.getpid, init=False, repr=False)

    def submit(self, work: Callable[[StageTask], StageResult], task: StageTask) -> Future[StageResult]:
        """Start a worker and answer at once."""
        name = _name_of(work)
        future = Future[StageResult]()
        future.set_running_or_notify_cancel()
        threading.Thread(target=self._attend, args=(name, task, future), name=f"mlops-{task.stage}", daemon=True).start()
        return future

    def close(self) -> None:
        """Kill what still runs; the futures end in ``StageError``. The executor can be used again."""
        if self._pid == os.getpid():
            for process in tuple(self._running):
                _kill_group(process)

    def _attend(self, name: str, task: StageTask, future: Future[StageResult]) -> None:
        try:
            future.set_result(self._run(name, task))
        except MLOpsError as error:
            future.set_exception(error)
        except Exception as error:  # noqa: BLE001  a future that is never set would hang the run
            failed = StageError(f"stage {task.stage!r}: no worker could be started: {type(error).__name__}: {error}")
            failed.__cause__ = error
            future.set_exception(failed)

    def _run(self, name: str, task: StageTask) -> StageResult:
        log = _log_path(task)
        log.parent.mkdir(parents=True, exist_ok=True)
        job = {"path": [os.path.abspath(path) for path in sys.path], "work": name, "task": task.to_dict()}  # noqa: PTH100  "" is here too
        with tempfile.TemporaryFile() as answer, log.open("wb") as printed:
            command = [sys.executable, "-c", _BOOT]
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=answer, stderr=printed, start_new_session=True)
            self._running.add(process)
            try:
                self._hand_over(process, json.dumps(job).encode() + b"\n")
                process.wait(task.timeout)
            except subprocess.TimeoutExpired:
                if _reply_in(answer) is None:  # else it is done, and only what it left running is not
                    raise StageTimeoutError(
                        f"stage {task.stage!r}: not done after its timeout of {task.timeout:g} s, so its processes were ended{_said(log)}"
                    ) from None
            finally:
                _kill_group(process)
                process.wait()
                self._running.discard(process)
                _close_pipe(process)
            return _result_of(answer, process.returncode, task, log)

    @staticmethod
    def _hand_over(process: subprocess.Popen[bytes], job: bytes) -> None:
        """The pipe stays open afterwards: the worker lives as long as it does. A worker that is dead already shows by its exit."""
        if process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                process.stdin.write(job)
                process.stdin.flush()


def _name_of(work: Callable[[StageTask], StageResult]) -> str:
    module, path = getattr(work, "__module__", ""), getattr(work, "__qualname__", "<object>")
    if module in {"", "__main__"} or "<" in path:
        raise PluginError(f"executor process: {path} of {module or 'nowhere'} cannot be imported by a worker - use a function of a module")
    return f"{module}:{path}"


def _log_path(task: StageTask) -> Path:
    return Path(task.config.root) / ".mlops" / "logs" / task.run_id / f"{task.stage}-{task.attempt}.log"


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    """End the worker and every process of its session that it has not left on purpose."""
    if sys.platform == "win32":  # pragma: no cover  another system's branch
        process.kill()
    else:
        with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS answers EPERM for a group of zombies
            os.killpg(process.pid, signal.SIGKILL)


def _close_pipe(process: subprocess.Popen[bytes]) -> None:
    if process.stdin is not None:
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()


def _result_of(answer: IO[bytes], code: int, task: StageTask, log: Path) -> StageResult:
    reply = _reply_in(answer)
    if reply is None:
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit status {code}"
        raise StageError(f"stage {task.stage!r}: its worker process {how} before it answered{_said(log)}")
    if "result" in reply:
        return StageResult.from_dict(reply["result"])
    kind = getattr(exceptions, reply["error"], StageError) if reply["error"] else StageError
    raise kind(reply["message"]) from RuntimeError(reply["traceback"])


def _reply_in(answer: IO[bytes]) -> Any:
    """What the worker answered; None if nothing, or not all of it."""
    answer.seek(0)
    try:
        return json.loads(answer.read())
    except ValueError:
        return None


def _said(log: Path) -> str:
    """The last line that the stage printed, and where the rest is."""
    with log.open("rb") as stream:
        stream.seek(max(0, log.stat().st_size - _TAIL))
        lines = stream.read().decode(errors="replace").split("\n")
    last = next((line.strip() for line in reversed(lines) if line.strip()), "")
    where = "/".join(log.parts[-4:])
    return f" (last line: {last[:_SHOWN]!r}, log: {where})" if last else f" (it printed nothing; log: {where})"


@hookimpl
def mlops_executor() -> type[Executor]:
    """Hand over the class."""
    return ProcessExecutor
