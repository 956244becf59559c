"""The main of serving processes."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from attrs import evolve

from mlops_core import serve
from mlops_core.artifacts import Artifacts
from mlops_core.config.settings import EnvironmentSettings, ModelsSettings, MonitoringSettings, Settings, SignSettings, Use
from mlops_core.deployment import ModelDeployment
from mlops_core.deployment.bundle import read_bundle, write_bundle
from mlops_core.exceptions import DeploymentError, UntrustedFormatError, VersioningError
from mlops_core.operations import loop_status
from mlops_core.records import Column, ModelVersion, Schema, SeriesKey
from mlops_core.stack import Stack, compose
from mlops_core.stack.keys import write_pair
from mlops_core.stack.signing import Signing
from mlops_deployer_local.process import is_alive

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FORMAT = (Path(__file__).parents[1] / "data" / "factor.py").read_text()
DANGER = (
    FORMAT
    + """

@define
class Danger(Factor):
    contract: ClassVar[int] = 1
    name: ClassVar[str] = "danger"
    runs_code: ClassVar[bool] = True

    def sniff(self, path: Path) -> bool:
        return path.is_file() and path.read_bytes()[:7] == b"danger "
"""
)
SCHEMA = Schema((Column("x", "float64"),), (Column("product", "float64"),))
TOKEN = "0123456789abcdef"


def settings(**environment: Any) -> Settings:
    return Settings(
        tenant="acme",
        registry=Use("sqlite", key="registry"),
        environments={"staging": EnvironmentSettings(Use("local", key="environments.staging"), **environment)},
        monitoring=MonitoringSettings(sinks=(Use("sqlite", key="monitoring.sinks"),)),
        formats=(Use("./factor.py:Factor"), Use("./danger.py:Danger")),
    )


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "factor.py").write_text(FORMAT)
    (tmp_path / "danger.py").write_text(DANGER)
    return tmp_path


@pytest.fixture
def stack(project: Path) -> Iterator[Stack]:
    found = compose(settings(), project)
    yield found
    found.parts.close()


def register(stack: Stack, version: str, factor: int, tenant: str = "acme", kind: str = "factor") -> ModelVersion:
    path = stack.root / f"{tenant}-{version}.{kind}"
    path.write_text(f"{kind} {factor}")
    own = stack.for_tenant(tenant)
    ref = Artifacts(own).save_file(path, "model")
    at = datetime(2024, 5, 1, tzinfo=UTC)
    made = ModelVersion(tenant, "delays", version, f"key-{version}", ref.sha256, ref.files, at, format=kind, schema=SCHEMA)
    return stack.parts.registry.add_version(made)


# --- ports


def test_versions_and_models_are_found_without_the_registry_once_they_were_served(stack: Stack) -> None:
    register(stack, "1.0.0", 3)
    first = serve.ProjectHost(stack, "staging")
    assert first.load(first.version("acme", "delays", "1.0.0")).predict({"x": np.ones(2)})["product"].tolist() == [3.0, 3.0]
    first.close()

    (stack.root / ".mlops" / "registry.db").rename(stack.root / "elsewhere.db")
    again = serve.ProjectHost(compose(settings(), stack.root), "staging")
    assert again.load(again.version("acme", "delays", "1.0.0")).predict({"x": np.ones(1)})["product"].tolist() == [3.0]
    again.close()


def test_an_unreadable_record_is_asked_for_again(stack: Stack) -> None:
    made = register(stack, "1.0.0", 3)
    host = serve.ProjectHost(stack, "staging")
    path = host.workdir / "versions" / "acme" / "delays" / "1.0.0.json"
    host.version("acme", "delays", "1.0.0")
    path.write_text("{")

    assert host.version("acme", "delays", "1.0.0") == made
    assert json.loads(path.read_text())["version"] == "1.0.0"


@pytest.mark.parametrize(
    "names", [("acme", "delays", "9.9.9"), ("globex", "delays", "1.0.0"), ("..", "delays", "1.0.0"), ("acme", "a/b", "1")]
)
def test_other_versions_and_other_tenants_are_missing(stack: Stack, names: tuple[str, str, str]) -> None:
    register(stack, "1.0.0", 3)
    with pytest.raises(VersioningError):
        serve.ProjectHost(stack, "staging").version(*names)


def test_a_model_is_loaded_as_its_own_tenant(stack: Stack) -> None:
    made = register(stack, "1.0.0", 7, tenant="globex")
    assert serve.ProjectHost(stack, "staging").load(made).predict({"x": np.ones(1)})["product"].tolist() == [7.0]


def test_predictions_are_counted_where_there_is_a_sink(stack: Stack) -> None:
    host = serve.ProjectHost(stack, "staging")
    series = SeriesKey("acme", "staging", "delays", "1.0.0")
    host.recorder(series, 3).count(0.01, True)
    host.close()
    sink = compose(settings(), stack.root).parts.sinks["sqlite"]
    segments = list(sink.read(series, datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)))
    assert [(one.total, one.revision) for one in segments] == [(1, 3)]
    sink.close()


def test_without_a_sink_nobody_counts(project: Path) -> None:
    host = serve.ProjectHost(compose(Settings(tenant="acme", environments=settings().environments), project), "staging")
    record = host.recorder(SeriesKey("acme", "staging", "delays", "1.0.0"), 1)
    record.count(0.01, True)
    assert not record.wants("p-1")
    record.sample("p-1", {}, {})
    host.close()


def test_tokens_name_tenants(project: Path) -> None:
    (project / "tokens").write_text(f"globex:{TOKEN}\n")
    host = serve.ProjectHost(compose(settings(tokens="${file:tokens}"), project), "staging")
    assert host.authenticate(TOKEN) == "globex"
    assert host.tenant == "acme"
    assert host.clock.monotonic() >= 0
    with pytest.raises(DeploymentError):
        host.authenticate(None)


# --- the main


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--stack", "nowhere.json"], "serve: nowhere.json does not say which stack to compose (FileNotFoundError)"),
        (["--bundle", "nowhere"], "bundle "),
    ],
)
def test_what_cannot_be_served_is_one_line(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert serve.main(arguments) == 1
    error = capsys.readouterr().err
    assert error.startswith(said)
    assert error.count("\n") == 1


def test_a_wrong_call_is_two(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        serve.main([])
    assert raised.value.code == 2


def test_arguments_that_the_deployer_does_not_know_are_refused(stack: Stack, project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "stack.json").write_text(json.dumps(stack.ref().to_dict()))
    assert serve.main(["--stack", str(project / "stack.json"), "--environment", "staging", "--", "dance"]) == 1
    assert "it does not serve 'dance'" in capsys.readouterr().err
    assert serve.main(["--stack", str(project / "stack.json"), "--environment", "nowhere"]) == 1
    assert "no environment 'nowhere'" in capsys.readouterr().err


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def ask(port: int, x: float, token: str | None = None) -> dict[str, Any]:
    body = json.dumps({"inputs": {"x": [x]}}).encode()
    headers = {"Content-Type": "application/json"} | ({} if token is None else {"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(urllib.request.Request(f"http://127.0.0.1:{port}/invocations", body, headers), timeout=30) as answer:
        return json.loads(answer.read())  # type: ignore[no-any-return]  # the server answers a mapping


def wait_until_ready(port: int, process: subprocess.Popen[bytes]) -> None:
    while process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise AssertionError("the server ended")


def test_a_bundle_is_served_without_project_or_registry(stack: Stack, project: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = write_bundle(stack, register(stack, "1.0.0", 5), tmp_path_factory.mktemp("elsewhere") / "bundle")
    (folder / "factor.py").write_text(FORMAT)
    manifest = json.loads((folder / "bundle.json").read_text())
    manifest["version"]["format"] = "./factor.py:Factor"
    (folder / "bundle.json").write_text(json.dumps(manifest))
    (folder / "tokens").write_text(f"acme:{TOKEN}\n")
    port = free_port()
    command = [sys.executable, "-m", "mlops_core.serve", "--bundle", str(folder), "--port", str(port), "--tokens", str(folder / "tokens")]
    command += ["--trust", "./factor.py:Factor"]
    with subprocess.Popen(command, cwd=folder) as process:
        try:
            wait_until_ready(port, process)
            assert ask(port, 2.0, TOKEN)["predictions"] == [10.0]
            with pytest.raises(urllib.error.HTTPError, match="401"):
                ask(port, 2.0)
        finally:
            process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0


def test_a_bundle_on_a_free_port_tells_its_address(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = write_bundle(stack, register(stack, "1.0.0", 5), tmp_path_factory.mktemp("elsewhere") / "bundle")
    (folder / "factor.py").write_text(FORMAT)
    manifest = json.loads((folder / "bundle.json").read_text())
    manifest["version"]["format"] = "./factor.py:Factor"
    (folder / "bundle.json").write_text(json.dumps(manifest))
    command = [sys.executable, "-m", "mlops_core.serve", "--bundle", str(folder), "--port", "0", "--trust", "./factor.py:Factor"]
    with subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            told = next(line for line in process.stderr if "is served at" in line)
            assert "model delays 1.0.0 is served at http://127.0.0.1:" in told
            assert ask(int(told.rpartition(":")[2]), 2.0)["predictions"] == [10.0]
        finally:
            process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0


def test_a_bundle_is_open_to_other_machines_only_where_that_is_said(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = write_bundle(stack, register(stack, "1.0.0", 5), tmp_path_factory.mktemp("elsewhere") / "bundle")
    (folder / "factor.py").write_text(FORMAT)
    manifest = json.loads((folder / "bundle.json").read_text())
    manifest["version"]["format"] = "./factor.py:Factor"
    (folder / "bundle.json").write_text(json.dumps(manifest))
    command = [sys.executable, "-m", "mlops_core.serve", "--bundle", str(folder), "--host", "0.0.0.0", "--port", "0"]  # noqa: S104
    command += ["--trust", "./factor.py:Factor", "--option", "body_limit=30"]
    refused = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=60)
    assert (refused.returncode, refused.stderr.count("is open to other machines, and no tokens are set")) == (1, 1)

    with subprocess.Popen([*command, "--open", "serve"], cwd=folder, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            port = int(next(line for line in process.stderr if "is served at" in line).rpartition(":")[2])
            assert ask(port, 2.0)["predictions"] == [10.0]
            with pytest.raises(urllib.error.HTTPError, match="413"):
                ask(port, 1.2345678901234567e-123)
        finally:
            process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--option", "body_limit=much", "serve: --option 'body_limit=much' is not NAME=NUMBER - write body_limit=6000000"),
        ("--option", "body_limi=1", "environments.bundle: unknown key 'body_limi' - did you mean 'body_limit'?"),
        ("--port", "70000", "environments.bundle: deployer local: port is 70000 - give 0 to 65535"),
        ("--host", "no-such-host.invalid", "environment bundle: host 'no-such-host.invalid' is no address of a machine"),
    ],
)
def test_a_bundle_at_no_address_is_one_line(
    stack: Stack, tmp_path: Path, capsys: pytest.CaptureFixture[str], option: str, value: str, said: str
) -> None:
    folder = write_bundle(stack, register(stack, "1.0.0", 5), tmp_path / "bundle")
    assert serve.main(["--bundle", str(folder), option, value]) == 1
    error = capsys.readouterr().err
    assert error.startswith(said)
    assert error.count("\n") == 1


def test_a_bundle_that_runs_code_is_not_loaded_untrusted(stack: Stack, tmp_path: Path) -> None:
    folder = write_bundle(stack, register(stack, "1.0.0", 5), tmp_path / "bundle")
    (folder / "factor.py").write_text(FORMAT.replace("runs_code: ClassVar[bool] = False", "runs_code: ClassVar[bool] = True"))
    for trust in ((), ("factor",)):
        chosen = Settings(tenant="acme", formats=(Use("./factor.py:Factor"),), models=ModelsSettings(trust=trust))
        version = stack.parts.registry.get_version("acme", "delays", "1.0.0")
        assert version is not None
        host = serve.BundleHost(compose(chosen, folder), "bundle", folder=folder, bundled=version)
        assert host.tenant == "acme"
        assert host.version("acme", "delays", "1.0.0") == version
        with pytest.raises(VersioningError, match=r"bundle: it holds delays 1\.0\.0, not delays 2\.0\.0"):
            host.version("acme", "delays", "2.0.0")
        if trust:
            assert host.load(version).predict({"x": np.ones(1)})["product"].tolist() == [5.0]
        else:
            with pytest.raises(UntrustedFormatError):
                host.load(version)


def test_a_bundle_brings_no_code_of_its_own_untrusted(stack: Stack, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_bundle(stack, register(stack, "1.0.0", 5), tmp_path / "bundle")
    (folder / "factor.py").write_text("from pathlib import Path\nPath(__file__).with_name('ran').touch()\n")
    manifest = json.loads((folder / "bundle.json").read_text())
    manifest["version"]["format"] = "./factor.py:Factor"
    (folder / "bundle.json").write_text(json.dumps(manifest))
    assert serve.main(["--bundle", str(folder), "--port", "0", "--trust", "factor"]) == 1
    assert capsys.readouterr().err.startswith("bundle: its format './factor.py:Factor' is code and no installed format - if you trust")
    assert not (folder / "ran").exists()


def test_a_project_is_served_from_a_process_of_its_own(stack: Stack) -> None:
    """The whole way: deploy, predict over HTTP, switch, roll back, and nothing is left."""
    register(stack, "1.0.0", 2)
    register(stack, "2.0.0", 3)
    deployment = ModelDeployment(stack=stack)
    try:
        first = deployment.deploy_model("delays", "1.0.0", "staging")
        assert deployment.predict("delays", "staging", {"x": [1.0, 2.0]}).outputs == {"product": [2.0, 4.0]}
        second = deployment.deploy_model("delays", "2.0.0", "staging")
        assert deployment.predict("delays", "staging", {"x": [1.0]}).outputs == {"product": [3.0]}
        deployment.rollback_deployment(second.deployment_id)
        assert deployment.predict("delays", "staging", {"x": [1.0]}).outputs == {"product": [2.0]}
        assert first.url.endswith("/v2/models/delays")
        info = json.loads((stack.root / ".mlops/environments/staging/server/server.json").read_text())
        processes = [(info["pid"], info["started"]), *((pid, begun) for pid, begun in info["workers"])]
        assert [is_alive(one) for one in processes] == [True] * len(processes)
        with pytest.raises(DeploymentError, match="column 'x' is missing"):
            deployment.predict("delays", "staging", {"y": [1.0]})
    finally:
        deployment.shutdown("staging")
    assert not any(is_alive(one) for one in processes)
    assert loop_status(stack).owner == "", "nobody asked for a control loop"


def server(stack: Stack) -> Any:
    return json.loads((stack.root / ".mlops/environments/staging/server/server.json").read_text())


def workers(stack: Stack) -> list[int]:
    return [pid for pid, _ in server(stack)["workers"]]


def wait(met: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not met():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.05)


def test_the_control_loop_runs_beside_the_server_where_it_is_asked_for(project: Path) -> None:
    stack = compose(settings(watch=True), project)
    register(stack, "1.0.0", 2)
    register(stack, "2.0.0", 3)
    deployment = ModelDeployment(stack=stack)

    def watched() -> bool:
        """By a process of the server, which leads their session: one that answers, or the one that was started ahead."""
        status = loop_status(stack)
        try:
            return status.running and os.getsid(status.pid) == server(stack)["pid"]
        except ProcessLookupError:
            return False

    def live() -> str:
        found = deployment.status("delays", "staging").live
        return "" if found is None else found.version

    try:
        deployment.deploy_model("delays", "1.0.0", "staging")
        wait(watched)
        before = workers(stack)
        deployment.deploy_model("delays", "2.0.0", "staging", wait=False)
        wait(lambda: live() == "2.0.0")
        wait(lambda: not set(before) & set(workers(stack)))
        wait(watched)
    finally:
        deployment.shutdown("staging")
    assert not loop_status(stack).running
    stack.parts.close()


def test_a_sink_that_listens_does_so_in_serving_processes_and_counts_on_over_their_succession(project: Path) -> None:
    port = free_port()
    sinks = (Use("sqlite", key="monitoring.sinks"), Use("prometheus", {"port": port}, key="monitoring.sinks"))
    stack = compose(evolve(settings(), monitoring=MonitoringSettings(sinks=sinks)), project)
    register(stack, "1.0.0", 2)
    register(stack, "2.0.0", 3)
    deployment = ModelDeployment(stack=stack)

    def counted(version: str) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
                text = answer.read().decode()
        except OSError:
            return False
        labels = f'tenant="acme",environment="staging",model="delays",version="{version}"'
        return f"mlops_predictions_total{{{labels}}} 1\n" in text

    try:
        for version in ("1.0.0", "2.0.0"):
            deployment.deploy_model("delays", version, "staging")
            deployment.predict("delays", "staging", {"x": [1.0]})
            wait(lambda: counted(version))  # noqa: B023  called within this turn
        wait(lambda: counted("1.0.0"))
    finally:
        deployment.shutdown("staging")
        stack.parts.close()
    assert not counted("2.0.0"), "nobody listens any more"


def test_tokens_and_trust_that_are_added_hold_from_the_next_deployment_on(stack: Stack, project: Path) -> None:
    register(stack, "1.0.0", 2)
    register(stack, "2.0.0", 3, kind="danger")
    deployment = ModelDeployment(stack=stack)
    try:
        first = deployment.deploy_model("delays", "1.0.0", "staging")
        port = int(first.url.split(":")[2].split("/")[0])
        assert ask(port, 1.0)["predictions"] == [2.0]
        (project / "tokens").write_text(f"acme:{TOKEN}\n")
        changed = evolve(settings(tokens="${file:tokens}"), models=ModelsSettings(trust=("danger",)))
        ModelDeployment(stack=compose(changed, project)).deploy_model("delays", "2.0.0", "staging")
        with pytest.raises(urllib.error.HTTPError, match="401"):
            ask(port, 1.0)
        assert ask(port, 1.0, TOKEN)["predictions"] == [3.0]
    finally:
        deployment.shutdown("staging")


def test_an_untrusted_and_a_corrupt_model_are_refused_while_the_running_one_serves(stack: Stack) -> None:
    register(stack, "1.0.0", 2)
    register(stack, "2.0.0", 3, kind="danger")
    spoilt = register(stack, "3.0.0", 4)
    for path in (stack.root / ".mlops").rglob(f"{spoilt.files[0].blob.sha256}*"):
        path.chmod(0o600)
        path.write_text("factor 6")
    deployment = ModelDeployment(stack=stack)
    try:
        deployment.deploy_model("delays", "1.0.0", "staging")
        with pytest.raises(DeploymentError, match=r"reading danger runs code from the file - .*add 'danger' to 'models\.trust'"):
            deployment.deploy_model("delays", "2.0.0", "staging")
        with pytest.raises(DeploymentError, match="do not match the registered sha256"):
            deployment.deploy_model("delays", "3.0.0", "staging")
        assert deployment.predict("delays", "staging", {"x": [1.0]}).outputs == {"product": [2.0]}
        assert deployment.status("delays", "staging").loaded == ("1.0.0",)
    finally:
        deployment.shutdown("staging")


def test_a_bundle_is_served_only_where_a_given_key_signed_it(stack: Stack, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("k", "other"):
        write_pair(tmp_path / name)
    signed = Signing(SignSettings(f"${{file:{tmp_path / 'k'}}}"), tmp_path).signed(register(stack, "1.0.0", 5))
    folder = write_bundle(stack, signed, tmp_path / "bundle")
    with pytest.raises(VersioningError, match=r"delays: version 1\.0\.0 is signed by the key .* which is not trusted"):
        bundle_host(folder, tmp_path / "other.pub")
    assert bundle_host(folder, tmp_path / "k.pub").load(signed).predict({"x": np.ones(1)})["product"].tolist() == [5.0]
    manifest = json.loads((folder / "bundle.json").read_text())
    manifest["version"]["metadata"] = {"accuracy": 1.0}
    (folder / "bundle.json").write_text(json.dumps(manifest))
    assert serve.main(["--bundle", str(folder), "--public", str(tmp_path / "k.pub")]) == 1
    told = capsys.readouterr().err
    assert "its record was changed" in told
    assert told.count("\n") == 1


def bundle_host(folder: Path, public: Path) -> serve.BundleHost:
    """As a serving process makes it, with the formats of this test."""
    (folder / "factor.py").write_text(FORMAT)
    version = read_bundle(folder)
    chosen = Settings(tenant="acme", formats=(Use("./factor.py:Factor"),), sign=SignSettings(public=(f"${{file:{public}}}",), require=True))
    host = serve.BundleHost(compose(chosen, folder), "bundle", folder=folder, bundled=version)
    host.load(version)
    return host
