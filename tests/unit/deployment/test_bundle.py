"""A version in a folder of its own."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from mlops_core.deployment.bundle import model_path, read_bundle, write_bundle
from mlops_core.exceptions import CorruptArtifactError, DeploymentError

if TYPE_CHECKING:
    from pathlib import Path


def test_a_bundle_holds_the_version_and_its_files(world: Any, tmp_path: Path) -> None:
    version = world.registry.get_version("acme", "delays", "1.0.0")
    folder = write_bundle(world.stack, version, tmp_path / "bundle")

    assert read_bundle(folder) == version
    assert model_path(folder, version).read_text() == (world.root / "acme-delays-1.0.0.scripted").read_text()


def test_a_folder_that_holds_something_is_not_written_to(world: Any, tmp_path: Path) -> None:
    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle" / "mine").touch()
    with pytest.raises(DeploymentError, match="the folder is not empty"):
        write_bundle(world.stack, world.registry.get_version("acme", "delays", "1.0.0"), tmp_path / "bundle")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, r"bundle\.json cannot be read \(FileNotFoundError\)"),
        ("{}", "KeyError"),
        ("[", "JSONDecodeError"),
        ("[]", "TypeError"),
        ('{"bundle": 2}', "format 2 is not known to this release"),
        ('{"bundle": 1, "version": {}}', "ValueError"),
    ],
)
def test_what_is_no_bundle_is_refused(tmp_path: Path, text: str | None, said: str) -> None:
    if text is not None:
        (tmp_path / "bundle.json").write_text(text)
    with pytest.raises(DeploymentError, match=said):
        read_bundle(tmp_path)


def test_a_file_that_was_changed_is_not_loaded(world: Any, tmp_path: Path) -> None:
    version = world.registry.get_version("acme", "delays", "1.0.0")
    folder = write_bundle(world.stack, version, tmp_path / "bundle")
    path = model_path(folder, version)
    path.write_text(path.read_text().replace("1.0.0", "6.6.6"))
    with pytest.raises(CorruptArtifactError):
        model_path(folder, version)


def test_a_bundle_whose_names_lead_elsewhere_is_refused(world: Any, tmp_path: Path) -> None:
    folder = write_bundle(world.stack, world.registry.get_version("acme", "delays", "1.0.0"), tmp_path / "bundle")
    manifest = json.loads((folder / "bundle.json").read_text())
    for what in ("tenant", "model", "version"):
        hostile = {"bundle": 1, "version": {**manifest["version"], what: "../elsewhere"}}
        (folder / "bundle.json").write_text(json.dumps(hostile))
        with pytest.raises(DeploymentError, match=rf"bundle: {what}: '\.\./elsewhere' is not a name"):
            read_bundle(folder)
