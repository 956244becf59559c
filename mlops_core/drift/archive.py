"""One file of named arrays and a manifest: an ``.npz`` archive, the manifest in JSON as one of its arrays. Nothing in it can run code."""

from __future__ import annotations

import contextlib
import json
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from mlops_core.drift.guard import cause_of
from mlops_core.exceptions import DriftDetectionError

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    from numpy.typing import NDArray

    What = Literal["reference", "watch"]

__all__ = ["read_archive", "write_archive"]

_VERSIONS: Final = {"reference": 2, "watch": 1}
"""The newest of each. References of version 1 are without declared kinds and hashed categories."""
_MANIFEST: Final = "manifest"


def _path(path: Any, what: What) -> Path:
    try:
        return Path(path)
    except TypeError as error:
        raise DriftDetectionError(f"drift: {what}: {path!r:.40} is no path - give one such as '{what}.npz'") from error


def write_archive(
    path: str | os.PathLike[str], manifest: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]], *, what: What = "reference"
) -> None:
    """Write beside the target and rename.

    Raises:
        DriftDetectionError: It cannot be written, or an array holds Python objects.
    """
    target = _path(path, what)
    text = json.dumps({"kind": f"mlops drift {what}", "version": _VERSIONS[what], **manifest}, ensure_ascii=False)
    named: dict[str, Any] = {_MANIFEST: np.frombuffer(text.encode(), dtype=np.uint8), **arrays}
    part = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}")
    try:
        with part.open("xb") as stream:
            np.savez(stream, allow_pickle=False, **named)
        part.replace(target)
    except (OSError, ValueError) as error:
        raise DriftDetectionError(f"drift: {what} {target.name}: cannot be written: {error}") from error
    finally:
        with contextlib.suppress(OSError):  # it was renamed, or could not be made
            part.unlink()


def read_archive(path: str | os.PathLike[str], *, what: What = "reference") -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """The manifest and the arrays, all in memory.

    Raises:
        DriftDetectionError: It cannot be read, is something else, or was written by a newer release.
    """
    source = _path(path, what)
    try:
        with source.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
            manifest = json.loads(archive[_MANIFEST].tobytes())
            _check_kind(manifest, source.name, what)
            return manifest, {name: archive[name] for name in archive.files if name != _MANIFEST}
    except DriftDetectionError:
        raise
    except Exception as error:  # what a damaged archive raises depends on where it is damaged
        told = f"{cause_of(error)} - give a file that {what.title()}.save wrote"
        raise DriftDetectionError(f"drift: {what} {source.name}: cannot be read: {told}") from error


def _check_kind(manifest: Any, name: str, what: What) -> None:
    if manifest["kind"] != f"mlops drift {what}":
        raise DriftDetectionError(f"drift: {what} {name}: it is something else - give a file that {what.title()}.save wrote")
    if manifest["version"] not in range(1, _VERSIONS[what] + 1):
        again = "fit the reference again" if what == "reference" else "start a new watch"
        raise DriftDetectionError(
            f"drift: {what} {name}: it is of version {manifest['version']!r}, written by a newer release; "
            f"this one reads version {_VERSIONS[what]} - upgrade motadata-mlops-core, or {again}"
        )
