"""An attrs class from a mapping, field by field."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import attrs

from mlops_core.exceptions import MLOpsError
from mlops_core.structure.annotations import field_type, key_of
from mlops_core.structure.problems import Misfit, Problem, nearest, one_line
from mlops_core.structure.scalars import Deferred, Secret, named

if TYPE_CHECKING:
    from mlops_core.structure.structurer import Structurer

__all__ = ["fit_fields"]

T = TypeVar("T")
_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:|$", re.ASCII)
"""What begins a URI (of two letters at least: one is a drive), or nothing at all."""


def fit_fields(structurer: Structurer, value: Any, cls: type[T], also: tuple[str, ...]) -> T:
    """Build ``cls``; with a ``Deferred`` value in it, check what is there and answer the ``Deferred`` instead."""
    if isinstance(value, cls):
        return value
    if not isinstance(value, Mapping):
        raise Misfit.of(f"expected a mapping, got {named(value)}")
    fields = {key_of(one): one for one in attrs.fields(cls) if one.init}  # type: ignore[arg-type]  # the hook's predicate asked attrs
    problems = [Problem((key,), f"unknown key {key!r} - {_hint(key, [*fields], also)}", on_key=True) for key in value if key not in fields]
    given = dict[str, Any]()
    for key, option in fields.items():
        if key in value:
            try:
                given[_parameter(option)] = structurer.one(value[key], _type(cls, option))
            except Misfit as misfit:
                problems += misfit.below(key)
        elif option.default is attrs.NOTHING:
            problems.append(Problem((), f"missing key {key!r}" + (f" - {text}" if (text := option.metadata.get("help")) else "")))
        elif isinstance(option.default, str | Path):
            given[_parameter(option)] = option.default
        given = {**given, **_absolute(structurer, option, given)}
    secret = {key for key, one in value.items() if any(_leaves(one, Secret))}
    if problems:
        raise Misfit(*problems, *_failures(cls, given, secret))
    if waiting := next(_leaves(given, Deferred), None):
        _raise_any(_failures(cls, given, secret))
        return waiting  # type: ignore[return-value]  # whoever hands in a Deferred knows
    return _made(cls, given, secret)


def _hint(key: str, options: list[str], also: tuple[str, ...]) -> str:
    """The nearest of all names; where none is near, the options. One with a dot is written elsewhere."""
    options = [one for one in options if "." not in one]
    near = nearest(key, [*options, *also])
    return near if near.startswith("did") or options == [] else nearest(key, options, "known are")


def _absolute(structurer: Structurer, option: attrs.Attribute[Any], given: dict[str, Any]) -> dict[str, Any]:
    """A path from the root. Text counts as one where the field's metadata says ``path`` and it has no scheme."""
    value, name = given.get(_parameter(option)), _parameter(option)
    if isinstance(value, Path):
        return {name: structurer.path(value)}
    if isinstance(value, str) and option.metadata.get("path") and not isinstance(value, Deferred) and not _SCHEME.match(value):
        return {name: type(value)(structurer.path(Path(value)))}
    return {}


def _raise_any(problems: Iterator[Problem]) -> None:
    """Raise a ``Misfit`` if there are problems."""
    found = tuple(problems)
    if found:
        raise Misfit(*found)


def _made(cls: type[T], given: dict[str, Any], secret: set[str]) -> T:
    try:
        return cls(**given)
    except Misfit:
        raise
    except Exception as error:
        _raise_any(_failures(cls, given, secret))
        raise Misfit.of(_reason(error)) from error


def _failures(cls: type, given: dict[str, Any], secret: set[str]) -> Iterator[Problem]:
    """What converters and validators of single fields refuse: attrs itself stops at the first. Of a secret they may quote any part."""

    def refused(option: attrs.Attribute[Any], error: Exception) -> Problem:
        key = key_of(option)
        return Problem((key,), _reason(error) if key not in secret else "what the reference stands for is not accepted - correct it there")

    stub: Any = object.__new__(cls)
    checked = []
    for option in attrs.fields(cls):
        name = _parameter(option)
        if name in given and not any(_leaves(given[name], Deferred)):
            try:
                value = given[name]
                value = option.converter(value) if callable(option.converter) else value
                object.__setattr__(stub, option.name, value)
                checked.append((option, value))
            except Exception as error:  # noqa: BLE001  whatever a stranger's converter raises is a finding
                yield refused(option, error)
    for option, value in checked:
        try:
            if option.validator is not None:
                option.validator(stub, option, value)
        except AttributeError:  # it looks at a field that was not given
            continue
        except Exception as error:  # noqa: BLE001  the same for a validator
            yield refused(option, error)


def _parameter(option: attrs.Attribute[Any]) -> str:
    """The name by which ``__init__`` takes a field."""
    return option.alias or option.name


def _type(cls: type, option: attrs.Attribute[Any]) -> Any:
    try:
        return field_type(cls, option)
    except Exception as error:
        raise Misfit.of(f"the type {option.type!r} of this option cannot be resolved: {one_line(error)}") from error


def _leaves(value: Any, kind: type[T]) -> Iterator[T]:
    if isinstance(value, kind):
        yield value
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from _leaves(one, kind)
    elif isinstance(value, list | tuple | set | frozenset):
        for one in value:
            yield from _leaves(one, kind)


def _reason(error: Exception) -> str:
    """What a validator says: of attrs' own, the sentence without the values behind it."""
    if isinstance(error, MLOpsError):
        return error.message
    if type(error) in {ValueError, TypeError} and error.args and isinstance(error.args[0], str):
        return " ".join(error.args[0].split())
    return one_line(error)
