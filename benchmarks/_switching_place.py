"""What ``switching`` measures on: a project whose models load slowly, its server, and clients in a process of their own."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from attrs import define, field, frozen

from mlops_core import Project
from mlops_core.records import Column, Schema

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType
    from typing import Self

__all__ = ["CONNECTIONS", "LOAD", "LOCAL", "MEMORY", "Clients", "Row", "project_with", "serving"]

CONNECTIONS: Final = 4
LOAD: Final = 1.0  # seconds
SCHEMA: Final = Schema((Column("x", "float64"),))
CONFIGURATION: Final = """\
version: 1
tenant: bench
tracker: []
registry: {use: sqlite, path: registry.db, busy_timeout: 0.5}
formats: ["./slow.py:SlowFormat"]
environments: {production: ENVIRONMENT}
monitoring: {sinks: [sqlite]}
"""
LOCAL: Final = "{use: local, workers: 2, rollback_window: 1h}"
MEMORY: Final = '"mlops_core.testing.memory_deployer:MemoryDeployer"'
FORMAT: Final = '''\
"""A model in a file, whose load takes its time, or fails; each answer tells when the model was asked for it."""

import time

import numpy as np
from attrs import define
from mlops_core.roles import Format


class Slow:
    def __init__(self, slope):
        self.slope = slope

    def predict(self, columns):
        asked = time.monotonic()
        return {"y": columns["x"] * self.slope, "asked": np.full(len(columns["x"]), asked)}


@define
class SlowFormat(Format):
    contract = 1
    capabilities = frozenset({"predict"})
    name = "slow"

    def accepts(self, value):
        return isinstance(value, Slow)

    def sniff(self, path):
        return path.is_file() and path.read_bytes()[:5] == b"slow "

    def write(self, value, path):
        path.write_text(f"slow {value.slope}")

    def read(self, path):
        time.sleep(LOAD)
        slope = float(path.read_text().split()[1])
        if slope < 0:
            raise ValueError("broken")
        return Slow(slope)

    def predictor(self, value, schema):
        return value
'''


@frozen
class Row:
    """One request, at the machine's monotonic clock; ``routed``: when its version's model was asked, 0 where none was."""

    sent: float
    routed: float
    answered: float
    version: str
    wrong: str


@define
class Clients:
    """Keep connections busy while the block lasts; then ``rows`` says what they saw."""

    port: int
    rows: Sequence[Row] = field(factory=list, init=False)
    _process: subprocess.Popen[str] = field(init=False)

    def __enter__(self) -> Self:
        command = [sys.executable, str(Path(__file__).with_name("_clients.py")), str(self.port), str(CONNECTIONS)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        time.sleep(1.0)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        told, _ = self._process.communicate()
        self.rows = sorted((Row(*row) for row in json.loads(told)), key=lambda row: row.sent)


@contextlib.contextmanager
def project_with(place: Path, versions: int, environment: str, load: float = LOAD) -> Iterator[Project]:
    """A project with so many versions, whose load takes so many seconds, and one that does not load."""
    place.mkdir()
    (place / "slow.py").write_text(FORMAT.replace("LOAD", str(load)), encoding="utf-8")
    (place / "mlops.yaml").write_text(CONFIGURATION.replace("ENVIRONMENT", environment), encoding="utf-8")
    with Project.open(place) as project:
        for number in (*range(1, versions + 1), -1):
            path = place / f"model{number}"
            path.write_text(f"slow {number}", encoding="utf-8")
            project.versioning.version_model("m", f"{number}.0.0" if number > 0 else "broken", path, schema=SCHEMA)
        try:
            yield project
        finally:
            project.deployment.shutdown("production")


@contextlib.contextmanager
def serving(place: Path, versions: int) -> Iterator[tuple[Project, int]]:
    """The same on a local server, the first version deployed; and the port."""
    with project_with(place, versions, LOCAL) as project:
        project.deployment.deploy_model("m", "1.0.0", "production")
        yield project, int(json.loads(next(place.rglob("server.json")).read_text())["port"])
