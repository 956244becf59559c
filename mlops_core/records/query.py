"""A parsed filter: conditions, order and page. ``mlops_core.query`` parses the text, backends evaluate or translate this.

Fields are flat names, ``params.depth``, ``metrics.accuracy``, ``tags.team``, ``metadata.dataset`` or an attribute of the record such as
``name``. Logic is three-valued as in SQL: a comparison with a missing field, or of unlike types, is unknown, ``not`` of unknown is
unknown, and only what is true matches. Params and tags are stored as text: compared with a number or with true and false, text that reads
as one counts as one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar, Generic, Literal, TypeVar

import attrs
from attrs import field, frozen

from mlops_core.records.record import Record

__all__ = ["And", "Comparison", "Condition", "Not", "Operator", "Or", "OrderBy", "Page", "Query"]

T = TypeVar("T")
Operator = Literal["=", "!=", "<", "<=", ">", ">=", "like", "in"]
Fields = Mapping[str, Any]
_TEXT = ("params.", "tags.")
_TRUTHS = {"true": True, "false": False}


def _hashable(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


@frozen
class Comparison(Record):
    """``field operator value``; ``in`` takes a tuple, ``like`` a pattern where ``%`` is any text and ``_`` one character."""

    tag: ClassVar[str] = "comparison"

    field: str
    operator: Operator
    value: Any = attrs.field(converter=_hashable)

    def truth(self, fields: Fields) -> bool | None:
        """True, false, or None for a missing field or an unlike type."""
        actual = fields.get(self.field)
        like = _read_like if self.field.startswith(_TEXT) and isinstance(actual, str) else _as_it_is
        if self.operator == "in":
            answers = [_compare(like(actual, value), "=", value) for value in self.value]
            return True if any(answers) else (None if None in answers else False)
        return _compare(like(actual, self.value), self.operator, self.value)


@frozen
class And(Record):
    """True where every term is."""

    tag: ClassVar[str] = "and"

    terms: tuple[Condition, ...]

    def truth(self, fields: Fields) -> bool | None:
        """False if any term is false, else unknown if any is, else true."""
        answers = [term.truth(fields) for term in self.terms]
        return False if False in answers else (None if None in answers else True)


@frozen
class Or(Record):
    """True where any term is."""

    tag: ClassVar[str] = "or"

    terms: tuple[Condition, ...]

    def truth(self, fields: Fields) -> bool | None:
        """True if any term is true, else unknown if any is, else false."""
        answers = [term.truth(fields) for term in self.terms]
        return True if True in answers else (None if None in answers else False)


@frozen
class Not(Record):
    """True where the term is false."""

    tag: ClassVar[str] = "not"

    term: Condition

    def truth(self, fields: Fields) -> bool | None:
        """Unknown stays unknown."""
        answer = self.term.truth(fields)
        return None if answer is None else not answer


Condition = Comparison | And | Or | Not


@frozen
class OrderBy(Record):
    """One sort key; records without the field come last in either direction, and so do those where it is NaN."""

    field: str
    descending: bool = False


@frozen
class Page(Record, Generic[T]):
    """Some items, and the cursor that fetches the next ones (None: no more)."""

    items: tuple[T, ...]
    cursor: str | None = None


@frozen
class Query(Record):
    """What to find. ``limit`` None: everything; ``cursor``: as a page answered it."""

    where: Condition | None = None
    order_by: tuple[OrderBy, ...] = ()
    limit: int | None = None
    cursor: str | None = field(default=None)

    def matches(self, fields: Fields) -> bool:
        """Whether a record with these flat fields is wanted."""
        return self.where is None or self.where.truth(fields) is True

    def apply(self, rows: Iterable[T], fields: Callable[[T], Fields]) -> Page[T]:
        """Filter, sort and page ``rows`` in memory: the reference that a backend's own translation must equal."""
        found = [row for row in rows if self.matches(fields(row))]
        for key in reversed(self.order_by):
            found = _sorted(found, key, fields)
        start = int(self.cursor) if self.cursor else 0
        end = len(found) if self.limit is None else start + self.limit
        return Page(tuple(found[start:end]), str(end) if end < len(found) else None)


def _sorted(rows: Sequence[T], key: OrderBy, fields: Callable[[T], Fields]) -> list[T]:
    known = [row for row in rows if _has_rank(fields(row).get(key.field))]
    last = [row for row in rows if not _has_rank(fields(row).get(key.field))]
    known.sort(key=lambda row: _rank(fields(row)[key.field]), reverse=key.descending)
    return known + last


def _has_rank(value: Any) -> bool:
    """NaN has none: among numbers that are sorted it leaves all of them in disorder."""
    return value is not None and not (isinstance(value, float) and math.isnan(value))


def _rank(value: Any) -> tuple[int, Any]:
    """Numbers before text, so that a mixed column still sorts."""
    return (0, value) if isinstance(value, int | float) else (1, str(value))


def _as_it_is(actual: Any, _value: Any) -> Any:
    return actual


def _read_like(text: Any, value: Any) -> Any:
    """Text as a value of the kind that it is compared with, where it reads as one."""
    if isinstance(value, bool):
        return _TRUTHS.get(text.lower(), text)
    if not isinstance(value, int | float):
        return text
    try:
        return float(text)
    except ValueError:
        return text


def _alike(left: Any, right: Any) -> bool:
    if isinstance(left, bool) or isinstance(right, bool):
        return isinstance(left, bool) and isinstance(right, bool)
    if isinstance(left, int | float):
        return isinstance(right, int | float)
    return type(left) is type(right)


def _compare(actual: Any, operator: Operator, value: Any) -> bool | None:  # noqa: PLR0911  one line per operator reads best
    if actual is None or not _alike(actual, value):
        return None
    match operator:
        case "=":
            return bool(actual == value)
        case "!=":
            return bool(actual != value)
        case "<":
            return bool(actual < value)
        case "<=":
            return bool(actual <= value)
        case ">":
            return bool(actual > value)
        case ">=":
            return bool(actual >= value)
    return _like(actual, value)


def _like(text: Any, pattern: Any) -> bool | None:
    """Two-pointer match, linear in the text per ``%``: a hostile pattern cannot blow up as a regular expression could."""
    if not isinstance(text, str):
        return None
    at, star, kept, mark = 0, -1, 0, 0
    while at < len(text):
        if mark < len(pattern) and (pattern[mark] == "_" or (pattern[mark] == text[at] and pattern[mark] != "%")):
            at, mark = at + 1, mark + 1
        elif mark < len(pattern) and pattern[mark] == "%":
            star, kept, mark = mark, at, mark + 1
        elif star >= 0:
            kept += 1
            at, mark = kept, star + 1
        else:
            return False
    return not pattern[mark:].strip("%")
