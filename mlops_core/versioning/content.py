"""What a caller gives to register, checked before anything is written, and the version made of it."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final, TypeVar

from attrs import field, frozen

from mlops_core.exceptions import VersioningError
from mlops_core.names import check_name, quoted
from mlops_core.records import ArtifactRef, File, LineageLink, ModelVersion, Record, Schema, canonical_json, digest_of, masked_url

__all__ = ["Content", "check_artifacts", "check_key", "check_metadata", "check_parents", "check_schema", "check_source", "check_version"]

R = TypeVar("R", bound=Record)

_URL: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_SYSTEM: Final = ("/boot", "/dev", "/etc", "/proc", "/sys")
_KEY_LIMIT: Final = 400
_NAME_LIMIT: Final = 200
_SHOWN: Final = 80


@frozen
class Content(Record):
    """Everything of a version but its name, its time and who asked."""

    tenant: str
    model: str
    files: tuple[File, ...] = ()
    format: str = ""
    schema: Schema | None = None
    metadata: Mapping[str, Any] = field(factory=dict)
    parents: tuple[LineageLink, ...] = ()
    artifacts: Mapping[str, ArtifactRef] = field(factory=dict)

    def digest(self, version: str) -> str:
        """sha256 of the canonical content under this name; where the bytes lie does not count."""
        return digest_of(
            {
                "tenant": self.tenant,
                "model": self.model,
                "version": version,
                "files": sorted([file.path, file.blob.sha256, file.blob.size] for file in self.files),
                "format": self.format,
                "schema": None if self.schema is None else self.schema.to_dict(),
                "metadata": self.metadata,
                "parents": [[link.kind, link.name, link.digest] for link in self.parents],
                "artifacts": {name: [ref.sha256, ref.size, ref.format] for name, ref in self.artifacts.items()},
            }
        )

    def version(
        self, name: str, created: datetime, *, number: int | None, key: str | None, run_id: str | None, provenance: Sequence[LineageLink]
    ) -> ModelVersion:
        """The version. ``provenance`` (where it was made) is kept with it and is no part of its content; the default key is the digest."""
        digest = self.digest(name)
        return ModelVersion(
            self.tenant,
            self.model,
            name,
            key or digest,
            digest,
            self.files,
            created,
            number=number,
            format=self.format,
            schema=self.schema,
            metadata=self.metadata,
            parents=(*self.parents, *provenance),
            artifacts=self.artifacts,
            run_id=run_id,
        )


def check_version(version: Any) -> str:
    """An explicit version: a name, and not digits only."""
    name = check_name(version, "version", VersioningError)
    if name.isdigit():
        raise VersioningError(
            f"version: {name!r} - digits alone belong to automatic numbers: give '{name}.0', or no version for the next number"
        )
    return name


def check_key(key: Any) -> str | None:
    """A request key: any short printable text."""
    if key is None:
        return None
    if not isinstance(key, str) or not 0 < len(key) <= _KEY_LIMIT or not key.isprintable():
        raise VersioningError(
            f"key: {quoted(str(key))} is no request key - give 1 to {_KEY_LIMIT} printable characters, such as 'run-7/training'"
        )
    return key


def check_metadata(metadata: Any) -> dict[str, Any]:
    """Metadata as JSON values: dates become ISO text, numpy scalars numbers."""
    if metadata is None:
        return {}
    if not isinstance(metadata, Mapping):
        raise VersioningError(f"metadata: expected a mapping, got {type(metadata).__name__} - give {{'accuracy': 0.95}}")
    for name in metadata:
        if not isinstance(name, str) or not 0 < len(name) <= _NAME_LIMIT or not name.isprintable():
            raise VersioningError(f"metadata: {quoted(str(name))} is no key - use 1 to {_NAME_LIMIT} printable characters")
    try:
        return _kept(dict(metadata))  # type: ignore[no-any-return]  # an object in, an object out
    except (TypeError, ValueError, RecursionError):
        for name in metadata:
            _check_value(metadata[name], f"metadata.{name}" if len(name) <= _SHOWN else f"metadata.{name[:_SHOWN]}...")
        raise


def _check_value(value: Any, where: str) -> None:
    try:
        _kept(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise VersioningError(f"{where}: cannot be kept ({error}) - use texts, finite numbers, true/false, lists and mappings") from error


def _kept(value: Any) -> Any:
    """As it will be read; raises for what JSON cannot hold, or UTF-8 not write."""
    text = json.dumps(value, default=_plain, allow_nan=False, ensure_ascii=False)
    text.encode()
    return json.loads(text)


def _plain(value: Any) -> Any:
    if isinstance(value, date | datetime):
        return value.isoformat()
    if type(value).__module__ == "numpy" and getattr(value, "ndim", None) == 0:
        return value.item()
    raise TypeError(f"a {type(value).__name__} is no JSON value")


def check_schema(schema: Any) -> Schema | None:
    """A schema, or its mapping."""
    if schema is None:
        return None
    if isinstance(schema, Schema):
        return _sound(schema, "schema")
    if not isinstance(schema, Mapping):
        raise VersioningError(f"schema: expected a Schema, got {type(schema).__name__} - give mlops_core.records.Schema(inputs, outputs)")
    try:
        return Schema.from_dict(dict(schema))
    except ValueError as error:
        raise VersioningError(f"schema: {error} - give {{'inputs': [{{'name': 'x', 'dtype': 'float64'}}]}}") from error


def _sound(record: R, where: str) -> R:
    """A record that can be read back. Its class takes what it is given, and a version with one that cannot be read hides all beside it."""
    try:
        plain = record.to_dict()
        canonical_json(plain).encode()
        type(record).from_dict(plain)
    except (TypeError, ValueError, RecursionError) as error:
        raise VersioningError(f"{where}: {' '.join(str(error).split())} - correct the {type(record).__name__}") from error
    return record


def check_parents(parents: Any) -> Sequence[LineageLink | str]:
    """A list of links or names; whether they exist is asked later."""
    if isinstance(parents, str) or not isinstance(parents, Sequence):
        raise VersioningError(f"parents: expected a list, got {type(parents).__name__} - give ['model:version'] or links")
    return [_sound(one, f"parents[{at}]") if isinstance(one, LineageLink) else one for at, one in enumerate(parents)]


def check_artifacts(artifacts: Any) -> dict[str, ArtifactRef | Path]:
    """Named references, or paths that may be stored."""
    if artifacts is None:
        return {}
    if not isinstance(artifacts, Mapping):
        raise VersioningError(f"artifacts: expected a mapping, got {type(artifacts).__name__} - give {{'reference': path}}")
    return {
        check_name(name, "artifact", VersioningError): _sound(one, f"artifacts.{name}")
        if isinstance(one, ArtifactRef)
        else check_source(one)
        for name, one in artifacts.items()
    }


def check_source(path: Any) -> Path:
    """A local file or folder that may be a model; links inside are refused where the files are read."""
    text = os.fspath(path) if isinstance(path, str | os.PathLike) else None
    if not isinstance(text, str):
        raise VersioningError(f"model_path: expected a path, got {type(path).__name__} - give a file or a folder")
    plain = masked_url(text) if _URL.match(text) else text
    shown = quoted(plain, _SHOWN)
    if _URL.match(text):
        raise VersioningError(f"model_path: {shown} is a URL - download it first and give the file")
    if not text or "\0" in text:
        raise VersioningError(f"model_path: {shown} is no path - give a file or a folder")
    try:
        real = Path(text).resolve(strict=True)
    except (OSError, RuntimeError) as error:  # a ring of links is a RuntimeError before Python 3.13
        cause = getattr(error, "strerror", None) or "a ring of links"
        raise VersioningError(f"model_path: {shown} cannot be read ({cause}) - give an existing file or folder") from error
    if real == Path(real.anchor) or any(real == Path(place) or Path(place) in real.parents for place in _SYSTEM):
        raise VersioningError(f"model_path: {shown} belongs to the system - give the model's own file or folder")
    return Path(text)
