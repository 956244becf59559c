"""The structurer: cattrs with hooks that never guess, and that collect every problem instead of the first."""

from __future__ import annotations

import enum
import typing
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar

import attrs

from mlops_core.structure.annotations import LISTS, SHARE, UNIONS, Check, expected, origin_of, type_text
from mlops_core.structure.fields import fit_fields
from mlops_core.structure.problems import Misfit, Problem, nearest
from mlops_core.structure.scalars import Deferred, Secret, duration, named, plain, share, text_of, value_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["Structurer"]

T = TypeVar("T")


class Structurer:
    """Makes typed values of plain ones. Relative paths are taken from ``root``; without a root they stay as they are.

    cattrs finds the hook for a type; the hooks are strict: no number is rounded or read from quoted text, no word becomes a truth value.
    A resolved reference (``Secret``) is text, and is read as the type that is wanted.
    """

    def __init__(self, root: Path | None = None) -> None:
        from cattrs import Converter

        self.root = root
        self._converter = Converter()
        hooks: list[tuple[Callable[[Any], bool], Callable[[Any, Any], Any]]] = [
            (lambda kind: kind is Any or kind is object, lambda value, _: plain(value)),
            (lambda kind: isinstance(kind, type) and issubclass(kind, enum.Enum), _enum),
            (lambda kind: isinstance(kind, type) and attrs.has(kind), self.fit),
            (lambda kind: origin_of(kind) in LISTS, self._list),
            (lambda kind: isinstance(origin_of(kind), type) and issubclass(origin_of(kind), Mapping), self._mapping),
            (lambda kind: typing.get_origin(kind) is Literal, _literal),
            (lambda kind: typing.get_origin(kind) in UNIONS, self._union),
            (lambda kind: typing.get_origin(kind) is typing.Annotated, self._annotated),
        ]
        for applies, hook in hooks:
            self._converter.register_structure_hook_func(applies, hook)
        for kind, read in {**_SCALARS, Path: _path}.items():
            self._converter.register_structure_hook(kind, _untyped(read))

    def add(self, applies: Callable[[Any], bool], hook: Callable[[Any, Any], Any]) -> None:
        """A further hook, asked before the others; it raises ``Misfit``."""
        self._converter.register_structure_hook_func(applies, hook)

    def fit(self, value: Any, kind: type[T], also: Iterable[str] = ()) -> T:
        """An attrs class from a mapping. Unknown keys are refused; ``also`` are further names to suggest for them.

        Raises:
            Misfit: Every problem, each with its path.
        """
        return fit_fields(self, value, kind, tuple(also))

    def one(self, value: Any, kind: Any) -> Any:
        """A value of any type; raises ``Misfit``."""
        from cattrs.errors import StructureHandlerNotFoundError

        if isinstance(value, Deferred):
            return value
        try:
            return self._converter.structure(value, kind)
        except StructureHandlerNotFoundError:
            if type(value) is kind:
                return value
            raise Misfit.of(f"a value of type {type_text(kind)} cannot be written in a configuration - leave it out") from None

    def path(self, value: Path) -> Path:
        """A path as seen from the root."""
        return value if self.root is None else self.root / value.expanduser()

    def _list(self, value: Any, kind: Any) -> Any:
        if isinstance(value, str) or not isinstance(value, Sequence | AbstractSet):
            hint = f" - write [{value}]" if isinstance(value, str) and not isinstance(value, Secret) else ""
            raise Misfit.of(f"expected a list, got {named(value)}{hint}")
        origin, args = origin_of(kind), typing.get_args(kind)
        fixed = origin is tuple and args and args[-1] is not ...
        if fixed and len(args) != len(value):
            raise Misfit.of(f"expected a list of {len(args)}, got one of {len(value)}")
        kinds = args if fixed else [args[0] if args else Any] * len(value)
        return LISTS[origin](self._each(zip(range(len(value)), value, kinds, strict=True)))

    def _each(self, parts: Iterable[tuple[str | int, Any, Any]]) -> list[Any]:
        """Every part's value, or every part's problems."""
        values, problems = [], list[Problem]()
        for step, value, kind in parts:
            try:
                values.append(self.one(value, kind))
            except Misfit as misfit:
                problems += misfit.below(step)
        if problems:
            raise Misfit(*problems)
        return values

    def _mapping(self, value: Any, kind: Any) -> Any:
        if not isinstance(value, Mapping):
            raise Misfit.of(f"expected a mapping, got {named(value)}")
        key_kind, inner = typing.get_args(kind) or (Any, Any)
        made, problems = {}, list[Problem]()
        for key, one in value.items():
            try:
                name = self.one(key, key_kind)
            except Misfit as misfit:
                problems += [Problem((key,), problem.message, on_key=True) for problem in misfit.problems]
                name = key
            try:
                made[name] = self.one(one, inner)
            except Misfit as misfit:
                problems += misfit.below(key)
        if problems:
            raise Misfit(*problems)
        return made

    def _union(self, value: Any, kind: Any) -> Any:
        arms = [one for one in typing.get_args(kind) if one is not type(None)]
        if value is None and len(arms) < len(typing.get_args(kind)):
            return None
        if len(arms) == 1:
            return self.one(value, arms[0])
        exact = [arm for arm in arms if type(plain(value)) is arm]
        structured = [arm for arm in arms if isinstance(arm, type) and attrs.has(arm)]
        for arm in [*exact, *arms]:
            try:
                return self.one(value, arm)
            except Misfit:
                if isinstance(value, Mapping) and structured == [arm]:
                    raise
        raise Misfit.of(f"expected {' or '.join(expected(one) for one in arms)}, got {named(value)}")

    def _annotated(self, value: Any, kind: Any) -> Any:
        typed = share(_read(value)) if SHARE in kind.__metadata__ else self.one(value, typing.get_args(kind)[0])
        for note in kind.__metadata__:
            typed = note.rule(typed) if isinstance(note, Check) else typed
        return typed


def _untyped(read: Callable[[Any], Any]) -> Callable[[Any, Any], Any]:
    """Cattrs asks the hook of ``str`` for enumerations of words too."""
    return lambda value, kind: _enum(value, kind) if isinstance(kind, type) and issubclass(kind, enum.Enum) else read(value)


def _path(value: Any) -> Path:
    if isinstance(value, Path) or (isinstance(value, str) and value and "\0" not in value):
        return Path(value)
    raise Misfit.of(f"expected a path, got {named(value)}")


def _read(value: Any) -> Any:
    """A resolved reference is text whatever it says: read it as if it stood in the file."""
    return value_of(str(value)) if isinstance(value, Secret) else value


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return text_of(value)
    raise Misfit.of(f"expected text, got {named(value)}" + (" - put it in quotes" if isinstance(value, bool) else ""))


def _int(value: Any) -> int:
    read = _read(value)
    if isinstance(read, int) and not isinstance(read, bool):
        return int(read)
    hint = " - remove the quotes" if isinstance(value, str) and isinstance(value_of(str(value)), int) else ""
    raise Misfit.of(f"expected a whole number, got {named(value)}{hint}")


def _float(value: Any) -> float:
    read = _read(value)
    if isinstance(read, int | float) and not isinstance(read, bool):
        return float(read)
    if isinstance(read, str) and read.strip().endswith("%"):
        return share(read)
    hint = " - remove the quotes" if isinstance(value, str) and isinstance(value_of(str(value)), int | float) else ""
    raise Misfit.of(f"expected a number, got {named(value)}{hint}")


def _bool(value: Any) -> bool:
    read = _read(value)
    if isinstance(read, bool):
        return read
    hint = " - remove the quotes" if isinstance(value, str) and isinstance(value_of(str(value)), bool) else ""
    raise Misfit.of(f"expected true or false, got {named(value)}{hint}")


def _none(value: Any) -> None:
    if value is not None:
        raise Misfit.of(f"expected nothing, got {named(value)}")


def _literal(value: Any, kind: Any) -> Any:
    known = typing.get_args(kind)
    for word in known:
        if type(word) is type(plain(value)) and word == value:
            return word
        if isinstance(word, str) and not isinstance(value, bool) and isinstance(value, int | float | str) and _text(value) == word:
            return word
    near = nearest(value, [str(word) for word in known], "possible are")
    raise Misfit.of(f"expected {type_text(kind)}, got {named(value)}" + (f" - {near}" if near.startswith("did") else ""))


def _enum(value: Any, kind: type[enum.Enum]) -> enum.Enum:
    if isinstance(value, kind):
        return value
    for member in kind:
        if member.value == plain(_read(value)) and type(member.value) is not bool:
            return member
    raise Misfit.of(f"expected one of {', '.join(str(one.value) for one in kind)}, got {named(value)}")


_SCALARS: Final[Mapping[Any, Callable[[Any], Any]]] = {
    bool: _bool,
    float: _float,
    int: _int,
    str: _text,
    timedelta: lambda value: duration(str(value) if isinstance(value, Secret) else value),
    type(None): _none,
}
