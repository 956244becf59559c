"""A query as SQL, with the answers of the core's own evaluation.

SQL's logic has the same three values. A field that is missing is an empty subquery, so NULL, and unlike types are NULL from the start.
What SQLite would do otherwise than the core (patterns, text that reads as a number) it asks of the core, value by value.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Literal

from attrs import define, field

from mlops_core.records import And, Comparison, Not

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlops_core.records import Condition, OrderBy, Query

__all__ = ["HOLDS", "Search", "search_of"]

HOLDS: Final = "holds"
"""The SQL function of a search: the number of one of its ``questions`` and a value."""

_COLUMNS: Final = {
    "run_id": "run.run_id",
    "experiment": "experiment.name",
    "name": "run.name",
    "status": "run.status",
    "started": "run.started",
}
_TABLES: Final = {"params": "param", "tags": "tag", "metrics": "metric"}
_DEEPEST: Final = 20  # SQLite's parser keeps 100 symbols
_MOST: Final = 900  # SQLite nests 1,000 expressions, and a chain of terms is nested
_INT64: Final = 2**63


@define(eq=False)
class Search:
    """The parts of a SELECT over ``run`` and ``experiment``, and the values of its parameters.

    ``where`` and ``order`` are never empty; ``order`` ends with the order in which runs began.
    """

    where: str = "1"
    order: str = "run.id"
    wanted: list[Any] = field(factory=list)
    ordered: list[Any] = field(factory=list)
    questions: list[Callable[[Any], bool | None]] = field(factory=list)

    def holds(self, question: int, value: Any) -> bool | None:
        """What the core says of a value."""
        return self.questions[question](value)


class _BeyondError(Exception):
    """More than SQLite can be asked."""


def search_of(query: Query) -> Search | None:
    """The query as SQL; None where only the core itself can answer it: it is too long or deep, or holds a value that SQLite has not."""
    found = Search()
    try:
        if query.where is not None:
            found.where = _condition(query.where, found, 0)
        found.order = ", ".join([*(_key(key, found) for key in query.order_by if _is_known(key.field)), "run.id"])
    except _BeyondError:
        return None
    return found if len(found.wanted) + len(found.ordered) <= _MOST else None


def _condition(condition: Condition, search: Search, depth: int) -> str:
    if depth > _DEEPEST:
        raise _BeyondError
    if isinstance(condition, Comparison):
        return _comparison(condition, search)
    if isinstance(condition, Not):
        return f"(NOT {_condition(condition.term, search, depth + 1)})"
    if len(condition.terms) > _MOST:
        raise _BeyondError
    terms = [_condition(term, search, depth + 1) for term in condition.terms]
    word, of_none = (" AND ", "1") if isinstance(condition, And) else (" OR ", "0")
    return f"({word.join(terms)})" if terms else of_none


def _comparison(asked: Comparison, search: Search) -> str:
    """An expression that is 1, 0 or NULL."""
    values = asked.value if asked.operator == "in" else (asked.value,)
    kinds = {_kind(value) for value in values}
    if not values:
        return "0"
    if not _is_known(asked.field):
        return "NULL"
    prefix, _, name = asked.field.partition(".")
    if prefix == "metrics":
        return _number(asked, [value for value in values if _kind(value) == "number"], search, name)
    own = kinds == {"text"} and asked.operator != "like"
    if prefix in _TABLES:
        test = _native(asked.operator, values, search) if own else _question(asked, search)
        search.wanted.append(name)  # its place is behind that of the values
        return f"(SELECT {test.format('value')} FROM {_TABLES[prefix]} WHERE run = run.id AND name = ?)"  # noqa: S608  names of ours
    return f"({(_native(asked.operator, values, search) if own else _question(asked, search)).format(_COLUMNS[asked.field])})"


def _number(asked: Comparison, numbers: Sequence[Any], search: Search, name: str) -> str:
    """Of a metric, whose NULL is a NaN that is unequal to everything."""
    if asked.operator == "like" or not numbers:
        return "NULL"
    test = _native(asked.operator, numbers, search).format("value")
    search.wanted.append(name)
    found = f"(SELECT coalesce({test}, {int(asked.operator == '!=')}) FROM metric WHERE run = run.id AND name = ?)"  # noqa: S608  as above
    return found if asked.operator != "in" or len(numbers) == len(asked.value) else f"({found} OR NULL)"


def _native(operator: str, values: Sequence[Any], search: Search) -> str:
    search.wanted.extend(values)
    return f"{{}} IN ({', '.join('?' * len(values))})" if operator == "in" else f"{{}} {operator} ?"


def _question(asked: Comparison, search: Search) -> str:
    search.questions.append(lambda value: asked.truth({asked.field: value}))
    return f"{HOLDS}({len(search.questions) - 1}, {{}})"


def _key(key: OrderBy, search: Search) -> str:
    """Runs without the field last, in either direction, as are those whose metric is NaN."""
    direction = "DESC" if key.descending else "ASC"
    prefix, _, name = key.field.partition(".")
    if prefix not in _TABLES:
        return f"{_COLUMNS[key.field]} {direction}"
    search.ordered.append(name)
    return f"(SELECT value FROM {_TABLES[prefix]} WHERE run = run.id AND name = ?) {direction} NULLS LAST"  # noqa: S608  as above


def _is_known(name: str) -> bool:
    """Whether any run can have the field."""
    return name in _COLUMNS or ("." in name and name.partition(".")[0] in _TABLES)


def _kind(value: Any) -> Literal["text", "number", "truth"]:
    """What a value is to SQLite; raises where it has no equal there."""
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            raise _BeyondError from None
        return "text"
    if isinstance(value, bool):
        return "truth"
    if (isinstance(value, int) and -_INT64 <= value < _INT64) or (isinstance(value, float) and not math.isnan(value)):
        return "number"
    raise _BeyondError
