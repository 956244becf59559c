"""The worker process as the tracker sees it: started at the first call, asked, and gone at the end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections import deque
from multiprocessing import Pipe
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Worker", "environment"]

_FAREWELL: Final = 5.0  # seconds
# Of W&B's variables, those that say how to reach its server. The rest describes a run of the program's own, and its own service.
_KEPT: Final = frozenset(
    {
        "WANDB_API_KEY",
        "WANDB_BASE_URL",
        "WANDB_CONFIG_DIR",
        "WANDB_CREDENTIALS_FILE",
        "WANDB_ENTITY",
        "WANDB_HTTP_TIMEOUT",
        "WANDB_IDENTITY_TOKEN_FILE",
        "WANDB_INSECURE_DISABLE_SSL",
    }
)


def environment(folder: str, inherited: Mapping[str, str]) -> dict[str, str]:
    """The worker's environment: no reports to W&B's makers, and files nowhere but under ``folder``."""
    kept = {name: value for name, value in inherited.items() if not name.startswith("WANDB_") or name in _KEPT}
    return {
        **kept,
        "WANDB_CACHE_DIR": os.path.join(folder, "cache"),  # noqa: PTH118  text, as the environment takes it
        "WANDB_DATA_DIR": os.path.join(folder, "data"),  # noqa: PTH118
        "WANDB_ERROR_REPORTING": "false",
        "WANDB_SILENT": "true",
    }


class Worker:
    """A process with W&B in it. Its standard error is open as long as it or W&B's service lives, so that its end is the end of both."""

    def __init__(self, settings: Mapping[str, Any], environ: Mapping[str, str]) -> None:
        self._connection, theirs = Pipe()
        command = [sys.executable, "-P", "-m", "mlops_tracker_wandb.worker", str(theirs.fileno())]
        self._process = subprocess.Popen(
            command,
            env=dict(environ),
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,  # an interrupt from the keyboard is the training's; its runs are still to be ended
        )
        theirs.close()
        self._said: deque[str] = deque(maxlen=5)
        self._listener = threading.Thread(target=self._listen, name="mlops-wandb", daemon=True)
        self._listener.start()
        self._connection.send_bytes(json.dumps(settings).encode())

    def ask(self, request: Mapping[str, Any], patience: float) -> dict[str, str]:
        """Send a request and wait for its answer.

        Raises:
            OSError: The process is gone, or says nothing for ``patience`` seconds (``TimeoutError``).
        """
        try:
            self._connection.send_bytes(json.dumps(request).encode())
            if not self._connection.poll(patience):
                self._process.kill()
                raise TimeoutError(f"no answer for {patience:.0f} s")
            found: dict[str, str] = json.loads(self._connection.recv_bytes())
        except (EOFError, ConnectionError):
            self._process.wait(_FAREWELL)
            self._listener.join(_FAREWELL)
            said = f": {self._said[-1]}" if self._said else ""
            raise ConnectionError(f"its process ended with {self._process.returncode}{said}") from None
        return found

    def stop(self) -> None:
        """End the process and W&B's service, and wait until both are gone."""
        self._connection.close()
        try:
            self._process.wait(_FAREWELL)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._listener.join(_FAREWELL)

    def _listen(self) -> None:
        if self._process.stderr is None:
            return
        with self._process.stderr as stream:
            for line in stream:
                self._said.append(line.decode(errors="replace").strip()[:300])
