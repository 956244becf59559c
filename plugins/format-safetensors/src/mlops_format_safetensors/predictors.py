"""The class of the user that predicts with arrays, by the path that the configuration names."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops_core.exceptions import CapabilityError

if TYPE_CHECKING:
    from types import ModuleType

__all__ = ["predictor_class"]

_WHERE = "format safetensors: predictor"


def predictor_class(named: str) -> Any:
    """The class behind ``module:Class`` or ``/path/to/file.py:Class``.

    Raises:
        CapabilityError: There is none, or it has no ``predict``.
    """
    source, _, name = named.rpartition(":")
    if not source or not name:
        raise CapabilityError(f"{_WHERE}: {named!r} names no class - write 'my_module:MyModel' or './file.py:MyModel'")
    try:
        found: Any = _from_file(Path(source)) if source.endswith(".py") else importlib.import_module(source)
    except Exception as error:  # whatever the module raises while it is imported
        cause = " ".join(str(error).split())
        raise CapabilityError(
            f"{_WHERE}: {source!r} cannot be imported: {type(error).__name__}: {cause} - correct it, or the path"
        ) from error
    cls = getattr(found, name, None)
    if cls is None:
        raise CapabilityError(f"{_WHERE}: {source!r} has no {name!r} - name a class that it has")
    if not callable(getattr(cls, "predict", None)):
        raise CapabilityError(f"{_WHERE}: {named!r} has no method 'predict' - write predict(columns), which answers outputs by name")
    return cls


def _from_file(path: Path) -> ModuleType:
    """Import a file once, under a name that no other module has."""
    if not path.is_file():
        raise FileNotFoundError("there is no such file; one beside the configuration is written './file.py:MyModel'")
    name = f"mlops_predictor_{hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:12]}_{path.stem}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError("it is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
