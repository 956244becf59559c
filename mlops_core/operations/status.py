"""What the control loop is doing, readable from any process of the project."""

from __future__ import annotations

import json
import os
import uuid
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from attrs import evolve, frozen

from mlops_core.journal import Journal
from mlops_core.records import Record

if TYPE_CHECKING:
    from pathlib import Path

    from mlops_core.stack import Stack

__all__ = ["JOURNAL", "LEASE", "LoopStatus", "PassStatus", "loop_status", "status_path", "write_status"]

JOURNAL: Final = "operations/loop"
LEASE: Final = "operations/loop"
_VERSION: Final = 1
_PROBE: Final = timedelta(seconds=1)


@frozen
class PassStatus(Record):
    """One pass: how often it is due (``every``, seconds), how often it ran, when last and how long; ``error`` of the last run, one line."""

    name: str
    every: float
    runs: int = 0
    started: datetime | None = None
    seconds: float = 0.0
    error: str = ""


@frozen
class LoopStatus(Record):
    """Whether a control loop is alive, and which. ``passes`` are known on the machine where it runs."""

    running: bool = False
    owner: str = ""
    host: str = ""
    pid: int = 0
    since: datetime | None = None
    seen: datetime | None = None
    passes: tuple[PassStatus, ...] = ()


def loop_status(stack: Stack) -> LoopStatus:
    """Ask the registry whether a loop holds the lease, and read what the last one said of itself."""
    store, tenant = stack.parts.registry, stack.settings.tenant
    probe = f"probe-{uuid.uuid4().hex}"
    running = not store.lease(tenant, LEASE, probe, _PROBE)
    if not running:
        store.lease(tenant, LEASE, probe, timedelta(0))
    head = Journal(store, tenant, JOURNAL).head()
    told = LoopStatus.from_dict(dict(head.state)) if head.state else LoopStatus()
    written = _read_status(status_path(stack.workdir))
    newest = written if written is not None and written.owner == told.owner else told
    return evolve(newest, running=running)


def status_path(workdir: Path) -> Path:
    """The file in which the loop of this machine says how its passes went."""
    return workdir / "operations" / "loop.json"


def write_status(path: Path, status: LoopStatus) -> None:
    """Replace the file in one step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    fresh.write_text(json.dumps({"version": _VERSION, **status.to_dict()}), encoding="utf-8")
    fresh.replace(path)


def _read_status(path: Path) -> LoopStatus | None:
    """None where no loop ran on this machine, or a newer release's did."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return LoopStatus.from_dict(content) if content.pop("version") == _VERSION else None
