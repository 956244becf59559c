"""Narrow a search in the database. What is found is compared again by the query itself, so that narrowing need not be exact.

Only conditions that must all hold are translated, and each to a comparison that never leaves out a match.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import exists, select

from mlops_core.records import And, Comparison
from mlops_registry_sql.rows import index_value
from mlops_registry_sql.schema import version, version_field

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Column, Select
    from sqlalchemy.sql import ColumnElement

    from mlops_core.records import Query
    from mlops_core.records.query import Condition

__all__ = ["candidates", "is_exact", "sorts"]

_SORTED = frozenset({"model", "version", "format", "digest", "created"})
_TEXTS = _SORTED | {"run_id"}


def candidates(tenant: str, query: Query, *, retired: bool, newest_first: bool) -> Select[Any]:
    """Versions that may match, in the query's order where ``sorts`` says so: sequence, body, retired."""
    narrow = (term for term in map(_narrow, _all_of(query.where)) if term is not None)
    found = select(version.c.sequence, version.c.body, version.c.retired).where(version.c.tenant == tenant, *narrow)
    if not retired:
        found = found.where(version.c.retired == 0)
    keys = (version.c[key.field] for key in query.order_by) if sorts(query) else ()
    order = (column.desc() if key.descending else column for column, key in zip(keys, query.order_by, strict=False))
    return found.order_by(*order, version.c.sequence.desc() if newest_first else version.c.sequence)


def sorts(query: Query) -> bool:
    """Whether the database can sort as the query asks: by insertion, or by columns that are always there."""
    return all(key.field in _SORTED for key in query.order_by)


def is_exact(query: Query) -> bool:
    """Whether what the database finds is all that matches, and no more: texts of columns that must equal."""
    terms = query.where.terms if isinstance(query.where, And) else (query.where,)
    return all(term is None or (isinstance(term, Comparison) and term.operator == "=" and _is_text(term)) for term in terms)


def _is_text(wanted: Comparison) -> bool:
    """Whether a column of text is compared with a text that every database takes: PostgreSQL knows no NUL."""
    return wanted.field in _TEXTS and isinstance(wanted.value, str) and "\0" not in wanted.value


def _all_of(condition: Condition | None) -> Iterator[Comparison]:
    if isinstance(condition, Comparison):
        yield condition
    elif isinstance(condition, And):
        for term in condition.terms:
            yield from _all_of(term)


def _narrow(wanted: Comparison) -> ColumnElement[bool] | None:
    number, text = index_value(wanted.value)
    if "." in wanted.field:
        index = version_field.c
        column: Column[Any] = index.text if text is not None else index.number
        compared = _compare(column, wanted.operator, number if text is None else text)
        if compared is None:
            return None
        same = [index[name] == version.c[name] for name in ("tenant", "model", "version")]
        return exists().where(*same, index.name == wanted.field, compared)
    if _is_text(wanted):
        return _compare(version.c[wanted.field], wanted.operator, wanted.value)
    return None


def _compare(column: Column[Any], operator: str, value: float | str | None) -> ColumnElement[bool] | None:
    """Equality and order only; strict order becomes weak, since the index may have rounded or cut both sides to the same."""
    if value is None:
        return None
    match operator:
        case "=":
            return column == value
        case "<" | "<=":
            return column <= value
        case ">" | ">=":
            return column >= value
    return None
