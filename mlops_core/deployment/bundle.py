"""A version in a folder of its own, to be served without project or registry.

``bundle.json`` holds the version's record, ``model/`` its files; every file is hashed before it is loaded.
"""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Final

from mlops_core.artifacts import Artifacts
from mlops_core.artifacts.manifest import root_of, verify
from mlops_core.artifacts.scratch import scratch
from mlops_core.exceptions import DeploymentError
from mlops_core.names import check_name
from mlops_core.records import ModelVersion, canonical_json

if TYPE_CHECKING:
    from pathlib import Path

    from mlops_core.stack import Stack

__all__ = ["model_path", "read_bundle", "write_bundle"]

_FORMAT: Final = 1
_MANIFEST: Final = "bundle.json"
_MODEL: Final = "model"


def write_bundle(stack: Stack, version: ModelVersion, into: Path) -> Path:
    """Write a version's bundle into a new or empty folder.

    Raises:
        DeploymentError: The folder holds something already.
        ArtifactError: The registry's files are not those that were registered.
    """
    if into.exists() and any(into.iterdir()):
        raise DeploymentError(f"bundle {into}: the folder is not empty - give a new one")
    into.mkdir(parents=True, exist_ok=True)
    with scratch(stack.workdir / "tmp") as folder:
        fetched = Artifacts(stack).fetch(version, folder)
        root = root_of(version.files)
        target = into / _MODEL if root is None else into / _MODEL / root
        target.parent.mkdir(parents=True, exist_ok=True)
        if fetched.is_dir():
            shutil.copytree(fetched, target)
        else:
            shutil.copy2(fetched, target)
    manifest = {"bundle": _FORMAT, "version": version.to_dict()}
    (into / _MANIFEST).write_text(canonical_json(manifest), encoding="utf-8")
    return into


def read_bundle(folder: Path) -> ModelVersion:
    """The version of a bundle.

    Raises:
        DeploymentError: It is no bundle, or one of a newer release.
    """
    try:
        data = json.loads((folder / _MANIFEST).read_bytes())
        if data["bundle"] != _FORMAT:
            raise DeploymentError(f"bundle {folder}: format {data['bundle']} is not known to this release - install a newer one")
        version = ModelVersion.from_dict(data["version"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DeploymentError(f"bundle {folder}: {_MANIFEST} cannot be read ({type(error).__name__}) - write the bundle again") from error
    for name, what in ((version.tenant, "tenant"), (version.model, "model"), (version.version, "version")):
        check_name(name, f"bundle: {what}", DeploymentError)
    return version


def model_path(folder: Path, version: ModelVersion) -> Path:
    """Where the model of a bundle lies; its files have been hashed.

    Raises:
        CorruptArtifactError: They are not those of the version.
    """
    verify(folder / _MODEL, version.files, f"{version.model} {version.version}")
    root = root_of(version.files)
    return folder / _MODEL if root is None else folder / _MODEL / root
