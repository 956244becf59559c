"""Model versions and the files behind them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal

from attrs import field, frozen

from mlops_core.records.record import Record, canonical_json

__all__ = ["ArtifactRef", "Blob", "Column", "File", "Leftover", "LineageLink", "ModelVersion", "Schema", "Signature"]


@frozen
class Blob(Record):
    """Bytes in a store, found by their sha256 (64 hex digits). ``size`` in bytes; ``location`` is the store's own word for where."""

    sha256: str
    size: int
    location: str = ""


@frozen
class File(Record):
    """One file of a version or artifact: a relative POSIX path and its bytes."""

    path: str
    blob: Blob


@frozen
class ArtifactRef(Record):
    """A value stored by digest. A directory's sha256 is that of its canonical manifest, the sorted (path, sha256, size) of its files."""

    sha256: str
    size: int
    format: str
    name: str
    files: tuple[File, ...] = ()


@frozen
class Column(Record):
    """One input or output: ``dtype`` is numpy's name (``float64``, ``str`` for text); ``shape`` is that of one value, () for a scalar."""

    name: str
    dtype: str
    shape: tuple[int, ...] = ()
    nullable: bool = False


@frozen
class Schema(Record):
    """What a model takes and gives, inferred at training; the server validates requests against it."""

    inputs: tuple[Column, ...]
    outputs: tuple[Column, ...] = ()


@frozen
class LineageLink(Record):
    """Where a version comes from: ``kind`` says what ``name`` is, ``digest`` pins its content where there is any.

    A link to another version has kind ``model`` and the name ``model:version``.
    """

    kind: Literal["model", "data", "code", "run", "environment", "params", "file"]
    name: str
    digest: str = ""


@frozen
class Signature(Record):
    """Who vouches for a version: ``algorithm`` is ``ed25519``, ``key_id`` names the public key, ``value`` is the signature in base64."""

    algorithm: str
    key_id: str
    value: str


@frozen
class ModelVersion(Record):
    """One immutable version of a registered model.

    ``number`` is set for automatic versions only (1..N, also their name); ``key`` makes a retry idempotent and defaults to ``digest``, the
    sha256 of the canonical content. ``format`` names the format plugin that reads the model. ``artifacts`` holds named extras such as the
    drift reference. ``retired`` versions stay taken and are hidden from find. ``signature`` is over ``manifest()``.
    """

    tenant: str
    model: str
    version: str
    key: str
    digest: str
    files: tuple[File, ...]
    created: datetime
    number: int | None = None
    format: str = ""
    schema: Schema | None = None
    metadata: Mapping[str, Any] = field(factory=dict)
    parents: tuple[LineageLink, ...] = ()
    artifacts: Mapping[str, ArtifactRef] = field(factory=dict)
    run_id: str | None = None
    retired: bool = False
    signature: Signature | None = None

    def manifest(self) -> bytes:
        """What a signature signs: all of the version but ``retired``, the signature itself, and where bytes lie.

        Written out field by field, so that a field that a later release adds changes no manifest of an earlier one.
        """
        schema = self.schema
        plain = {
            "manifest": 1,
            "tenant": self.tenant,
            "model": self.model,
            "version": self.version,
            "number": self.number,
            "key": self.key,
            "digest": self.digest,
            "files": _listed(self.files),
            "created": self.created.astimezone(UTC).isoformat(timespec="microseconds"),
            "format": self.format,
            "schema": None if schema is None else [[_column(one) for one in side] for side in (schema.inputs, schema.outputs)],
            "metadata": self.metadata,
            "parents": [[link.kind, link.name, link.digest] for link in self.parents],
            "artifacts": {name: [ref.sha256, ref.size, ref.format, ref.name, _listed(ref.files)] for name, ref in self.artifacts.items()},
            "run_id": self.run_id,
        }
        return canonical_json(plain).encode()

    def blobs(self) -> tuple[Blob, ...]:
        """Every blob behind the version: of its files, and of its artifacts."""
        own = [file.blob for file in self.files]
        for artifact in self.artifacts.values():
            own += [file.blob for file in artifact.files] or [Blob(artifact.sha256, artifact.size)]
        return tuple(own)

    def fields(self) -> dict[str, Any]:
        """Flat fields for a query: attributes, ``metadata.*``, and ``parents.{kind}.{name}`` with the parent's digest."""
        flat: dict[str, Any] = {
            "model": self.model,
            "version": self.version,
            "number": self.number,
            "format": self.format,
            "run_id": self.run_id,
            "digest": self.digest,
            "created": self.created.isoformat(),
        }
        flat.update({f"metadata.{name}": value for name, value in self.metadata.items()})
        flat.update({f"parents.{link.kind}.{link.name}": link.digest for link in self.parents})
        return flat


def _listed(files: tuple[File, ...]) -> list[list[Any]]:
    return [[file.path, file.blob.sha256, file.blob.size] for file in files]


def _column(column: Column) -> list[Any]:
    return [column.name, column.dtype, list(column.shape), column.nullable]


@frozen
class Leftover(Record):
    """Something that a crash left in a store: a temporary file, a blob without a version. ``age`` in seconds of store time.

    ``tenant`` is empty where the store cannot tell whose it is.
    """

    kind: str
    location: str
    size: int = 0
    age: float = 0.0
    tenant: str = ""
