"""The types of fields and parameters, resolved one by one, and in words."""

from __future__ import annotations

import inspect
import sys
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import attrs

__all__ = ["LISTS", "SHARE", "UNIONS", "Check", "expected", "field_type", "key_of", "origin_of", "resolved", "type_text"]

SHARE: Final = "share"
"""Marks a number as a share: ``Annotated[float, SHARE]`` reads ``5%`` and refuses a bare 5."""


@attrs.frozen
class Check:
    """Marks a type with a rule: ``Annotated[int, Check(positive)]``; the rule answers the value or raises ``Misfit``."""

    rule: Callable[[Any], Any]


UNIONS: Final = (typing.Union, types.UnionType)
_WORDS: Final[Mapping[Any, str]] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    Path: "a path",
    timedelta: "a duration",
    type(None): "nothing",
}
_NAMES: Final[Mapping[Any, str]] = {
    Any: "any",
    bool: "true | false",
    int: "integer",
    float: "number",
    str: "text",
    Path: "path",
    timedelta: "duration",
    type(None): "none",
}
LISTS: Final[Mapping[Any, Callable[[Any], Any]]] = {
    list: list,
    tuple: tuple,
    Sequence: tuple,
    set: set,
    frozenset: frozenset,
    AbstractSet: frozenset,
}
"""Types that are written as a list, and what makes each of one."""

_PLURALS: Final[Mapping[Any, str]] = {list: "list", tuple: "list", Sequence: "list", set: "set", frozenset: "set", AbstractSet: "set"}


def key_of(option: attrs.Attribute[Any]) -> str:
    """The key that sets a field: its metadata's ``key``, else the name of its parameter."""
    return str(option.metadata.get("key", option.alias))


def resolved(annotation: Any, names: Mapping[str, Any]) -> Any:
    """The type behind an annotation; raises ``NameError`` and the like where a name in it is not loaded."""
    holder = types.SimpleNamespace(__annotations__={"it": annotation})
    return typing.get_type_hints(holder, globalns=dict(names), include_extras=True)["it"]


def field_type(cls: type, option: attrs.Attribute[Any]) -> Any:
    """The type of a field, ``Any`` for none. Only this one is resolved: others may name modules loaded for type checks only."""
    if option.type is None:
        return Any
    annotation: Any = option.type
    if not isinstance(annotation, str):
        return annotation
    owner = next((one for one in cls.__mro__ if option.name in inspect.get_annotations(one)), cls)
    return resolved(annotation, {**vars(sys.modules[owner.__module__]), owner.__name__: owner})


def origin_of(kind: Any) -> Any:
    """The bare type of a parametrised one."""
    return typing.get_origin(kind) or kind


def type_text(kind: Any) -> str:
    """A type as the reference of a plugin prints it: ``number or text``, ``list of text``, ``"zstd" | "lz4"``."""
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin is Annotated:
        return "share" if SHARE in kind.__metadata__ else type_text(args[0])
    if origin in UNIONS:
        return " | ".join(type_text(one) for one in args)
    if origin is Literal:
        return " | ".join(f'"{one}"' if isinstance(one, str) else str(one).lower() for one in args)
    if origin in _PLURALS:
        inner = [type_text(one) for one in args if one is not ...]
        return f"{_PLURALS[origin]} of {', '.join(inner)}" if inner else _PLURALS[origin]
    if origin is not None and isinstance(origin, type) and issubclass(origin, Mapping):
        return f"mapping of {type_text(args[0])} to {type_text(args[1])}"
    return _NAMES.get(kind) or str(getattr(kind, "__name__", kind))


def expected(kind: Any) -> str:
    """A type for a message that says what was expected."""
    if attrs.has(kind):
        return "a mapping"
    return _WORDS.get(kind) or type_text(kind)
