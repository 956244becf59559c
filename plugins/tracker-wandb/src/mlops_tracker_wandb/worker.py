"""The process that runs W&B for a tracker: ``python -m mlops_tracker_wandb.worker DESCRIPTOR``.

It reads requests from a socket and answers them. When the tracker's process is gone, so is it, and with it W&B's own service.
"""

from __future__ import annotations

import json
import os
import sys
from datetime import datetime
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mlops_core.exceptions import ExperimentError
from mlops_core.records import RunKey, RunStart, RunStatus, TrackBatch
from mlops_tracker_wandb.desk import Desk, Target

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["answer", "main"]

_GLANCE: Final = 1.0  # seconds between two looks whether the tracker's process is still there
_READERS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "start": RunStart.from_dict,
    "run": RunKey.from_dict,
    "batch": TrackBatch.from_dict,
    "path": Path,
    "status": RunStatus,
    "at": datetime.fromisoformat,
}


def answer(desk: Desk, request: dict[str, Any]) -> dict[str, str]:
    """Do what is asked: ``{}``, or why not under ``refused`` (for good) or ``broken`` (try again, with another process)."""
    call = request.pop("call")
    try:
        getattr(desk, call)(*(_READERS.get(name, str)(value) for name, value in request.items()))
    except ExperimentError as error:
        return {"refused": error.message}
    except Exception as error:  # noqa: BLE001  whatever W&B raises is told to the tracker
        return {"broken": f"{type(error).__name__}: {error}".partition("\n")[0]}
    return {}


def main(descriptor: int) -> None:
    """Answer until the tracker says ``close`` or is gone. Ends without W&B's own farewell, which would end the runs that are open."""
    connection = Connection(descriptor)
    parent = os.getppid()
    desk = Desk(Target(**json.loads(connection.recv_bytes())))
    try:
        while True:
            while not connection.poll(_GLANCE):
                if os.getppid() != parent:
                    return
            request = json.loads(connection.recv_bytes())
            last = request["call"] == "close"
            connection.send_bytes(json.dumps(answer(desk, request)).encode())
            if last:
                return
    except (EOFError, OSError):
        return
    finally:
        os._exit(0)


if __name__ == "__main__":
    main(int(sys.argv[1]))
