"""The Dockerfile of a server."""

from __future__ import annotations

import json
from importlib.metadata import version as installed
from typing import TYPE_CHECKING, Any

import pytest
from attrs import evolve

from mlops_core.deployment.image import command_of, write_image
from mlops_core.exceptions import DeploymentError, PluginNotFoundError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def version(world: Any) -> Any:
    return evolve(world.registry.get_version("acme", "delays", "1.0.0"), format="skops")


def test_an_image_has_what_serves_here_at_the_same_versions(version: Any, tmp_path: Path) -> None:
    folder = write_image(version, tmp_path / "new" / "image")
    pins = dict(line.split("==") for line in (folder / "requirements.txt").read_text().splitlines())

    assert {"motadata-mlops-core", "motadata-mlops-deployer-local", "motadata-mlops-format-sklearn"} <= pins.keys()
    for needed in ("attrs", "uvicorn", "h11", "scikit-learn", "scipy", "skops"):
        assert pins[needed] == installed(needed)
    assert pins.keys().isdisjoint({"pytest", "boto3", "moto"})
    assert [path.name for path in (folder / "wheels").iterdir()] == ["README"]


def test_the_image_starts_the_server_of_a_bundle(version: Any, tmp_path: Path) -> None:
    lines = (write_image(version, tmp_path / "image") / "Dockerfile").read_text().splitlines()
    entry = next(line for line in lines if line.startswith("ENTRYPOINT ")).removeprefix("ENTRYPOINT ")

    assert json.loads(entry) == ["python", *command_of("skops")]
    assert lines[-1] == 'CMD ["serve"]'
    assert {"--open", "/opt/ml/model", "8080"} <= set(json.loads(entry))


def test_only_the_versions_own_format_is_trusted() -> None:
    assert command_of("joblib", ("cloudpickle", "joblib"))[-2:] == ["--trust", "joblib"]
    assert "--trust" not in command_of("skops", ("joblib",))


def test_what_an_image_cannot_hold_is_refused_and_writes_nothing(version: Any, tmp_path: Path) -> None:
    with pytest.raises(DeploymentError, match="is code and no installed plugin - make it a plugin first"):
        write_image(evolve(version, format="./mine.py:Mine"), tmp_path / "image")
    with pytest.raises(PluginNotFoundError, match=r"format\.nowhere"):
        write_image(evolve(version, format="nowhere"), tmp_path / "image")
    assert not (tmp_path / "image").exists()
    (tmp_path / "mine").touch()
    with pytest.raises(DeploymentError, match="the folder is not empty - give a new one"):
        write_image(version, tmp_path)
