"""One file of named arrays and a manifest: an ``.npz`` archive, the manifest in JSON as one of its arrays. Nothing in it can run code."""

from __future__ import annotations

import contextlib
import json
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from mlops_core.drift.guard import cause_of
from mlops_core.exceptions import DriftDetectionError

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    from numpy.typing import NDArray

__all__ = ["read_archive", "write_archive"]

_KIND: Final = "mlops drift reference"
_VERSION: Final = 1
_MANIFEST: Final = "manifest"


def _path(path: Any) -> Path:
    try:
        return Path(path)
    except TypeError as error:
        raise DriftDetectionError(f"drift: reference: {path!r:.40} is no path - give one such as 'reference.npz'") from error


def write_archive(path: str | os.PathLike[str], manifest: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write beside the target and rename.

    Raises:
        DriftDetectionError: It cannot be written, or an array holds Python objects.
    """
    target = _path(path)
    text = json.dumps({"kind": _KIND, "version": _VERSION, **manifest}, ensure_ascii=False)
    named: dict[str, Any] = {_MANIFEST: np.frombuffer(text.encode(), dtype=np.uint8), **arrays}
    part = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}")
    try:
        with part.open("xb") as stream:
            np.savez(stream, allow_pickle=False, **named)
        part.replace(target)
    except (OSError, ValueError) as error:
        raise DriftDetectionError(f"drift: reference {target.name}: cannot be written: {error}") from error
    finally:
        with contextlib.suppress(OSError):  # it was renamed, or could not be made
            part.unlink()


def read_archive(path: str | os.PathLike[str]) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """The manifest and the arrays, all in memory.

    Raises:
        DriftDetectionError: It cannot be read, is something else, or was written by a newer release.
    """
    source = _path(path)
    try:
        with source.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
            manifest = json.loads(archive[_MANIFEST].tobytes())
            _check_kind(manifest, source.name)
            return manifest, {name: archive[name] for name in archive.files if name != _MANIFEST}
    except DriftDetectionError:
        raise
    except Exception as error:  # what a damaged archive raises depends on where it is damaged
        told = f"{cause_of(error)} - give a file that Reference.save wrote"
        raise DriftDetectionError(f"drift: reference {source.name}: cannot be read: {told}") from error


def _check_kind(manifest: Any, name: str) -> None:
    if manifest["kind"] != _KIND:
        raise DriftDetectionError(f"drift: reference {name}: it is something else - give a file that Reference.save wrote")
    if manifest["version"] != _VERSION:
        raise DriftDetectionError(
            f"drift: reference {name}: it is of version {manifest['version']!r}, written by a newer release; "
            f"this one reads version {_VERSION} - upgrade motadata-mlops-core, or fit the reference again"
        )
