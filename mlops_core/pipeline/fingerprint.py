"""The options of a stage by digest: one that says the same has the same, in every process, and no other has it."""

from __future__ import annotations

import dataclasses
import enum
import hashlib
import math
import sys
from collections.abc import Callable, Mapping
from datetime import date, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import attrs

from mlops_core.exceptions import PipelineError
from mlops_core.records import digest_of

if TYPE_CHECKING:
    from mlops_core.roles import Stage

__all__ = ["option_digests"]


def option_digests(stage: Stage, root: Path | None = None) -> dict[str, str]:
    """sha256 of each option. A path counts with what lies there, as seen from ``root``; without a root nothing is read.

    Raises:
        PipelineError: An option is of a type that has no digest, or names what cannot be read.
    """
    kind = type(stage)
    options = (
        {one.name: getattr(stage, one.name) for one in attrs.fields(kind) if one.init}
        if attrs.has(kind)
        else getattr(stage, "__dict__", {})
    )
    found = {}
    for name, value in options.items():
        try:
            found[name] = digest_of(_plain(value, lambda path: str(path) if root is None else _content(path, root)))
        except (TypeError, ValueError, RecursionError) as error:
            said = str(error) if isinstance(error, TypeError) else f"a {type(value).__name__} has no digest"
            raise PipelineError(f"cache: option {name!r}: {said} - give plain values, arrays or paths, or remove 'cache'") from error
        except OSError as error:
            said = f"{error.filename} cannot be read ({error.strerror})"
            raise PipelineError(f"cache: option {name!r}: {said} - mend that, or remove 'cache'") from error
    return found


def _plain(value: Any, of_path: Callable[[Path], Any]) -> Any:
    """JSON that stands for a value. Every mapping in it has one key, which says what it stands for, so that none is taken for another."""

    def each(one: Any) -> Any:
        return _plain(one, of_path)

    if isinstance(value, Path):
        return {"path": of_path(value)}
    for kinds, plain in _PLAIN:
        if isinstance(value, kinds):
            return plain(value, each)
    numpy: Any = sys.modules.get("numpy")  # where it is not loaded, or a thread is still importing it, nothing is an array
    if type(value) is getattr(numpy, "ndarray", None) or isinstance(value, getattr(numpy, "generic", ())):
        array = numpy.asarray(value)
        held = array.tolist() if array.dtype.hasobject else array.tobytes()
        return {"array": [str(array.dtype), list(array.shape), each(held)]}
    if isinstance(value, type) or not (attrs.has(type(value)) or dataclasses.is_dataclass(value)):
        raise TypeError(f"a {type(value).__name__} has no digest")
    fields: Any = attrs.fields(type(value)) if attrs.has(type(value)) else dataclasses.fields(value)
    return {_type_name(value): [[one.name, each(getattr(value, one.name))] for one in fields if one.init]}


def _number(value: float, _: _Each) -> Any:
    return float(value) if math.isfinite(value) else {"float": repr(float(value))}


_Each = Callable[[Any], Any]
_PLAIN: Final[tuple[tuple[Any, Callable[[Any, _Each], Any]], ...]] = (
    (enum.Enum, lambda value, _: {_type_name(value): value.name}),
    ((type(None), bool, int, str), lambda value, _: value),
    (float, _number),
    (bytes, lambda value, _: {"bytes": hashlib.sha256(value).hexdigest()}),
    ((date, time), lambda value, _: {_type_name(value): value.isoformat()}),
    (timedelta, lambda value, _: {"timedelta": [value.days, value.seconds, value.microseconds]}),
    ((list, tuple), lambda value, each: {type(value).__name__: [each(one) for one in value]}),
    ((set, frozenset), lambda value, each: {"set": sorted(digest_of(each(one)) for one in value)}),
    (Mapping, lambda value, each: {"mapping": [[each(name), each(one)] for name, one in value.items()]}),  # its order may matter
)


def _type_name(value: Any) -> str:
    return f"{type(value).__module__}:{type(value).__qualname__}"


def _content(path: Path, root: Path) -> list[Any]:
    """The path as the project sees it, and the digests of what lies there: None for nothing, a file's, or those of all files below."""
    full = root / path
    shown = (full.relative_to(root) if full.is_relative_to(root) else full).as_posix()
    if not full.is_dir():
        return [shown, _file_digest(full) if full.exists() else None]
    below = sorted(full.rglob("*"))
    if linked := next((one for one in below if one.is_symlink() and one.is_dir()), None):
        raise TypeError(f"{linked} is a link to a folder")
    return [shown, [[one.relative_to(full).as_posix(), _file_digest(one)] for one in below if not one.is_dir()]]


def _file_digest(path: Path) -> str:
    if not path.is_file():
        raise TypeError(f"{path} is neither a file nor a folder")
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
