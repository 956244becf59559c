"""A serving process over models that are described by files: what ``mlops_core.serve`` does for a project, without one.

``python serving_process.py FOLDER OPTIONS ARGS...``; each ``FOLDER/versions/NAME.json`` says how that version behaves.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from attrs import evolve

from mlops_core.exceptions import ArtifactError, DeploymentError, VersioningError
from mlops_core.records import Column, ModelVersion, Schema
from mlops_deployer_local.deployer import LocalDeployer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from mlops_core.records import SeriesKey
    from mlops_core.roles import Clock, Predictor, Recorder

SCHEMA = Schema(
    (Column("x", "float64"), Column("carrier", "str", nullable=True)),
    (Column("version", "str"), Column("double", "float64")),
)


class SystemTime:
    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


class Scripted:
    """Answers its version's name and twice its input, as its description says."""

    def __init__(self, name: str, script: dict[str, Any], folder: Path) -> None:
        self.name, self.script, self.folder = name, script, folder

    def predict(self, columns: Mapping[str, NDArray[Any]]) -> Mapping[str, NDArray[Any]]:
        x = columns["x"]
        if (self.folder / "record").exists():
            with (self.folder / "calls").open("a", encoding="utf-8") as file:
                file.write(f"{len(x)}\n")
        time.sleep(0 if (x == 0).any() else self.script.get("delay", 0))
        if self.script.get("fault") == "predict" or (x == -1).any():
            raise ValueError("this model never works\nand says so in two lines")
        if self.script.get("exits") == "predict":
            sys.exit("enough of this")
        if (x == -2).any() or (self.script.get("fatal") and (x == 1).any()):
            os._exit(7)
        if (x == -3).any():
            (self.folder / "begun").touch()
        while (x == -3).any() and not (self.folder / "go-on").exists():
            time.sleep(0.01)
        if (x == -4).any():
            return {"double": np.array([Decimal(2)] * len(x), dtype=object)}
        return {"version": np.full(len(x), self.name), "double": x * 2}


class Lines:
    """A recorder that writes one line per prediction."""

    def __init__(self, path: Path, series: SeriesKey, revision: int) -> None:
        self.path, self.series, self.revision = path, series, revision

    def count(self, seconds: float, success: bool, error: str | None = None, repeated: bool = False) -> None:  # noqa: FBT001, FBT002  the port's signature
        line = [self.series.tenant, self.series.environment, self.series.model, self.series.version, self.revision, success, error]
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        if repeated:
            with self.path.with_suffix(".repeated").open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")

    def wants(self, prediction_id: str, rows: int = 1) -> bool:
        return False

    def sample(self, prediction_id: str, features: Any, output: Any) -> None:
        raise AssertionError("nothing was wanted")

    def failed(self, prediction_id: str, features: Any, error: str) -> None:
        with self.path.with_suffix(".failures").open("a", encoding="utf-8") as file:
            file.write(json.dumps([prediction_id, sorted(features), error]) + "\n")

    def drop(self) -> None:
        with self.path.with_suffix(".dropped").open("a", encoding="utf-8") as file:
            file.write(json.dumps([self.series.version, self.revision]) + "\n")


class Silent(Lines):
    def count(self, seconds: float, success: bool, error: str | None = None, repeated: bool = False) -> None:  # noqa: FBT001, FBT002
        """Nobody counts."""


class Host:
    """The ports of a serving process."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.workdir = folder, folder / "environment"
        self.clock: Clock = SystemTime()
        self.tenant = os.environ.get("SCRIPTED_TENANT", "acme")

    def version(self, tenant: str, model: str, version: str) -> ModelVersion:
        path = self.folder / "versions" / f"{version}.json"
        if not path.exists():
            raise VersioningError(f"registry: no version {version!r} of {model!r}")
        return make_version(version, tenant=tenant, model=model, column=json.loads(path.read_text()).get("column"))

    def load(self, version: ModelVersion) -> Predictor:
        script = json.loads((self.folder / "versions" / f"{version.version}.json").read_text())
        time.sleep(script.get("load_time", 0))
        if gate := script.get("gate"):
            (self.folder / f"{gate}-{os.getpid()}").touch()
        while gate and not (self.folder / gate).exists():
            time.sleep(0.01)
        if script.get("fault") == "load":
            raise ArtifactError(f"artifact {version.version}: does not match its sha256")
        if script.get("fault") == "crash":
            os._exit(9)
        if script.get("exits") == "load":
            sys.exit("enough of this")
        return Scripted(version.version, script, self.folder)

    def recorder(self, series: SeriesKey, revision: int, *, shadow: bool = False) -> Recorder:
        return (Lines if (self.folder / "record").exists() else Silent)(self.folder / "records.jsonl", series, revision)

    def authenticate(self, token: str | None) -> str | None:
        path = self.folder / "tokens.json"
        if not path.exists():
            return None
        tokens = json.loads(path.read_text())
        if token not in tokens:
            raise DeploymentError("token: missing or wrong - send Authorization: Bearer TOKEN")
        return str(tokens[token])


def make_version(version: str, *, tenant: str = "acme", model: str = "delays", column: str | None = None) -> ModelVersion:
    """``column``: one that this version takes as well."""
    at = datetime(2024, 1, 1, tzinfo=UTC)
    schema = SCHEMA if column is None else evolve(SCHEMA, inputs=(*SCHEMA.inputs, Column(column, "float64")))
    return ModelVersion(tenant, model, version, version, version, (), at, schema=schema, format="scripted")


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    deployer = LocalDeployer(**json.loads(sys.argv[2]))
    host = Host(Path(sys.argv[1]))
    deployer.attach("staging", None)  # type: ignore[arg-type]  # a serving process needs the name only
    deployer.serve(host, sys.argv[3:])
