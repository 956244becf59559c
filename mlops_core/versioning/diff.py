"""What differs between two versions of a model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from attrs import frozen

from mlops_core.records import Record

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mlops_core.records import Column, ModelVersion

__all__ = ["Change", "VersionDiff", "compare"]

Part = Literal["metadata", "file", "format", "input", "output", "parent", "artifact"]
_ABSENT = "-"


@frozen
class Change(Record):
    """One difference; None stands for absent."""

    part: Part
    name: str
    before: Any
    after: Any


@frozen
class VersionDiff(Record):
    """Differences from ``before`` to ``after``, by part and name."""

    model: str
    before: str
    after: str
    changes: tuple[Change, ...]

    def to_text(self) -> str:
        """One line per difference."""
        lines = [f"{self.model}: {self.before} -> {self.after}"]
        lines += [f"  {one.part} {one.name}: {_shown(one.before)} -> {_shown(one.after)}" for one in self.changes]
        return "\n".join(lines if self.changes else [*lines, "  no difference"])

    def __str__(self) -> str:
        return self.to_text()


def compare(before: ModelVersion, after: ModelVersion) -> VersionDiff:
    """Compare metadata, files, format, schema, parents and artifacts."""
    old, new = _parts(before), _parts(after)
    changes = (change for part in old for change in _changes(part, old[part], new[part]))
    return VersionDiff(before.model, before.version, after.version, tuple(changes))


def _parts(version: ModelVersion) -> dict[Part, Mapping[str, Any]]:
    schema = version.schema
    return {
        "metadata": version.metadata,
        "format": {"format": version.format},
        "file": {file.path: file.blob.sha256 for file in version.files},
        "input": _columns(schema.inputs if schema else ()),
        "output": _columns(schema.outputs if schema else ()),
        "parent": {f"{link.kind} {link.name}": link.digest for link in version.parents},
        "artifact": {name: ref.sha256 for name, ref in version.artifacts.items()},
    }


def _columns(columns: tuple[Column, ...]) -> dict[str, str]:
    return {one.name: f"{one.dtype}{list(one.shape) if one.shape else ''}{'?' if one.nullable else ''}" for one in columns}


def _changes(part: Part, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Change]:
    for name in sorted(old.keys() | new.keys()):
        if old.get(name) != new.get(name) or (name in old) != (name in new):
            yield Change(part, name, old.get(name), new.get(name))


def _shown(value: Any) -> str:
    if value is None:
        return _ABSENT
    text = str(value)
    return text if len(text) <= 60 else f"{text[:12]}..."  # noqa: PLR2004  a digest is 64
