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
    plain = _converter().unstructure(value)
    _check_plain(plain, type(value).__name__)
    return plain


def decode(cls: type[T], data: Any) -> T:
    """A record from plain values, whatever their form; raises ``ValueError`` naming the class and the cause."""
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


def _check_plain(value: Any, where: str) -> None:
    if isinstance(value, dict):
        for key, inner in value.items():
            if not isinstance(key, str | int):
                problem = f"{where}: {type(key).__name__} cannot be a key in JSON - use text"
                raise ValueError(problem)  # noqa: TRY004  as for every value that JSON cannot hold
            _check_plain(inner, f"{where}.{key}")
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            _check_plain(inner, f"{where}[{index}]")
    elif not (value is None or isinstance(value, str | int | float)):
        problem = f"{where}: {type(value).__name__} cannot be written as JSON - use text, numbers, lists and mappings"
        raise ValueError(problem)


@functools.cache
def _converter() -> Converter:
    from cattrs import Converter

    converter = Converter(forbid_extra_keys=True, unstruct_collection_overrides={tuple: list, frozenset: sorted})
    converter.register_unstructure_hook(datetime, _time_text)
    converter.register_structure_hook(datetime, lambda text, _: _time(text))
    converter.register_unstructure_hook(timedelta, timedelta.total_seconds)
    converter.register_structure_hook(timedelta, lambda seconds, _: timedelta(seconds=_float(seconds, float)))
    converter.register_structure_hook_func(lambda kind: kind is Any, lambda value, _: value)
    converter.register_structure_hook_func(_is_plain_mapping, _mapping)
    for kind, read in ((bool, _bool), (int, _int), (float, _float), (str, _str)):
        converter.register_structure_hook(kind, read)
    _tell_apart(converter)
    return converter


def _tag(kind: Any) -> str | None:
    """The name that a class's values carry, since another class of a union has the same fields."""
    found = vars(kind).get("tag") if isinstance(kind, type) else None
    return found if isinstance(found, str) else None


def _tell_apart(converter: Converter) -> None:
    """Unions of tagged classes: each value says as ``kind`` which it is."""
    from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn

    def encoder(cls: Any) -> Any:
        plain = make_dict_unstructure_fn(cls, converter)
        return lambda value: {"kind": _tag(cls), **plain(value)}

    def decoder(cls: Any) -> Any:
        plain = make_dict_structure_fn(cls, converter, _cattrs_forbid_extra_keys=True)

        def structure(data: Any, _: Any) -> Any:
            _check_kind(data, [str(_tag(cls))])
            return plain({key: value for key, value in data.items() if key != "kind"}, cls)

        return structure

    def choose(data: Any, union: Any) -> Any:
        if data is None and type(None) in union.__args__:
            return None
        kinds = {str(_tag(one)): one for one in union.__args__ if one is not type(None)}
        _check_kind(data, sorted(kinds))
        return converter.structure(data, kinds[data["kind"]])

    converter.register_unstructure_hook_factory(lambda kind: _tag(kind) is not None, encoder)
    converter.register_structure_hook_factory(lambda kind: _tag(kind) is not None, decoder)
    converter.register_structure_hook_func(_is_union_of_tagged, choose)


def _is_union_of_tagged(kind: Any) -> bool:
    arms = [one for one in getattr(kind, "__args__", ()) if one is not type(None)]
    return len(arms) > 1 and all(_tag(one) is not None for one in arms)


def _check_kind(data: Any, kinds: list[str]) -> None:
    if not isinstance(data, Mapping) or data.get("kind") not in kinds:
        raise TypeError(f"expected a value of kind {', '.join(kinds)}")


def _is_plain_mapping(kind: Any) -> bool:
    """``Mapping[str, Any]`` holds JSON values already: no need to look inside."""
    return getattr(kind, "__origin__", None) in (Mapping, dict) and kind.__args__[1] is Any


def _mapping(value: Any, _: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise TypeError(f"expected a mapping, got {type(value).__name__}")
    return dict(value)


def _bool(value: Any, _: Any) -> bool:
    if isinstance(value, bool):
        return value
    raise TypeError(f"expected true or false, got {value!r}")


def _int(value: Any, kind: Any) -> int:
    """JSON writes the keys of a mapping as text, so digits count too. ``kind`` may be an enumeration of numbers."""
    digits = isinstance(value, str) and value.lstrip("-").isdecimal()
    if (isinstance(value, int) and not isinstance(value, bool)) or digits:
        return int(value) if kind is int else kind(int(value))
    raise TypeError(f"expected a whole number, got {value!r}")


def _float(value: Any, _: Any) -> float:
    """JSON has no word for what is no number, so a journal may hold it as text."""
    word = isinstance(value, str) and value.lstrip("+-").lower() in {"nan", "inf", "infinity"}
    if (isinstance(value, int | float) and not isinstance(value, bool)) or word:
        return float(value)
    raise TypeError(f"expected a number, got {value!r}")


def _str(value: Any, kind: Any) -> str:
    """``kind`` may be an enumeration of words."""
    if isinstance(value, str):
        return value if kind is str else kind(value)
    raise TypeError(f"expected text, got {value!r}")


def _time_text(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _time(text: Any) -> datetime:
    if not isinstance(text, str):
        raise TypeError(f"expected a time as text, got {text!r}")
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError(f"time {text!r} has no zone")
    return at.astimezone(UTC)
