"""A backend of every role fails with its secret in its words: no error, log, report, journal or file of the project shows it."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from mlops_core import Project
from mlops_core.exceptions import MLOpsError
from mlops_core.records import RunReport, RunStarted

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SECRET = "s3cr3t/tok'en+42"
FAILING = '''
from attrs import define, field
from mlops_core.exceptions import StageError
from mlops_core.hookspecs import hookimpl
from mlops_core.roles import AlertChannel, Deployer, DriftTest, Executor, Format, MonitorSink, Observer, RegistryStore, Stage, Tracker


def made(role, **further):
    """A class of the role whose every method fails as a client over HTTP does."""

    def fail(self, *args, **named):
        raise RuntimeError(f"404\\nfor url {self.url!r}")

    further["__annotations__"] = {"url": str}
    further["url"] = field(default=DEFAULT, metadata={"help": "where"})
    body = {**dict.fromkeys({*role.__abstractmethods__, "close"}, fail), "__module__": __name__, "contract": 1, **further}
    return define(eq=False)(type(role.__name__, (role,), body))


DEFAULT = "https://hooks.example/s3cr3t/tok'en+42"
Tracker = made(Tracker, capabilities=frozenset({"search"}))
Registry = made(RegistryStore)
Deployer = made(Deployer)
Sink = made(MonitorSink, capabilities=frozenset({"read"}))
Channel = made(AlertChannel)
Test = made(DriftTest, scope="column", kinds=frozenset({"numeric"}))
Format = made(Format, name="failing", runs_code=False)


@define(eq=False)
class Queue(Executor):
    contract = 1
    url: str = field(default=DEFAULT, metadata={"help": "where"})

    def submit(self, work, task):
        raise StageError(f"404 for url {self.url!r}")


@define(eq=False)
class Listener(Observer):
    contract = 1
    url: str = field(default=DEFAULT, metadata={"help": "where"})

    @hookimpl
    def run_started(self):
        raise RuntimeError(f"404 for url {self.url}")

    @hookimpl
    def deployment_gate(self):
        raise RuntimeError(f"404 for url {self.url}")


@define(eq=False)
class Fetch(Stage):
    contract = 1
    url: str = field(metadata={"help": "where"})

    def run(self, context):
        raise RuntimeError(f"404 for url {self.url}")
'''
MEMORY = "mlops_core.testing.memory_{0}:Memory{1}"
SOUND: dict[str, Any] = {
    "version": 1,
    "tracker": [],
    "registry": MEMORY.format("registry", "Registry"),
    "environments": {"staging": MEMORY.format("deployer", "Deployer")},
    "monitoring": {"sinks": [MEMORY.format("sink", "Sink")]},
    "formats": ["json"],
    "channels": {"ops": {"use": "failing.py:Channel", "url": "https://hooks.example/${SECRET}"}},
}


def failing(name: str) -> dict[str, str]:
    return {"use": f"failing.py:{name}", "url": "https://hooks.example/${SECRET}"}


def alerts(project: Project) -> object:
    project.monitoring.track_prediction("m", 0.1, success=False)
    return project.monitoring.evaluate(), project.monitoring.evaluate()


def deploys(project: Project) -> object:
    version = project.versioning.version_model("m", model={"a": 1})
    try:
        return project.deployment.deploy_model("m", version, "staging")
    finally:
        KEPT.extend(project.deployment.history("m", "staging"))


def counts(project: Project) -> object:
    project.monitoring.track_prediction("m", 0.1, success=True)
    return project.monitoring.get_metrics("m")


def tracks(project: Project) -> object:
    project.tracker.log_metrics({"loss": 1})
    project.tracker.flush(5)
    return project.tracker.search_runs("")


def tells(project: Project) -> None:
    project.stack.parts.emit(RunStarted("t", "p", "r", datetime(2024, 1, 1, tzinfo=UTC), ()))


def runs(project: Project) -> RunReport:
    return project.pipeline().run_pipeline()


KEPT: list[Any] = []
RULE = {"name": "errors", "when": "error_rate > 1%", "notify": ["ops"]}
STAGES = {"stages": {"fetch": failing("Fetch")}}
PLAIN = {"stages": {"fetch": "steps.py:fetch"}}
ROLES: dict[str, tuple[dict[str, Any], Callable[[Project], object]]] = {
    "tracker": ({"tracker": failing("Tracker")}, tracks),
    "registry": ({"registry": failing("Registry")}, lambda project: project.versioning.models()),
    "deployer": ({"environments": {"staging": failing("Deployer")}}, deploys),
    "gate": ({"observers": [failing("Listener")]}, deploys),
    "observer": ({"observers": [failing("Listener")]}, tells),
    "sink": ({"monitoring": {"sinks": [failing("Sink")]}}, counts),
    "channel": ({"monitoring": {"sinks": SOUND["monitoring"]["sinks"], "alerts": [RULE]}}, alerts),
    "drift test": ({"drift": {"tests": failing("Test")}}, lambda project: project.drift.detect_data_drift([1, 2], [2, 3])),
    "format": ({"formats": ["failing.py:Format"]}, lambda project: project.versioning.version_model("m", model={"a": 1})),
    "executor": ({"executor": "failing.py:Queue", "pipeline": PLAIN}, runs),
    "stage": ({"pipeline": STAGES}, runs),
    "stage in another process": ({"registry": "sqlite", "monitoring": {}, "executor": "process", "pipeline": STAGES}, runs),
}


@pytest.mark.parametrize(("changes", "act"), ROLES.values(), ids=ROLES)
def test_a_secret_shows_nowhere(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    changes: dict[str, Any],
    act: Callable[[Project], object],
) -> None:
    monkeypatch.setenv("SECRET", SECRET)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "failing.py").write_text(FAILING, encoding="utf-8")
    (tmp_path / "steps.py").write_text("def fetch(context):\n    return 1\n", encoding="utf-8")
    (tmp_path / "mlops.yaml").write_text(json.dumps({**SOUND, **changes}), encoding="utf-8")
    caplog.set_level(logging.DEBUG, "mlops_core")
    KEPT.clear()
    with Project.open(tmp_path) as project:
        _ = project.stack.parts.channels["ops"]  # by its options the process knows the secret; executors take none
        try:
            KEPT.append(act(project))
        except MLOpsError as error:
            KEPT.append(error.message)
    told = "\n".join([caplog.text, *map(str, KEPT), *written(tmp_path)])
    assert "404" in told, "it failed, and that was told"
    assert "***" in told
    assert [part for part in ("s3cr3t", "tok'en", "tok\\'en", "en+42") if part in told] == []


def written(root: Path) -> list[str]:
    """What the project keeps: logs of stages, journals, spools."""
    kept = root / ".mlops"
    return [path.read_bytes().decode("utf-8", "replace") for path in sorted(kept.rglob("*")) if path.is_file()]
