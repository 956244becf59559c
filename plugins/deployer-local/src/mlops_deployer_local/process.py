"""Processes told apart by number and start: a number alone may belong to a stranger by now."""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Process", "end_all", "is_alive", "memory_of", "started"]

Process = tuple[int, str]
"""A process: its number, and what ``started`` said of it."""

_POLL: Final = 0.02
_PROC: Final = Path("/proc")
_STATE, _START = 0, 19  # fields of /proc/PID/stat, counted behind the name


def started(pid: int) -> str | None:
    """When a process began, in the system's words, unique with its number; None if it does not run (any more)."""
    if (_PROC / "self" / "stat").exists():
        try:
            text = (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return None
        fields = text.rpartition(")")[2].split()
        return None if fields[_STATE] in "ZX" else f"{_boot()}/{fields[_START]}"
    answer = subprocess.run(["/bin/ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    state, _, begun = answer.stdout.strip().partition(" ")
    return begun.strip() if begun and not state.startswith("Z") else None


@functools.cache
def _boot() -> str:
    return (_PROC / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def is_alive(process: Process) -> bool:
    """Whether this very process runs."""
    return started(process[0]) == process[1]


def memory_of(pids: Iterable[int]) -> int:
    """What processes have resident, in bytes, pages that they share counted for each; 0 where the system does not tell."""
    pages = 0
    for pid in pids:
        with contextlib.suppress(OSError):  # no such system, or it has ended
            pages += int((_PROC / str(pid) / "statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def end_all(processes: list[Process], patience: float) -> list[Process]:
    """Ask processes to end, end those that do not within ``patience`` seconds, and answer those that are still there."""
    _signal(processes, signal.SIGTERM)
    if left := _wait(processes, patience):
        _signal(left, signal.SIGKILL)
        return _wait(left, patience)
    return []


def _signal(processes: list[Process], number: signal.Signals) -> None:
    for process in processes:
        if is_alive(process):
            with contextlib.suppress(ProcessLookupError):  # it ended between the two calls
                os.kill(process[0], number)


def _wait(processes: list[Process], patience: float) -> list[Process]:
    deadline = time.monotonic() + patience
    left = [one for one in processes if is_alive(one)]
    while left and time.monotonic() < deadline:
        time.sleep(_POLL)
        left = [one for one in left if is_alive(one)]
    return left
