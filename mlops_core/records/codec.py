"""Records to and from plain JSON values, by cattrs.

cattrs is loaded at the first use: importing the records must stay cheap.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from cattrs import Converter

__all__ = ["decode", "encode"]

T = TypeVar("T")


def encode(value: Any) -> Any:
    """Plain JSON values of a record; raises ``ValueError`` for what JSON cannot hold."""
    return _converter().unstructure(value)


def decode(cls: type[T], data: Any) -> T:
    """A record from plain values; raises ``ValueError`` naming the class and the cause."""
    from cattrs.errors import BaseValidationError, ForbiddenExtraKeysError, StructureHandlerNotFoundError

    try:
        return _converter().structure(data, cls)
    except (
        BaseValidationError,
        ForbiddenExtraKeysError,
        StructureHandlerNotFoundError,
        KeyError,
        TypeError,
        ValueError,
    ) as error:
        raise ValueError(f"not a {cls.__name__}: {_reason(error)}") from error


def _reason(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return f"{type(error).__name__}: {error}"


@functools.cache
def _converter() -> Converter:
    from cattrs import Converter

    converter = Converter(forbid_extra_keys=True, unstruct_collection_overrides={tuple: list, frozenset: sorted})
    converter.register_unstructure_hook(datetime, _time_text)
    converter.register_structure_hook(datetime, lambda text, _: _time(text))
    converter.register_unstructure_hook(timedelta, timedelta.total_seconds)
    converter.register_structure_hook(timedelta, lambda seconds, _: timedelta(seconds=seconds))
    converter.register_structure_hook_func(lambda kind: kind is Any, lambda value, _: value)
    converter.register_structure_hook_func(_is_plain_mapping, lambda value, _: dict(value))
    return converter


def _is_plain_mapping(kind: Any) -> bool:
    """``Mapping[str, Any]`` holds JSON values already: no need to look inside."""
    return getattr(kind, "__origin__", None) in (Mapping, dict) and kind.__args__[1] is Any


def _time_text(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _time(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError(f"time {text!r} has no zone")
    return at.astimezone(UTC)
