"""A quick way from plain values to a record, for what a store reads by the thousand.

For a class of plain fields a function is written that checks each value's type in line and calls the class; cattrs, which knows every form
and words every error, calls a function per field. The quick one answers None where a value has another form, and leaves the rest to cattrs.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

import attrs

__all__ = ["quick_decoder"]

Quick = Callable[[Any], Any]
_MISSING: Final = object()
_PLAIN: Final = (str, int, bool)


_MADE: Final[dict[type, Quick | None]] = {}


class _UnknownError(Exception):
    """A field of a kind that only the general way knows."""


def quick_decoder(cls: type) -> Quick | None:
    """The function for this class, or None where a field is of a kind that it does not know."""
    try:
        return _MADE[cls]
    except KeyError:
        _MADE[cls] = None  # as a class that holds its own kind finds itself, and goes the general way
        found = _MADE[cls] = _make(cls)
        return found


def _make(cls: type) -> Quick | None:
    if not attrs.has(cls) or "tag" in vars(cls):
        return None
    names: dict[str, Any] = {"cls": cls, "missing": _MISSING, "time": _time}
    lines = ["def quick(data):", "    if type(data) is not dict: return None", "    seen = 0"]
    given = []  # by place where that can be: names take longer to match
    try:
        hints = typing.get_type_hints(cls)
        for at, one in enumerate(attrs.fields(cls)):
            if one.init:
                lines += _field(at, one, hints[one.name], names)
                given.append(f"{one.alias}=v{at}" if one.kw_only else f"v{at}")
    except (_UnknownError, NameError):
        return None
    lines += ["    if seen != len(data): return None", f"    return cls({', '.join(given)})"]
    exec("\n".join(lines), names)  # noqa: S102  the text is made of the class's own field names
    made: Quick = names["quick"]
    return made


def _field(at: int, one: Any, kind: Any, names: dict[str, Any]) -> Iterator[str]:
    """Lines that put the field's value into ``v{at}``, or leave the function."""
    yield f"    v{at} = data.get({one.name!r}, missing)"
    yield f"    if v{at} is missing:"
    if isinstance(one.default, attrs.Factory):  # type: ignore[arg-type]  # attrs types it as a function
        if one.default.takes_self:
            raise _UnknownError
        names[f"d{at}"] = one.default.factory
        yield f"        v{at} = d{at}()"
    elif one.default is attrs.NOTHING:
        yield "        return None"
    else:
        names[f"d{at}"] = one.default
        yield f"        v{at} = d{at}"
    yield "    else:"
    yield "        seen += 1"
    for line in _check(at, kind, names):
        yield f"        {line}"


def _check(at: int, kind: Any, names: dict[str, Any]) -> list[str]:
    """Lines that check and change ``v{at}``."""
    value, origin = f"v{at}", typing.get_origin(kind)
    if kind is Any:
        return []
    if origin is not None:
        return _composed(at, origin, typing.get_args(kind), names)
    if kind in _PLAIN:
        return [f"if type({value}) is not {kind.__name__}: return None"]
    if kind is float:
        return [f"if type({value}) is int: {value} = float({value})", f"elif type({value}) is not float: return None"]
    if kind is datetime:
        return [f"{value} = time({value})"]
    names[f"q{at}"] = _of(kind)
    return [f"{value} = q{at}({value})", f"if {value} is None: return None"]


def _composed(at: int, origin: Any, arguments: tuple[Any, ...], names: dict[str, Any]) -> list[str]:
    """The same for ``X | None``, ``Literal[...]``, ``tuple[X, ...]`` and ``Mapping[str, X]``."""
    value = f"v{at}"
    if origin in (types.UnionType, typing.Union) and len(arguments) == 2 and types.NoneType in arguments:  # noqa: PLR2004  X and None
        (inner,) = (one for one in arguments if one is not types.NoneType)
        return [f"if {value} is not None:", *(f"    {line}" for line in _check(at, inner, names) or ["pass"])]
    if origin is typing.Literal and all(isinstance(one, str) for one in arguments):
        names[f"l{at}"] = frozenset(arguments)
        return [f"if type({value}) is not str or {value} not in l{at}: return None"]
    if origin is tuple and len(arguments) == 2 and arguments[1] is ...:  # noqa: PLR2004  the kind and the dots
        return [f"if type({value}) is not list: return None", *_members(at, arguments[0], names, value), f"{value} = tuple({value})"]
    if origin is Mapping and arguments[0] is str:
        lines = _members(at, arguments[1], names, f"{value}.values()")
        return [f"if type({value}) is not dict: return None", *lines, f"{value} = dict({value})"]
    raise _UnknownError


def _members(at: int, kind: Any, names: dict[str, Any], values: str) -> list[str]:
    """Lines for the values of a list or mapping, which are all of one kind."""
    if kind is Any:
        return []
    if kind in _PLAIN:
        return [f"if v{at} and not all(type(one) is {kind.__name__} for one in {values}): return None"]
    names[f"q{at}"] = _of(kind)
    made = f"[q{at}(one) for one in v{at}]" if values == f"v{at}" else f"{{key: q{at}(one) for key, one in v{at}.items()}}"
    return [f"if v{at}:", f"    v{at} = {made}", f"    if None in {values}: return None"]


def _of(kind: Any) -> Quick:
    found = quick_decoder(kind) if isinstance(kind, type) and attrs.has(kind) else None
    if found is None:
        raise _UnknownError
    return found


def _time(text: Any) -> datetime:
    """As the general way reads it; raises ``TypeError`` or ``ValueError``."""
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError
    return at if at.tzinfo is UTC else at.astimezone(UTC)
