"""The file ``MLmodel`` of a folder of MLflow, read without MLflow: which flavours the folder holds, and whether loading them runs code."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING, Any, Final

import yaml

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from yaml import SafeLoader as _Loader
else:
    _Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the quicker one in C is not part of every PyYAML

__all__ = ["flavours_of", "onnx_file"]

_FILE: Final = "MLmodel"
_LARGEST: Final = 256 << 10  # a signature of some thousand columns
_DEEPEST: Final = 50
_ONNX: Final = "onnx"
_PYFUNC: Final = "python_function"


class _PlainLoader(_Loader):
    """Safe YAML without merge keys, which can stand for more than memory holds."""

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Refuse a merge key in place of resolving it."""
        if any(key.tag == "tag:yaml.org,2002:merge" for key, _ in node.value):
            raise yaml.YAMLError("merge keys are not read")


def _read(text: bytes) -> Any:
    """The document, unless it is nested so deeply that to build it would take the reader's stack."""
    depth = 0
    for event in yaml.parse(text, Loader=_PlainLoader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEEPEST:
            raise yaml.YAMLError("too deep")
    return yaml.load(text, Loader=_PlainLoader)  # noqa: S506  it is a safe loader


def flavours_of(folder: Path) -> Mapping[str, Mapping[str, Any]]:
    """The flavours that ``MLmodel`` lists, with their settings; empty where it is no folder of MLflow. At most 256 KiB are read."""
    file = folder / _FILE
    try:
        if not stat.S_ISREG(file.lstat().st_mode) or file.stat().st_size > _LARGEST:
            return {}
        found = _read(file.read_bytes())
    except Exception:  # noqa: BLE001  what the library raises depends on the text: a KeyError of a bool, an IndexError of a number
        return {}
    flavours = found.get("flavors") if isinstance(found, dict) else None
    if not isinstance(flavours, dict) or not all(isinstance(name, str) and isinstance(one, dict) for name, one in flavours.items()):
        return {}
    return flavours


def onnx_file(folder: Path) -> Path | None:
    """The ONNX model of a folder that MLflow would load as it is; None for any other.

    Another flavour, code of the folder's own and another loader than MLflow's for ONNX are all code that would run, or that was meant to.
    """
    flavours = flavours_of(folder)
    model, loader = flavours.get(_ONNX), flavours.get(_PYFUNC, {})
    if model is None or set(flavours) - {_ONNX, _PYFUNC}:
        return None
    if loader.get("loader_module", "mlflow.onnx") != "mlflow.onnx" or any(one.get("code") for one in (model, loader)):
        return None
    name = model.get("data", "model.onnx")
    plain = isinstance(name, str) and name not in {"", ".", ".."} and not set(name) & set("/\\:\0")
    file = folder / name if plain else None
    return file if file is not None and not file.is_symlink() and file.is_file() else None
