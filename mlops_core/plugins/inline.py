"""Plugins before there is a package: ``use: my_module:EnergyDistance`` or ``use: ./detectors.py:EnergyDistance``."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops_core.exceptions import PluginError, PluginNotFoundError
from mlops_core.structure import nearest
from mlops_core.structure.problems import one_line

if TYPE_CHECKING:
    from types import ModuleType

__all__ = ["inline_object", "is_inline"]


def is_inline(use: str) -> bool:
    """Whether ``use`` names an object in a module or file rather than an entry point."""
    return ":" in use


def inline_object(use: str, root: Path, where: str) -> Any:
    """The object behind ``module:name`` or ``file.py:name``, imported under guard. Files are relative to ``root``.

    ``root`` is appended to Python's path, so that a project's modules find each other; an installed module of the same name wins.

    Raises:
        PluginNotFoundError: There is no such module, file or name in it.
        PluginError: Importing it failed.
    """
    source, _, name = use.rpartition(":")
    if not source or not name:
        raise PluginError(f"{where}: {use!r} is no inline plugin - write 'my_module:Name' or './file.py:Name'")
    module = _module(source, root, where)
    found: Any = module
    for part in name.split("."):
        if not hasattr(found, part):
            public = [one for one in vars(found) if not one.startswith("_")] if hasattr(found, "__dict__") else []
            raise PluginNotFoundError(f"{where}: {source} has no {name!r} - {nearest(part, public, 'it has')}")
        found = getattr(found, part)
    return found


def _module(source: str, root: Path, where: str) -> ModuleType:
    if str(root) not in sys.path:
        sys.path.append(str(root))
    beside = root / source if source.endswith(".py") else root / f"{source}.py"
    if source.endswith(".py") and not beside.is_file():
        raise PluginNotFoundError(f"{where}: there is no file {source} beside the configuration - correct the path in 'use'")
    try:
        return _from_file(beside.resolve(), root) if beside.is_file() else importlib.import_module(source)
    except ModuleNotFoundError as error:
        if error.name == source.partition(".")[0] or error.name == source:
            raise PluginNotFoundError(
                f"{where}: there is no module {source!r} - install it, or write './{source.replace('.', '/')}.py:Name' for a file"
            ) from error
        raise PluginError(f"{where}: {source} needs the module {error.name!r}, which is not installed - install it") from error
    except (KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as error:
        raise PluginError(f"{where}: {source} cannot be imported: {one_line(error)}") from error


def _from_file(path: Path, root: Path) -> ModuleType:
    """Import a file under its plain name, so that what it defines can be found again; under a name of its own where that is taken."""
    if path.parent == root.resolve() and path.stem.isidentifier() and _leads_to(path.stem, path):
        return importlib.import_module(path.stem)
    name = f"mlops_inline_{hashlib.sha256(str(path).encode()).hexdigest()[:12]}_{path.stem}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path.name} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _leads_to(name: str, path: Path) -> bool:
    """Whether ``import name`` means this file."""
    known = sys.modules.get(name)
    if known is not None:
        origin = getattr(known, "__file__", None)
    else:
        importlib.invalidate_caches()  # the file may be younger than the last look into its folder
        spec = importlib.util.find_spec(name)
        origin = spec.origin if spec is not None else None
    return origin is not None and Path(origin).resolve() == path
