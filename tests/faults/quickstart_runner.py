"""Calls ``mlops`` and dies on the way: run as a script, one JSON request a line, one answer a line; for ``test_quickstart_crash.py``.

A request is ``{"folder": ..., "arguments": [...], "point": ..., "when": "before" or "after"}``: where to call it, with what, and around
which effect to kill the whole process group; no point, no death. The answer is ``{"status": ..., "passed": [...]}``: how it ended (a
negative signal, if it was killed), and the points that it passed, in order. Each call is a fork, so that it costs no start of Python; this
process opens nothing. A point is an effect on the registry or on the server, or the entry that tells of one:

    put_artifact, add_next_version, load, set_routes, entry deployments KIND, entry runs KIND STAGE
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops_core.cli import main
from mlops_core.deployment import desk
from mlops_deployer_local.deployer import LocalDeployer
from mlops_registry_sql.sqlite import SqliteRegistry

if TYPE_CHECKING:
    from collections.abc import Callable

EFFECTS: tuple[tuple[Any, str], ...] = (
    (SqliteRegistry, "append"),
    (SqliteRegistry, "put_artifact"),
    (SqliteRegistry, "add_next_version"),
    (LocalDeployer, "load"),
    (LocalDeployer, "set_routes"),
)
NEEDED = ("mlops_core.mlops_pipeline", "pyarrow.csv", "rich.console", "scipy.stats", "skops.io", "sklearn.ensemble", "sqlalchemy")


def name_of(effect: str, arguments: tuple[Any, ...]) -> str:
    """The point, as a request names it."""
    if effect != "append":
        return effect
    journal, entry = arguments[2], arguments[4]
    stage = next(iter(entry.change.get("results", ())), "")
    return f"entry {journal.partition('/')[0]} {entry.kind} {stage}".strip()


def watch(folder: Path, point: str, when: str) -> None:
    """Keep a list of the points that are passed, and die around one."""

    def watched(effect: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def around(*arguments: Any, **named: Any) -> Any:
            name = name_of(effect, arguments)
            with (folder / "passed").open("a") as stream:
                stream.write(f"{name}\n")
            if (name, when) == (point, "before"):
                os.killpg(0, signal.SIGKILL)
            answer = call(*arguments, **named)
            if (name, when) == (point, "after"):
                os.killpg(0, signal.SIGKILL)
            return answer

        return around

    for cls, effect in EFFECTS:
        setattr(cls, effect, watched(effect, getattr(cls, effect)))


def call(folder: Path, request: dict[str, Any]) -> None:
    """What the fork does: a group of its own, its words in a file, the command line as a person calls it."""
    os.setsid()
    said = os.open(folder / "said", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(said, 1)
    os.dup2(said, 2)
    os.chdir(folder)
    watch(folder, request.get("point", ""), request.get("when", ""))
    main(request["arguments"])


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """Carry out one request in a fork."""
    folder = Path(request["folder"])
    (folder / "passed").write_text("")
    child = os.fork()
    if child == 0:
        code = 70
        try:
            call(folder, request)
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else 0
        finally:
            sys.stdout.flush()
            os._exit(code)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return {"status": status, "passed": (folder / "passed").read_text().splitlines()}


if __name__ == "__main__":
    vars(desk)["_LEASE"] = timedelta(seconds=0.5)  # a dead process holds an endpoint for as long
    for module in NEEDED:
        importlib.import_module(module)
    for line in sys.stdin:
        sys.stdout.write(json.dumps(answer(json.loads(line))) + "\n")
        sys.stdout.flush()
