"""Types as JSON schema (draft 2020-12), for editors that complete and check the configuration."""

from __future__ import annotations

import enum
import json
import typing
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, Literal

import attrs

from mlops_core.structure.annotations import LISTS, SHARE, UNIONS, field_type, key_of, origin_of
from mlops_core.structure.scalars import duration_text

__all__ = ["Special", "class_schema", "type_schema"]

Special = Callable[[Any], dict[str, Any] | None]
"""Answers the schema of a type that has a form of its own, else None."""

_PERCENT: Final = {"type": "string", "pattern": r"^\s*\d+(\.\d+)?\s*%\s*$"}
_REFERENCE: Final = {"type": "string", "pattern": r"\$\{"}
_SCALARS: Final[Mapping[Any, dict[str, Any]]] = {
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"anyOf": [{"type": "number"}, _PERCENT]},
    str: {"type": ["string", "number"]},
    Path: {"type": "string", "minLength": 1},
    timedelta: {"type": "string", "pattern": r"^\s*(\d+(\.\d+)?(ms|[smhdwy]))+\s*$"},
    type(None): {"type": "null"},
}
_ANY_TEXT: Final = (["string", "number"], "object", "array")
_SHARE: Final = {"anyOf": [{"type": "number", "minimum": 0, "maximum": 1}, _PERCENT]}


def class_schema(cls: type, special: Special = lambda _: None, *, references: bool = False) -> dict[str, Any]:
    """The mapping that a class is structured from. ``references``: every option may be a ``${...}`` instead."""
    properties, required = {}, []
    for option in attrs.fields(cls):
        if not option.init:
            continue
        schema = _typed(cls, option, special)
        if references and schema and schema.get("type") not in _ANY_TEXT:
            schema = {"anyOf": [schema, _REFERENCE]}
        if text := option.metadata.get("help"):
            schema = {**schema, "description": text}
        if option.default is attrs.NOTHING:
            required.append(key_of(option))
        else:
            schema = {**schema, **_default(option.default)}
        properties[key_of(option)] = schema
    known = {"type": "object", "properties": properties, "additionalProperties": False}
    return {**known, "required": required} if required else known


def type_schema(kind: Any, special: Special = lambda _: None) -> dict[str, Any]:  # noqa: PLR0911  one line per kind of type reads best
    """The values that are structured into a type; ``{}``, anything, for a type that has no written form."""
    own = special(kind)
    if own is not None:
        return own
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Annotated:
        return dict(_SHARE) if SHARE in kind.__metadata__ else type_schema(args[0], special)
    if origin in UNIONS:
        return {"anyOf": [type_schema(one, special) for one in args]}
    if origin is Literal:
        return {"enum": list(args)}
    if origin_of(kind) in LISTS:
        return {"type": "array", **({"items": type_schema(args[0], special)} if args else {})}
    if isinstance(origin_of(kind), type) and issubclass(origin_of(kind), Mapping):
        return {"type": "object", **({"additionalProperties": type_schema(args[1], special)} if args else {})}
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return {"enum": [one.value for one in kind]}
    if isinstance(kind, type) and attrs.has(kind):
        return class_schema(kind, special)
    return dict(_SCALARS.get(kind, {}))


def _typed(cls: type, option: attrs.Attribute[Any], special: Special) -> dict[str, Any]:
    try:
        return type_schema(field_type(cls, option), special)
    except Exception:  # noqa: BLE001  a type that cannot be resolved is reported where the option is used; here it is anything
        return {}


def _default(value: Any) -> dict[str, Any]:
    value = duration_text(value) if isinstance(value, timedelta) else str(value) if isinstance(value, Path) else value
    try:
        return {"default": json.loads(json.dumps(value))}
    except (TypeError, ValueError):
        return {}
