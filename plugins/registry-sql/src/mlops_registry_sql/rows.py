"""Records to rows and back."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from attrs import evolve

from mlops_core.exceptions import VersioningError
from mlops_core.records import Entry, ModelVersion, NewEntry, canonical_json

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["PREFIX", "entry_of", "entry_row", "field_rows", "index_value", "version_of", "version_row"]

_decode = json.JSONDecoder().raw_decode  # a body is JSON from its first character to its last: no space to look for

PREFIX = 200  # characters of a text that the index holds


def version_row(version: ModelVersion) -> dict[str, Any]:
    """Columns of a version; raises ``VersioningError`` for what JSON cannot hold."""
    fields = version.fields()
    names = ("model", "version", "number", "format", "run_id", "digest", "created")
    return {
        "tenant": version.tenant,
        "key": version.key,
        "retired": int(version.retired),
        "body": _body(version, f"version {version.version!r} of {version.model!r}"),
        **{name: fields[name] for name in names},
    }


def version_of(body: str, retired: int) -> ModelVersion:
    """The version of a row."""
    version = ModelVersion.from_dict(_decode(body)[0])
    return version if version.retired == bool(retired) else evolve(version, retired=bool(retired))


def field_rows(version: ModelVersion) -> Iterator[dict[str, Any]]:
    """What can be searched for beside the columns: one row per number, truth value or text."""
    for name, value in version.fields().items():
        number, text = index_value(value)
        if "." in name and (number is not None or text is not None):
            mine = {"tenant": version.tenant, "model": version.model, "version": version.version}
            yield {**mine, "name": name, "number": number, "text": text}


def index_value(value: Any) -> tuple[float | None, str | None]:
    """How the index holds a value: rounded or cut off in a way that keeps its order.

    A text ends before its first NUL, the least of all characters, which PostgreSQL cannot hold.
    """
    if isinstance(value, str):
        return None, value[:PREFIX].partition("\0")[0]
    if isinstance(value, int | float):
        try:
            return float(value), None
        except OverflowError:
            return (float("inf") if value > 0 else float("-inf")), None
    return None, None


def entry_row(entry: NewEntry) -> dict[str, Any]:
    """Columns of an entry; raises ``VersioningError`` for what JSON cannot hold."""
    body = json.loads(_body(entry, f"journal entry {entry.kind!r}"))
    state = None if entry.state is None else canonical_json(body["state"])
    return {"at": body["at"], "kind": entry.kind, "key": entry.key, "change": canonical_json(body["change"]), "state": state}


def entry_of(tenant: str, journal: str, row: Any) -> Entry:
    """The entry of a row: position, at, kind, key, change, state."""
    position, at, kind, key, change, state = row
    body = {"at": at, "kind": kind, "key": key, "change": json.loads(change), "state": None if state is None else json.loads(state)}
    return Entry.of(tenant, journal, position, NewEntry.from_dict(body))


def _body(record: ModelVersion | NewEntry, what: str) -> str:
    try:
        text = canonical_json(record.to_dict())
        text.encode()
    except (TypeError, ValueError) as error:
        raise VersioningError(f"registry: {what} holds what JSON cannot: {error}") from error
    return text
