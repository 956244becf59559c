"""Scalars as people write them: numbers that keep their text, durations (``5m``, ``1h30m``), shares (``5%``)."""

from __future__ import annotations

import math
import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from mlops_core.structure.problems import Misfit

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "Deferred",
    "Secret",
    "WrittenFloat",
    "WrittenInt",
    "duration",
    "duration_text",
    "named",
    "plain",
    "share",
    "text_of",
    "value_of",
]

_INT: Final = re.compile(r"[-+]?[0-9]+", re.ASCII)
_OCTAL: Final = re.compile(r"0o[0-7]+", re.ASCII)
_HEX: Final = re.compile(r"0x[0-9a-fA-F]+", re.ASCII)
_FLOAT: Final = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", re.ASCII)
_SPECIAL: Final = re.compile(r"([-+]?)\.(inf|Inf|INF)|\.(nan|NaN|NAN)", re.ASCII)
_WORDS: Final[Mapping[str, Any]] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_LONGEST_INT: Final = 4000
_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0, "y": 31536000.0}
_PART: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|[smhdwy])", re.ASCII)
_DURATION: Final = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|[smhdwy]))+", re.ASCII)
_SHARE: Final = re.compile(r"(\d+(?:\.\d+)?)\s*%", re.ASCII)


class Secret(str):
    """Text that a reference was resolved to. It is used as it is and shown as ``***``."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "***"


class Deferred(str):
    """Text with a reference that is resolved later: it fits every type for now."""

    __slots__ = ()


class WrittenInt(int):
    """An integer that was written otherwise than Python writes it: ``0x10``, ``007``."""

    text: str


class WrittenFloat(float):
    """A number that was written otherwise than Python writes it: ``1.10``, ``1e3``."""

    text: str


def value_of(text: str) -> Any:
    """What an unquoted scalar means in the core schema of YAML 1.2; a number keeps its text where Python would write it otherwise."""
    if text in _WORDS:
        return _WORDS[text]
    if len(text) <= _LONGEST_INT and (_INT.fullmatch(text) or _OCTAL.fullmatch(text) or _HEX.fullmatch(text)):
        base = {"0o": 8, "0x": 16}.get(text[:2], 10)
        return _written(WrittenInt, int(text, base), text)
    if _FLOAT.fullmatch(text):
        return _written(WrittenFloat, float(text), text)
    if special := _SPECIAL.fullmatch(text):
        return _written(WrittenFloat, math.nan if special[3] else float(f"{special[1]}inf"), text)
    return text


def _written(kind: type[Any], value: Any, text: str) -> Any:
    if str(value) == text:
        return value
    number = kind(value)
    number.text = text
    return number


def text_of(number: float) -> str:
    """A number as it was written."""
    return number.text if isinstance(number, WrittenInt | WrittenFloat) else str(number)


def plain(value: Any) -> Any:
    """The value without the memory of how its numbers were written: for whoever takes it untyped."""
    if isinstance(value, WrittenInt):
        return int(value)
    if isinstance(value, WrittenFloat):
        return float(value)
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    return [plain(one) for one in value] if isinstance(value, list) else value


def duration(value: Any) -> timedelta:
    """``5m``, ``1h30m``, ``30d`` (units ms s m h d w y, a year has 365 days) as a time span; raises ``Misfit``."""
    if isinstance(value, timedelta):
        return value
    text = value.strip() if isinstance(value, str) else ""
    if not _DURATION.fullmatch(text):
        bare = isinstance(value, int | float) and not isinstance(value, bool)
        hint = f"give it a unit: {text_of(value)}s or {text_of(value)}m" if bare else "write 30s, 5m, 1h30m or 30d"
        raise Misfit.of(f"expected a duration, got {named(value)} - {hint}")
    try:
        return timedelta(seconds=sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text)))
    except OverflowError:
        raise Misfit.of(f"expected a duration, got {named(value)} - that is longer than any that can be kept") from None


def duration_text(span: timedelta) -> str:
    """The shortest exact text that ``duration`` reads back, to the millisecond."""
    rest, text = round(span / timedelta(milliseconds=1)), ""
    for unit, size in (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)):
        count, rest = divmod(rest, size)
        text += f"{count}{unit}" if count else ""
    return text or "0s"


def share(value: Any) -> float:
    """``5%`` or 0.05 as a fraction in [0, 1]; raises ``Misfit``, for a bare 5 too."""
    percent = _SHARE.fullmatch(value.strip()) if isinstance(value, str) else None
    if percent is None and (isinstance(value, bool) or not isinstance(value, int | float)):
        raise Misfit.of(f"expected a share, got {named(value)} - write 5% or 0.05")
    fraction = float(percent[1]) / 100 if percent else float(value)
    if not 0 <= fraction <= 1:
        hint = "write it as a percentage or a fraction, such as 5% or 0.05"
        raise Misfit.of(f"expected a share between 0% and 100%, got {named(value)} - {hint}")
    return fraction


def named(value: Any) -> str:
    """A value for a message: its kind and, where that helps, itself. A resolved secret shows as ``***``."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return text_of(value)
    if isinstance(value, str):
        return "***" if isinstance(value, Secret) else repr(value[:60] + ("..." if len(value) > 60 else ""))  # noqa: PLR2004  one line
    kinds: dict[type, str] = {dict: "a mapping", list: "a list", tuple: "a list"}
    return kinds.get(type(value), f"a value of type {type(value).__name__}")
