"""kill -9 of whoever deploys or serves: no request fails that did not have to, and nothing is deployed twice."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pytest

from mlops_core.exceptions import DeploymentError
from mlops_core.project import Project
from mlops_core.records import DeploymentStatus as S
from mlops_core.records import Schema
from mlops_deployer_local.process import is_alive

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

CONFIGURATION = """
version: 1
project: crashes
tenant: acme
tracker: []
registry: {use: sqlite, path: registry.db}
environments: {staging: {use: local}}
monitoring: {sinks: [sqlite]}
formats: ["./factor.py:Factor"]
"""
FORMAT = (Path(__file__).parents[1] / "data" / "factor.py").read_text()
PROGRAM = """
import sys
from mlops_core.project import Project

with Project.open(sys.argv[1]) as project:
    project.deployment.deploy_model("delays", sys.argv[2], "staging", key=sys.argv[3])
"""
SCHEMA = {"inputs": [{"name": "x", "dtype": "float64"}], "outputs": [{"name": "product", "dtype": "float64"}]}


class Requests:
    """A client that asks all the time through the facade, while the block runs."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.answered = 0
        self.failures: list[str] = []
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._ask)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._done.set()
        self._thread.join()

    def wait(self, count: int) -> None:
        wanted = self.answered + count
        while self.answered < wanted and self._thread.is_alive():
            time.sleep(0.01)

    def _ask(self) -> None:
        while not self._done.is_set():
            try:
                found = self.project.deployment.predict("delays", "staging", {"x": [2.0]})
            except DeploymentError as error:
                self.failures.append(error.message)
                continue
            if found.outputs != {"product": [2.0 * int(found.version)]}:
                self.failures.append(f"a wrong answer: {found}")
            self.answered += 1


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """A project whose version N multiplies by N; version 1 is live in staging."""
    (tmp_path / "mlops.yaml").write_text(CONFIGURATION)
    (tmp_path / "factor.py").write_text(FORMAT)
    with Project.open(tmp_path) as found:
        register(found, 1)
        found.deployment.deploy_model("delays", "1", "staging")
        yield found
        running = processes(found)
        found.deployment.shutdown("staging")
        assert not any(is_alive(process) for process in running)


def register(project: Project, number: int) -> str:
    path = project.stack.root / f"{number}.factor"
    path.write_text(f"factor {number}")
    return project.versioning.version_model("delays", model_path=path, schema=Schema.from_dict(SCHEMA))


def processes(project: Project) -> list[tuple[int, str]]:
    info = json.loads((project.stack.workdir / "environments/staging/server/server.json").read_text())
    return [(info["pid"], info["started"]), *((pid, begun) for pid, begun in info["workers"])]


def deploy_elsewhere(project: Project, version: str, key: str, *, kill_after: float | None) -> float:
    """Deploy in another process; answers how long it ran."""
    begun = time.monotonic()
    with subprocess.Popen([sys.executable, "-c", PROGRAM, str(project.stack.root), version, key]) as process:
        if kill_after is not None:
            time.sleep(kill_after)
            process.kill()
        assert process.wait() in ({0} if kill_after is None else {0, -signal.SIGKILL})
    return time.monotonic() - begun


def test_a_killed_deployment_is_finished_once_and_fails_no_request(project: Project, fault_rounds: int) -> None:
    rng = random.Random(20130701)
    register(project, 2)
    whole = deploy_elsewhere(project, "2", "run-2", kill_after=None)
    with Requests(project) as requests:
        for number in range(3, 3 + fault_rounds):
            version, key = register(project, number), f"run-{number}"
            deploy_elsewhere(project, version, key, kill_after=rng.uniform(0.2, 1.0) * whole)
            requests.wait(20)
            project.deployment.deploy_model("delays", version, "staging", key=key)
            assert project.deployment.predict("delays", "staging", {"x": [1.0]}).version == version

    assert requests.failures == []
    history = project.deployment.history("delays", "staging")
    assert [one.version for one in history] == [str(number) for number in range(1, 3 + fault_rounds)]
    assert history[-1].status is S.LIVE
    revision = project.deployment.status("delays", "staging").revision
    assert revision == 2 + fault_rounds, "traffic moved once for each"


def test_a_killed_server_comes_back_without_the_registry(project: Project) -> None:
    first = register(project, 2)
    done = project.deployment.deploy_model("delays", first, "staging")
    database = project.stack.root / "registry.db"
    project.stack.parts.registry.close()
    kept = {path: path.read_bytes() for path in database.parent.glob("registry.db*") if path.is_file()}
    for path in kept:
        path.write_bytes(b"this is no database " * 400)
    before = processes(project)
    os.killpg(before[0][0], signal.SIGKILL)

    assert project.deployment.predict("delays", "staging", {"x": [1.0]}).version == "2"
    assert processes(project)[0] != before[0]
    assert project.deployment.rollback_deployment(done.deployment_id).status is S.ROLLED_BACK
    assert project.deployment.predict("delays", "staging", {"x": [1.0]}).version == "1"
    for path, content in kept.items():
        path.write_bytes(content)
    project.stack.parts.registry.close()
    project.deployment.advance()
    assert [(one.version, one.status) for one in project.deployment.history("delays", "staging")] == [("1", S.LIVE), ("2", S.ROLLED_BACK)]


@pytest.mark.parametrize("which", [0, 1], ids=["supervisor", "worker"])
def test_a_killed_process_of_the_server_fails_no_request_of_our_client(project: Project, which: int) -> None:
    with Requests(project) as requests:
        requests.wait(20)
        before = processes(project)
        os.kill(before[which][0], signal.SIGKILL)
        requests.wait(50)
        project.deployment.advance()
        version = register(project, 2)
        project.deployment.deploy_model("delays", version, "staging")
        requests.wait(20)

    assert requests.failures == []
    assert not is_alive(before[which])
    assert project.deployment.predict("delays", "staging", {"x": [1.0]}).version == "2"


def test_what_the_dead_counted_is_not_lost(project: Project) -> None:
    answered: dict[str, Any] = {}
    with Requests(project) as requests:
        requests.wait(50)
    answered["asked"] = requests.answered
    time.sleep(0.5)
    os.killpg(processes(project)[0][0], signal.SIGKILL)

    project.deployment.predict("delays", "staging", {"x": [1.0]})
    assert project.monitoring.get_metrics("delays", environment="staging").total_predictions >= answered["asked"]
