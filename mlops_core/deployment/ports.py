"""What the core hands to a deployer."""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from attrs import define

from mlops_core.artifacts import Artifacts
from mlops_core.deployment.bundle import write_bundle
from mlops_core.exceptions import ConfigError
from mlops_core.records import canonical_json
from mlops_core.stack import Stack

if TYPE_CHECKING:
    from mlops_core.records import ModelVersion
    from mlops_core.roles import Clock, Predictor

__all__ = ["Ports", "environment_folder", "write_private"]

_KEPT: Final = 8


def environment_folder(stack: Stack, environment: str) -> Path:
    """Where an environment's deployer keeps its files."""
    return stack.workdir / "environments" / environment


@define(eq=False)
class Ports:
    """The ``DeployContext`` of one environment."""

    stack: Stack
    environment: str
    timeout: float
    guarded: bool

    @property
    def artifacts(self) -> Artifacts:
        """Verified files of registered versions."""
        return Artifacts(self.stack)

    @property
    def workdir(self) -> Path:
        """A folder of this environment's own."""
        return environment_folder(self.stack, self.environment)

    @property
    def clock(self) -> Clock:
        """Time."""
        return self.stack.clock

    @property
    def command(self) -> tuple[str, ...]:
        """Starts ``mlops_core.serve`` over a private file that says how to compose the project's stack again.

        The file is named by its content: a command says the same for as long as it is used, and two that differ serve differently. Who is
        asked does not matter, since a server serves every tenant.

        Raises:
            ConfigError: A part of the stack cannot be composed in another process.
        """
        if (part := self.stack.parts.unportable()) is not None:
            raise ConfigError(
                f"environments.{self.environment}: its server runs in a process of its own, which cannot compose {part} - "
                "name the part in the configuration, or deploy in process"
            )
        text = canonical_json(self.stack.for_tenant(self.stack.settings.tenant).ref().to_dict())
        path = self.workdir / f"stack-{hashlib.sha256(text.encode()).hexdigest()[:16]}.json"
        write_private(path, text)
        for old in sorted(self.workdir.glob("stack-*.json"), key=_age)[_KEPT:]:
            old.unlink(missing_ok=True)
        return (sys.executable, "-m", "mlops_core.serve", "--stack", str(path), "--environment", self.environment, "--")

    def progress(self, done: float, total: float | None = None, note: str = "") -> None:
        """Loads are too short to be worth a bar."""

    def load(self, version: ModelVersion) -> Predictor:
        """Fetch, verify and load a model in this process."""
        return self.artifacts.predictor(version)

    def bundle(self, version: ModelVersion, into: Path) -> Path:
        """A version in a folder of its own, with its record."""
        return write_bundle(self.stack, version, into)


def _age(path: Path) -> float:
    """For an order from the newest; what another process has just removed comes last."""
    try:
        return -path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def write_private(path: Path, text: str) -> None:
    """Replace a file that only this user may read, in one step."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
