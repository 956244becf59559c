"""A local server under test, over scripted models."""

from __future__ import annotations

import contextlib
import http.client
import importlib.util
import json
import sys
import urllib.parse
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pytest

from mlops_core.clock import SystemClock
from mlops_core.exceptions import DeploymentError
from mlops_core.records import VariantCount
from mlops_core.testing.deployer_suite import DeployerRig
from mlops_deployer_local.deployer import LocalDeployer
from mlops_deployer_local.process import Process, is_alive
from mlops_deployer_local.state import read_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlops_core.records import EndpointKey, ModelVersion
    from mlops_core.roles import ArtifactStore, Clock, Deployer, Predictor

PROGRAM = Path(__file__).with_name("serving_process.py")


class Context:
    """Ports of an environment whose serving processes are scripted ones."""

    artifacts: ArtifactStore
    clock: Clock = SystemClock()

    def __init__(self, folder: Path, options: dict[str, Any]) -> None:
        self.folder, self.workdir = folder, folder / "environment"
        self.timeout, self.guarded = 30.0, False
        self.configure(options)

    def configure(self, options: dict[str, Any]) -> None:
        """What the configuration says from now on."""
        self.command = (sys.executable, str(PROGRAM), str(self.folder), json.dumps(options))

    def progress(self, done: float, total: float | None = None, note: str = "") -> None:
        """Nobody looks."""

    def load(self, version: ModelVersion) -> Predictor:
        raise AssertionError("this deployer loads in other processes")

    def bundle(self, version: ModelVersion, into: Path) -> Path:
        raise AssertionError("this deployer fetches models by itself")


class LocalRig(DeployerRig):
    """One server in a folder of its own, and what a client does."""

    context: Context

    def __init__(self, folder: Path, **options: Any) -> None:
        self.folder, self.options = folder, options
        (folder / "versions").mkdir()
        self.context = Context(folder, options)
        self.deployer = self.again()

    def again(self) -> Deployer:
        deployer = LocalDeployer(**self.options)
        deployer.attach("staging", self.context)
        return deployer

    def configure(self, **options: Any) -> None:
        """Change the configuration, and be a process that has read it."""
        self.options = options
        self.context.configure(options)
        self.deployer = self.again()

    def version(self, name: str, *, fault: Literal["", "load", "predict", "crash"] = "", **script: Any) -> ModelVersion:
        (self.folder / "versions" / f"{name}.json").write_text(json.dumps({"fault": fault, **script}))
        return scripted().make_version(name)  # type: ignore[no-any-return]  # loaded by path

    def serve(self, name: str = "1.0.0", **script: Any) -> None:
        """Have one version loaded and routed."""
        self.deployer.load(self.endpoint, self.version(name, **script), self.context)
        self.route((name, 1.0))

    @property
    def address(self) -> tuple[str, int]:
        url = urllib.parse.urlsplit(self.deployer.observe(self.endpoint).url)
        assert url.hostname
        assert url.port
        return url.hostname, url.port

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(*self.address, timeout=60)

    def post(self, path: str, body: Any, **headers: str) -> tuple[int, dict[str, Any], dict[str, str]]:
        """Status, JSON and headers of one answer."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.request("POST", path, raw, **{"content_type": "application/json", **headers})

    def get(self, path: str, **headers: str) -> tuple[int, dict[str, Any], dict[str, str]]:
        return self.request("GET", path, None, **headers)

    def request(self, method: str, path: str, body: bytes | None, **headers: str) -> tuple[int, dict[str, Any], dict[str, str]]:
        connection = self.connect()
        try:
            connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
            answer = connection.getresponse()
            text = answer.read()
            return answer.status, json.loads(text) if text else {}, {name.lower(): value for name, value in answer.getheaders()}
        finally:
            connection.close()

    def ask(self, endpoint: EndpointKey, *, unit: str | None = None) -> str:
        headers = {"x_mlops_tenant": endpoint.tenant} | ({} if unit is None else {"x_mlops_unit": unit})
        try:
            status, answer, _ = self.post(f"/endpoints/{endpoint.model}/invocations", rows(1.0), **headers)
        except OSError as error:
            raise DeploymentError(f"no answer: {type(error).__name__}: {error}") from error
        if status != 200:
            raise DeploymentError(f"{status}: {answer['error']}")
        assert answer["predictions"] == [{"version": answer["version"], "double": 2.0}]
        return str(answer["version"])

    def route(self, *weights: tuple[str, float], endpoint: EndpointKey | None = None, shadow: str | None = None) -> int:
        if shadow is not None:
            (self.folder / "record").touch()
        return super().route(*weights, endpoint=endpoint, shadow=shadow)

    def shadowed(self, version: str) -> VariantCount:
        told = self.records()
        mine = [success for *_, named, _, success, _ in told if named == version]
        dropped = [named for named, _ in self.records(".dropped") if named == version]
        return VariantCount(version, 0, len(mine), mine.count(False), len(dropped))

    def records(self, suffix: str = ".jsonl") -> list[Any]:
        """What recorders were told, of those that were made after there was a shadow."""
        path = (self.folder / "records").with_suffix(suffix)
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def processes(self) -> list[Process]:
        """The supervisor, then the serving processes."""
        info = read_json(self.context.workdir / "server" / "server.json")
        assert info is not None
        return [(info["pid"], info["started"]), *((pid, begun) for pid, begun in info["workers"])]

    def log(self) -> str:
        return (self.context.workdir / "server" / "server.log").read_text()


def rows(*values: float) -> dict[str, Any]:
    """A body for the scripted models."""
    return {"inputs": {"x": list(values), "carrier": ["UA"] * len(values)}}


def scripted() -> Any:
    """The module that serving processes run."""
    spec = importlib.util.spec_from_file_location("serving_process", PROGRAM)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@contextlib.contextmanager
def opened(folder: Path, **options: Any) -> Iterator[LocalRig]:
    """A rig; whatever it started is gone afterwards."""
    rig = LocalRig(folder, **options)
    try:
        yield rig
    finally:
        running = rig.processes() if (rig.context.workdir / "server" / "server.json").exists() else []
        rig.again().shutdown()
        assert [process for process in running if is_alive(process)] == []


@pytest.fixture(scope="session")
def rig_in() -> Any:
    """Opens a rig in a folder, as a context manager."""
    return opened


@pytest.fixture
def make_rig(tmp_path: Path) -> Iterator[Any]:
    """Rigs by option."""
    with contextlib.ExitStack() as stack:

        def make(**options: Any) -> LocalRig:
            folder = tmp_path / f"rig{len(list(tmp_path.iterdir()))}"
            folder.mkdir()
            return stack.enter_context(opened(folder, **options))

        yield make


@pytest.fixture
def rig(make_rig: Any) -> LocalRig:
    """A rig with the defaults."""
    return make_rig()  # type: ignore[no-any-return]  # the factory above makes nothing else
