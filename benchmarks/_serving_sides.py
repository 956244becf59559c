"""The servers of ``serving.py``, each started on a port of this machine, on one core, and gone afterwards."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from _load import answered, pinned, post, tree
from attrs import field, frozen

from mlops_core import Project
from mlops_core.records import Column, Schema

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["COLUMNS", "PEERS", "Server", "absent", "mine", "other"]

COLUMNS: Final = tuple(f"x{number}" for number in range(8))
PEERS: Final[Mapping[str, tuple[str, ...]]] = {
    "mlflow": ("mlflow==3.17.2",),
    "mlserver": ("mlserver==1.7.1", "mlserver-sklearn==1.7.1"),
    "litserve": ("litserve==0.2.19",),
    "bentoml": ("bentoml==1.4.40",),
}
TOKEN: Final = "benchmark-token-of-32-characters"  # noqa: S105  of a server that lives as long as the benchmark
ROW: Final = (0.94, -1.4, -0.68, 0.69, -1.12, 0.3, 1.2, -0.05)
SPLIT: Final = json.dumps({"dataframe_split": {"columns": COLUMNS, "data": [ROW]}}).encode()
TENSOR: Final = json.dumps(
    {
        "inputs": [{"name": "x", "shape": [1, len(ROW)], "datatype": "FP64", "data": ROW}],
        "outputs": [{"name": "predict_proba", "datatype": "FP64", "shape": [1, 2]}],
    }
).encode()
REQUESTS: Final = {
    "mlflow": ("/invocations", SPLIT),
    "mlserver": ("/v2/models/m/infer", TENSOR),
    "litserve": ("/predict", SPLIT),
    "bentoml": ("/predict", SPLIT),
}
_SIDE: Final = str(Path(__file__).with_name("_serving_others.py"))
_PATIENCE: Final = 120.0
_POLL: Final = 0.1


@frozen
class Server:
    """A running server: where, the first of its processes, a request, and what it tells of its versions and settings."""

    port: int
    pid: int
    request: bytes
    told: Mapping[str, Any] = field(factory=dict)


@contextlib.contextmanager
def mine(folder: Path, model: Any, core: int | None = None, **options: object) -> Iterator[Server]:
    """This project's: deployed by its facade, with a token, routes and a SQLite sink."""
    folder.mkdir()
    (folder / "tokens").write_text(f"bench:{TOKEN}\n", encoding="utf-8")
    told = ", ".join(f"{name}: {value}" for name, value in {"use": "local", "tokens": '"${file:tokens}"', **options}.items())
    text = f"version: 1\ntenant: bench\ntracker: []\nenvironments: {{production: {{{told}}}}}\nmonitoring: {{sinks: [sqlite]}}\n"
    (folder / "mlops.yaml").write_text(text, encoding="utf-8")
    schema = Schema(tuple(Column(name, "float64") for name in COLUMNS))
    with Project.open(folder / "mlops.yaml") as project, contextlib.nullcontext() if core is None else pinned(core):
        project.versioning.version_model("m", "1.0.0", model=model, schema=schema)
        project.deployment.deploy_model("m", "1.0.0", "production")
        try:
            info = json.loads(next(folder.rglob("server.json")).read_bytes())
            yield Server(info["port"], info["pid"], post("/endpoints/m/invocations", SPLIT, Authorization=f"Bearer {TOKEN}"), options)
        finally:
            project.deployment.shutdown("production")


@contextlib.contextmanager
def other(kind: str, python: str, model: Path, core: int | None = None) -> Iterator[Server]:
    """One of ``_serving_others.py``; raises ``SystemExit`` where it does not answer in two minutes."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    told = json.loads(subprocess.run([python, _SIDE, kind, str(model), "versions"], capture_output=True, check=True).stdout)
    log = model.with_name(f"{kind}.log")
    path, body = REQUESTS.get(kind, ("/", SPLIT))
    with log.open("wb") as file, contextlib.nullcontext() if core is None else pinned(core):
        process = subprocess.Popen(
            [python, _SIDE, kind, str(model), str(port)], stdout=file, stderr=file, cwd=model.parent, start_new_session=True
        )
    try:
        server = Server(port, process.pid, post(path, body), told)
        _await(kind, process, server, log)
        yield server
    finally:
        for pid in tree(process.pid):  # not its group: BentoML's worker has one of its own
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait()


def _await(kind: str, process: subprocess.Popen[bytes], server: Server, log: Path) -> None:
    deadline = time.monotonic() + _PATIENCE
    while process.poll() is None and time.monotonic() < deadline:
        try:
            answered(server.port, server.request)
        except (OSError, SystemExit):
            time.sleep(_POLL)
        else:
            return
    raise SystemExit(f"{kind}: it does not serve: {log.read_text(encoding='utf-8', errors='replace')[-600:]}")


def absent(kind: str, folder: Path | None, place: Path) -> tuple[str, str]:
    """The interpreter of a peer, or why there is none: that of ``folder/KIND``, else a new environment's at ``place``."""
    if folder is not None:
        python = folder / kind / "bin" / "python"
        return (str(python), "") if python.exists() else ("", f"no {python}")
    home = place / f"{kind}-environment"
    python = home / "bin" / "python"
    same = f"scikit-learn=={version('scikit-learn')}"  # so that both read the same model
    try:
        subprocess.run([sys.executable, "-m", "venv", str(home)], check=True, capture_output=True)
        command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *PEERS[kind], same]
        subprocess.run(command, check=True, capture_output=True)
    except subprocess.CalledProcessError as error:
        shutil.rmtree(home, ignore_errors=True)
        return "", f"pip cannot install it: {error.stderr.decode(errors='replace').strip().splitlines()[-1:]}"
    return str(python), ""
