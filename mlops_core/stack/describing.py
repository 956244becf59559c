"""The JSON schema of the configuration, with the options of every plugin that is installed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops_core.config.schema import configuration_schema
from mlops_core.exceptions import PluginError
from mlops_core.plugins import Loader
from mlops_core.structure.schema import class_schema

if TYPE_CHECKING:
    import os

__all__ = ["schema"]


def schema(root: str | os.PathLike[str] = ".") -> dict[str, Any]:
    """The schema of ``mlops.yaml`` for an editor. Imports every installed plugin; one that is broken is left out.

    Args:
        root: The project's folder, for inline plugins.
    """
    loader = Loader(Path(root).absolute())
    options: dict[str, dict[str, dict[str, Any]]] = {}
    for one in loader.catalogue:
        try:
            loaded = loader.load(one.role, one.name)
        except PluginError:
            continue
        options.setdefault(one.role, {})[one.name] = class_schema(loaded.cls, references=True)
    return configuration_schema(options)
