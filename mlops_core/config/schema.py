"""The JSON schema of ``mlops.yaml``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import attrs

from mlops_core.config.loading import VERSION
from mlops_core.config.settings import SIGN, EnvironmentSettings, Settings, StageSettings, Use
from mlops_core.structure import key_of
from mlops_core.structure.schema import class_schema

__all__ = ["configuration_schema"]

Options = Mapping[str, Mapping[str, Mapping[str, Any]]]

_ROLES: Final = {
    "tracker": "tracker",
    "registry": "registry",
    "channels": "alert",
    "observers": "observer",
    "formats": "format",
    "sinks": "sink",
    "tests": "drift",
}
"""Keys that name plugins, and the role of each."""


def configuration_schema(options: Options) -> dict[str, Any]:
    """The schema of a configuration file.

    Args:
        options: By role and name, the schema of the options of each plugin that is known. Names of others stay allowed, since an inline
            plugin has any name.
    """
    schema = class_schema(Settings, lambda kind: _special(kind, options))
    properties = schema["properties"]
    core = {"registry": {"sign": properties.pop(SIGN)}}
    for holder in (properties, properties["monitoring"]["properties"], properties["drift"]["properties"]):
        for key, role in _ROLES.items():
            if key in holder:
                holder[key] = {**_at_key(key, _plugin(role, options, core.get(key))), **_said(holder[key])}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "mlops.yaml",
        **schema,
        "properties": {"version": {"const": VERSION, "description": "the version of this format"}, **properties},
        "required": ["version"],
    }


def _at_key(key: str, plugin: dict[str, Any]) -> dict[str, Any]:
    if key == "registry":
        return plugin
    if key == "channels":
        return {"type": "object", "additionalProperties": plugin}
    return {"anyOf": [*plugin["anyOf"], {"type": "array", "items": plugin}, {"type": "null"}]}


def _said(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"description": schema["description"]} if "description" in schema else {}


def _plugin(role: str, options: Options, core: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """A plugin's name, or a mapping with ``use``: for each known plugin its options, for any other name whatever is there."""
    own = core or {}
    known = options.get(role, {})
    forms = [
        {**schema, "properties": {"use": {"const": name}, **own, **schema["properties"]}, "required": ["use", *schema.get("required", ())]}
        for name, schema in known.items()
    ]
    other = {"type": "object", "properties": {"use": {"type": "string", "not": {"enum": sorted(known)}}, **own}, "required": ["use"]}
    return {"anyOf": [{"type": "string", "examples": sorted(known)}, *forms, other]}


def _special(kind: Any, options: Options) -> dict[str, Any] | None:
    if kind is Use:
        return {}
    if kind is EnvironmentSettings:
        return _plugin("deployer", options, _core(EnvironmentSettings, {"deployer"}))
    if kind == tuple[StageSettings, ...]:
        return {"type": "object", "additionalProperties": _stage(options)}
    return None


def _stage(options: Options) -> dict[str, Any]:
    """As a plugin, and the built-in stages that need no ``use``."""
    core = _core(StageSettings, {"name", "use", "options", "at"})
    plain = {"type": "object", "properties": core, "not": {"required": ["use"]}}
    return {"anyOf": [{"type": "null"}, plain, *_plugin("stage", options, core)["anyOf"]]}


def _core(cls: type, without: set[str]) -> dict[str, Any]:
    wanted = {key_of(one) for one in attrs.fields(cls)} - without
    properties = class_schema(cls, lambda kind: {} if kind is Use else None)["properties"]
    return {key: properties[key] for key in properties if key in wanted}
