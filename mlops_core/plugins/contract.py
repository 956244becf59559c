"""What every plugin's class must be, checked before it is used: role, contract, options."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, cast

import attrs

from mlops_core.exceptions import PluginError
from mlops_core.plugins.groups import CONTRACTS
from mlops_core.roles import Format

if TYPE_CHECKING:
    from mlops_core.plugins.groups import Group
    from mlops_core.roles import Backend

__all__ = ["check_class", "option_fields"]


def option_fields(cls: type) -> tuple[attrs.Attribute[Any], ...]:
    """The fields of an attrs class that the configuration sets; the key of each is its ``alias``."""
    return tuple(one for one in attrs.fields(cls) if one.init)


def check_class(cls: object, group: Group, where: str, *, name: str | None = None) -> type[Backend]:
    """Answer ``cls`` if it is a class of the role, written for a contract of this release, with documented options.

    Args:
        cls: What the plugin handed over.
        group: The role it was asked for.
        where: Names the plugin and its distribution, for the message.
        name: The entry point's name; None for an inline plugin.

    Raises:
        PluginError: One line with the first thing that is wrong.
    """
    if not inspect.isclass(cls):
        raise PluginError(f"{where}: handed over {_shown(cls)} instead of a class - return the class itself, the core makes the instance")
    if not issubclass(cls, group.types):
        raise PluginError(f"{where}: {cls.__name__} is no {group.wanted} - derive it from mlops_core.roles.{group.types[0].__name__}")
    missing = ", ".join(sorted(getattr(cls, "__abstractmethods__", ())))
    if missing:
        raise PluginError(f"{where}: {cls.__name__} lacks {missing} - implement what the role {group.role!r} asks for")
    if not attrs.has(cls) or "__attrs_attrs__" not in vars(cls):
        raise PluginError(f"{where}: {cls.__name__} is no attrs class - decorate it with attrs.define, its fields are its options")
    _check_contract(cls, group, where)
    _check_options(cls, group, where)
    if issubclass(cls, Format):
        _check_format_name(cls, where, name)
    return cast("type[Backend]", cls)


def _check_contract(cls: type, group: Group, where: str) -> None:
    contract = vars(cls).get("contract")
    known = ", ".join(map(str, sorted(CONTRACTS)))
    if contract is None:
        inherited = " only inherits" if hasattr(cls, "contract") else " has no"
        raise PluginError(f"{where}: {cls.__name__}{inherited} 'contract' - state 'contract: ClassVar[int] = {known}' in its own body")
    if type(contract) is not int or contract not in CONTRACTS:
        said = contract if type(contract) is int else _shown(contract)
        raise PluginError(
            f"{where}: {cls.__name__} is written for contract {said} of the role {group.role!r}, this release has {known} - "
            "install versions of the plugin and of motadata-mlops-core that fit"
        )


def _check_options(cls: type, group: Group, where: str) -> None:
    for option in option_fields(cls):
        if option.alias in group.reserved:
            raise PluginError(f"{where}: option {option.alias!r} of {cls.__name__} is a key that belongs to the core - rename the field")
        if any(callable(getattr(kind, option.name, None)) for kind in group.types):
            raise PluginError(f"{where}: option {option.alias!r} of {cls.__name__} hides a method of the role - rename the field")
        text = option.metadata.get("help")
        if not isinstance(text, str) or not text.strip():
            raise PluginError(
                f"{where}: option {option.alias!r} of {cls.__name__} has no help - add metadata={{'help': '...'}} to the field"
            )


def _check_format_name(cls: type[Format], where: str, name: str | None) -> None:
    own = getattr(cls, "name", None)
    if not isinstance(own, str) or not own:
        raise PluginError(f"{where}: {cls.__name__} has no 'name' - state 'name: ClassVar[str] = \"...\"', stored values carry it")
    if name is not None and own != name:
        raise PluginError(f"{where}: {cls.__name__} is named {own!r}, its entry point {name!r} - give both the same name")


def _shown(value: object) -> str:
    return "None" if value is None else f"an object of type {type(value).__name__}"
