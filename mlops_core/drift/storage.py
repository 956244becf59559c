"""A reference in one file: an ``.npz`` archive of plain arrays, the first of which is a manifest in JSON. Nothing in it can run code."""

from __future__ import annotations

import contextlib
import json
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from mlops_core.drift.guard import cause_of
from mlops_core.drift.reference import ColumnProfile, Reference
from mlops_core.exceptions import DriftDetectionError

if TYPE_CHECKING:
    import os

__all__ = ["read_reference", "write_reference"]

_KIND: Final = "mlops drift reference"
_VERSION: Final = 1


def write_reference(reference: Reference, path: str | os.PathLike[str]) -> None:
    """Write beside the target and rename."""
    target = Path(path)
    arrays: dict[str, Any] = {}
    entries = []
    for (test, column), named in reference.prepared.items():
        keys = {name: f"a{len(arrays) + place}" for place, name in enumerate(named)}
        arrays.update((keys[name], array) for name, array in named.items())
        entries.append({"test": test, "column": column, "arrays": keys})
    manifest = {
        "kind": _KIND,
        "version": _VERSION,
        "rows": reference.rows,
        "named": reference.named,
        "columns": [column.to_dict() for column in reference.columns],
        "tests": list(reference.tests),
        "table": list(reference.table),
        "prepared": entries,
    }
    text = np.frombuffer(json.dumps(manifest, ensure_ascii=False).encode(), dtype=np.uint8)
    part = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}")
    try:
        with part.open("xb") as stream:
            np.savez(stream, allow_pickle=False, manifest=text, **arrays)
        part.replace(target)
    except (OSError, ValueError) as error:
        raise DriftDetectionError(f"drift: reference {target.name}: cannot be written: {error}") from error
    finally:
        with contextlib.suppress(OSError):  # it was renamed, or could not be made
            part.unlink()


def read_reference(path: str | os.PathLike[str]) -> Reference:
    """Read all of it into memory."""
    source = Path(path)
    try:
        with source.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
            manifest = json.loads(archive["manifest"].tobytes())
            _check_kind(manifest, source.name)
            return _built(manifest, archive)
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


def _built(manifest: Any, archive: Any) -> Reference:
    return Reference(
        rows=int(manifest["rows"]),
        named=bool(manifest["named"]),
        columns=tuple(ColumnProfile.from_dict(column) for column in manifest["columns"]),
        tests=tuple(manifest["tests"]),
        prepared={
            (entry["test"], entry["column"]): {name: archive[key] for name, key in entry["arrays"].items()}
            for entry in manifest["prepared"]
        },
        table=tuple(manifest["table"]),
    )
