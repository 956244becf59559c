"""The worker of the executor ``process``: one fresh interpreter that runs one task.

It is handed a job on standard input and answers on what was its standard output; everything the task prints goes to standard error, which
the executor keeps as the log. The pipe behind standard input stays open for as long as the parent lives: when it closes, the worker kills
its process group, so that no stage outlives the run that wanted it. Once it has answered, what the stage left running has a moment to end.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
import threading
import traceback
from typing import TYPE_CHECKING, Any, Final

from mlops_core.exceptions import MLOpsError
from mlops_core.records import StageTask
from mlops_core.secrecy import mask

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["main"]

_LAST_MOMENT: Final = 5.0  # seconds for threads and exit functions, such as those of a tracker that the stage opened


def main(job: Mapping[str, Any]) -> None:
    """Run ``job`` (``work`` as ``module:name``, ``task`` as plain values) and answer with one JSON document."""
    answer = os.dup(1)
    os.dup2(2, 1)
    _die_with_parent()
    with os.fdopen(answer, "w", encoding="utf-8") as stream:
        json.dump(_reply(job), stream)
    leaving = threading.Timer(_LAST_MOMENT, _leave)
    leaving.daemon = True
    leaving.start()


def _leave() -> None:
    """Python itself would wait for a thread that never ends."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def _reply(job: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return {"result": _find(job["work"])(StageTask.from_dict(job["task"])).to_dict()}
    except Exception as error:  # noqa: BLE001  it crosses to the parent, which raises it there
        trace = mask(traceback.format_exc())
        sys.stderr.write(trace)
        known = isinstance(error, MLOpsError)
        message = error.message if isinstance(error, MLOpsError) else f"{type(error).__name__}: {' '.join(mask(str(error)).split())}"
        return {"error": type(error).__name__ if known else "", "message": message, "traceback": trace}


def _find(name: str) -> Callable[[StageTask], Any]:
    module, _, path = name.partition(":")
    found: Any = importlib.import_module(module)
    for part in path.split("."):
        found = getattr(found, part)
    return found  # type: ignore[no-any-return]  # the executor checked that it is the function


def _die_with_parent() -> None:
    """Move the pipe away from standard input, where a stage could read it empty, and watch it."""
    tether = os.dup(0)
    with open(os.devnull, "rb") as nothing:  # noqa: PTH123  a device, not a path of the project
        os.dup2(nothing.fileno(), 0)
    threading.Thread(target=_watch, args=(tether,), name="mlops-tether", daemon=True).start()


def _watch(tether: int) -> None:
    while os.read(tether, 1):
        pass
    if sys.platform == "win32":  # pragma: no cover  another system's branch
        os._exit(1)
    else:
        os.killpg(os.getpgrp(), signal.SIGKILL)
