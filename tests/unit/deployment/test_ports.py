"""What the core hands to a deployer."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlops_core.artifacts import Artifacts
from mlops_core.config.settings import EnvironmentSettings, Settings, Use
from mlops_core.deployment.ports import Ports, environment_folder, write_private
from mlops_core.exceptions import ConfigError
from mlops_core.records import StackRef
from mlops_core.stack import compose


def test_the_command_composes_the_projects_stack_from_a_private_file(tmp_path: Path) -> None:
    settings = Settings(tenant="acme", environments={"staging": EnvironmentSettings(Use("local", {"port": 0}), tokens="${file:tokens}")})
    ports = Ports(compose(settings, tmp_path, tenant="globex"), "staging", 30.0, guarded=False)
    command = ports.command
    path = Path(command[4])

    assert command == (sys.executable, "-m", "mlops_core.serve", "--stack", str(path), "--environment", "staging", "--")
    assert path.parent == ports.workdir
    assert path.stat().st_mode & 0o777 == 0o600
    ref = StackRef.from_dict(json.loads(path.read_text()))
    assert (ref.root, ref.tenant) == (str(tmp_path), "acme"), "a server serves every tenant"
    assert "${file:tokens}" in path.read_text(), "secrets are resolved in the process that needs them"


def test_a_command_changes_with_the_configuration_and_with_nothing_else(tmp_path: Path) -> None:
    def command(port: int, tenant: str = "acme") -> tuple[str, ...]:
        settings = Settings(tenant="acme", environments={"staging": EnvironmentSettings(Use("local", {"port": port}))})
        return Ports(compose(settings, tmp_path, tenant=tenant), "staging", 30.0, guarded=False).command

    first = command(8801)
    text = Path(first[4]).read_text()
    assert command(8801, "globex") == first
    assert command(8802) != first
    assert Path(first[4]).read_text() == text, "a server that was not told of the change goes on by the old one"


def test_files_of_old_commands_are_removed(tmp_path: Path) -> None:
    files = []
    for port in range(8801, 8821):
        settings = Settings(environments={"staging": EnvironmentSettings(Use("local", {"port": port}))})
        files.append(Path(Ports(compose(settings, tmp_path), "staging", 30.0, guarded=False).command[4]))
        os.utime(files[-1], (port, port))

    assert [path for path in files if path.exists()] == files[-8:]


def test_a_stack_that_no_other_process_can_compose_says_so(world: Any) -> None:
    ports = Ports(world.stack, "production", 30.0, guarded=False)
    with pytest.raises(ConfigError, match="cannot compose a stack over instances - name the part in the configuration"):
        _ = ports.command
    assert not ports.workdir.exists()


def test_a_model_is_loaded_here_for_deployers_that_answer_here(world: Any) -> None:
    ports = Ports(world.stack, "production", 30.0, guarded=False)
    ports.progress(1, 2)
    assert isinstance(ports.artifacts, Artifacts)
    assert ports.clock is world.clock
    assert ports.load(world.registry.get_version("acme", "delays", "1.0.0")).predict({"x": np.ones(1)})["double"].tolist() == [2.0]


def test_each_environment_has_a_folder_of_its_own(world: Any) -> None:
    assert environment_folder(world.stack, "staging") == world.root / ".mlops" / "environments" / "staging"


def test_a_private_file_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "file"
    write_private(path, "first")
    with pytest.raises(UnicodeEncodeError):
        write_private(path, "\ud800")
    assert path.read_text() == "first"
    assert [one.name for one in path.parent.iterdir()] == ["file"]
