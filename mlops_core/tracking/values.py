"""What a caller may log: each check answers the value in its stored form, or raises one line."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from mlops_core.exceptions import ExperimentError

__all__ = [
    "check_artifact",
    "check_artifacts",
    "check_key",
    "check_metrics",
    "check_params",
    "check_step",
    "check_tags",
    "check_written",
]

_KEY: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./ -]{0,249}", re.ASCII)
_RESERVED: Final = ("mlops.", "mlflow.")
_LONGEST_TEXT: Final = 6000
_SHOWN: Final = 40
_INT64: Final = 2**63


def check_key(key: Any, what: str) -> str:
    """A name of a param, metric, tag or artifact: 1 to 250 of ``A-Z a-z 0-9 _ . / - space``, no ``..``."""
    if isinstance(key, str) and _KEY.fullmatch(key) and ".." not in key and "//" not in key and not key.endswith("/"):
        return key
    shown = repr(key if not isinstance(key, str) or len(key) <= _SHOWN else f"{key[:_SHOWN]}...")
    article = "an" if what[0] in "aeiou" else "a"
    rule = "use 1 to 250 of A-Z a-z 0-9 _ . / - and space, without '..'"
    raise ExperimentError(f"tracker: {shown[:80]} does not name {article} {what} - {rule}")


def _encodable(text: str) -> bool:
    """False with a lone surrogate, as ``os.listdir`` answers for a file name that is no UTF-8: no tracker can store it."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _mapping(values: Any, what: str) -> Mapping[Any, Any]:
    if not isinstance(values, Mapping):
        raise ExperimentError(f"tracker: {what} must be a mapping of names to values, got {type(values).__name__} - give {{'name': value}}")
    return values


def _text(value: Any, key: str, what: str) -> str:
    text = str(value)
    if not _encodable(text):
        raise ExperimentError(f"tracker: {what} {key!r} is {text[:_SHOWN]!a}, which is no Unicode text - log its repr()")
    if len(text) > _LONGEST_TEXT:
        raise ExperimentError(f"tracker: {what} {key!r} has {len(text)} characters, the limit is {_LONGEST_TEXT} - log it as an artifact")
    return text


def check_params(params: Any) -> dict[str, str]:
    """Params as text; raises ``ExperimentError``."""
    return {check_key(key, "param"): _text(value, key, "param") for key, value in _mapping(params, "params").items()}


def check_tags(tags: Any) -> dict[str, str]:
    """Tags as text; names that begin with ``mlops.`` or ``mlflow.`` are reserved."""
    checked = {check_key(key, "tag"): _text(value, key, "tag") for key, value in _mapping(tags, "tags").items()}
    for key in checked:
        if key.startswith(_RESERVED):
            raise ExperimentError(f"tracker: the tag {key!r} is reserved - use a name without the prefix {key.split('.')[0]!r}")
    return checked


def check_metrics(metrics: Any) -> dict[str, float]:
    """Metrics as floats; NaN and infinities are allowed, text and booleans are not."""
    checked = {}
    for key, value in _mapping(metrics, "metrics").items():
        name = check_key(key, "metric")
        if isinstance(value, bool | str | bytes) or not hasattr(value, "__float__"):
            raise ExperimentError(f"tracker: metric {name!r} must be a number, got {type(value).__name__} - log text as a param or tag")
        try:
            checked[name] = float(value)
        except (TypeError, ValueError, OverflowError) as error:
            raise ExperimentError(f"tracker: metric {name!r} is not one number: {error} - give a float") from error
    return checked


def check_step(step: Any) -> int:
    """A step as a signed 64-bit integer; None is 0."""
    if step is None:
        return 0
    if isinstance(step, bool) or not hasattr(step, "__index__"):
        raise ExperimentError(f"tracker: step {step!r} is not a whole number - give an int such as step=1")
    number = int(step.__index__())
    if not -_INT64 <= number < _INT64:
        raise ExperimentError(f"tracker: step {number} does not fit 64 bits - give a smaller one")
    return number


def check_artifact(name: Any, path: Any) -> tuple[str, Path]:
    """An existing file or directory that is no link and holds none, and the name to keep it under."""
    key = check_key(name, "artifact")
    if not isinstance(path, str | os.PathLike):
        raise ExperimentError(f"tracker: artifact {key!r}: expected a path, got {type(path).__name__} - give a file or directory")
    if "\0" in os.fsdecode(path) or "\n" in os.fsdecode(path):
        raise ExperimentError(f"tracker: artifact {key!r}: the path contains a NUL or a line break - rename the file")
    source = Path(os.fsdecode(path))
    if not _encodable(source.name):
        raise ExperimentError(f"tracker: artifact {key!r}: the name {source.name!a} is not UTF-8 - rename the file")
    if source.is_symlink():
        raise ExperimentError(f"tracker: artifact {key!r}: {source} is a symbolic link - give the file itself")
    if not source.exists():
        raise ExperimentError(f"tracker: artifact {key!r}: {source} does not exist - give an existing file or directory")
    if not (source.is_file() or source.is_dir()):
        raise ExperimentError(f"tracker: artifact {key!r}: {source} is neither a file nor a directory - give one of these")
    for found in source.rglob("*"):
        if found.is_symlink():
            raise ExperimentError(f"tracker: artifact {key!r}: {found} is a symbolic link - give a directory without links")
        if not _encodable(found.name):
            raise ExperimentError(f"tracker: artifact {key!r}: the name {found.name!a} in it is not UTF-8 - rename the file")
    return key, source


def check_artifacts(artifacts: Any) -> None:
    """Each of several artifacts, by name."""
    for name, path in _mapping(artifacts, "artifacts").items():
        check_artifact(name, path)


def check_written(name: str, place: Path) -> None:
    """What was to write an artifact has written it."""
    if not place.exists():
        raise ExperimentError(f"tracker: artifact {name!r}: nothing was written - give a figure that draws into a file")
