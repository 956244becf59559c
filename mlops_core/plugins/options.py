"""The options of a plugin, for people: names, types, defaults, help."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import attrs
from attrs import frozen

from mlops_core.exceptions import PluginError
from mlops_core.plugins.contract import option_fields
from mlops_core.records import Record
from mlops_core.structure import field_type, key_of, one_line, type_text

if TYPE_CHECKING:
    from mlops_core.plugins.loader import Loaded

__all__ = ["Described", "Option", "describe"]


@frozen
class Option(Record):
    """One option. ``default`` is None where it must be given, else as a person would write it."""

    name: str
    type: str
    default: str | None
    help: str


@frozen
class Described(Record):
    """What a plugin is and takes. ``summary`` is the first line of its class's docstring."""

    role: str
    name: str
    source: str
    summary: str
    capabilities: tuple[str, ...]
    options: tuple[Option, ...]


def describe(loaded: Loaded) -> Described:
    """What ``mlops plugins show`` prints.

    Raises:
        PluginError: The type of an option cannot be resolved.
    """
    cls = loaded.cls
    options = tuple(Option(key_of(one), _type(loaded, one), _default(one), str(one.metadata.get("help", ""))) for one in option_fields(cls))
    summary = (inspect.getdoc(cls) or "").partition("\n")[0]
    return Described(loaded.role, loaded.name, loaded.source, summary, tuple(sorted(cls.capabilities)), options)


def _type(loaded: Loaded, option: attrs.Attribute[Any]) -> str:
    try:
        return type_text(field_type(loaded.cls, option))
    except Exception as error:
        raise PluginError(f"{loaded.where}: the type of option {key_of(option)!r} cannot be resolved: {one_line(error)}") from error


def _default(option: attrs.Attribute[Any]) -> str | None:
    if option.default is attrs.NOTHING:
        return None
    if isinstance(option.default, attrs.Factory):  # type: ignore[arg-type]  # the stubs call it a function
        made = getattr(option.default, "factory", None)
        return "{}" if made is dict else "[]" if made in {list, tuple, set, frozenset} else "its own"
    return _written(option.default)


def _written(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(list(value)) if isinstance(value, tuple | frozenset) else str(value)
