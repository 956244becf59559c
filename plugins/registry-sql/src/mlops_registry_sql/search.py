"""Narrow a search in the database. What is found is compared again by the query itself, so that narrowing need not be exact.

Only conditions that must all hold are translated, and each to a comparison that never leaves out a match.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import exists, select

from mlops_core.records import And, Comparison
from mlops_registry_sql.rows import index_value
from mlops_registry_sql.schema import version, version_metadata

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Column, Select
    from sqlalchemy.sql import ColumnElement

    from mlops_core.records import Query
    from mlops_core.records.query import Condition

__all__ = ["candidates"]

_METADATA = "metadata."
_TEXTS = frozenset({"model", "version", "format", "run_id", "digest", "created"})


def candidates(tenant: str, query: Query, *, after: int, limit: int | None) -> Select[Any]:
    """Living versions that may match: sequence, body, retired; oldest first, behind the sequence ``after``."""
    living = (version.c.tenant == tenant, version.c.retired == 0, version.c.sequence > after)
    narrow = (term for term in map(_narrow, _all_of(query.where)) if term is not None)
    found = select(version.c.sequence, version.c.body, version.c.retired).where(*living, *narrow).order_by(version.c.sequence)
    return found if limit is None else found.limit(limit)


def _all_of(condition: Condition | None) -> Iterator[Comparison]:
    if isinstance(condition, Comparison):
        yield condition
    elif isinstance(condition, And):
        for term in condition.terms:
            yield from _all_of(term)


def _narrow(wanted: Comparison) -> ColumnElement[bool] | None:
    number, text = index_value(wanted.value)
    if wanted.field.startswith(_METADATA):
        index = version_metadata.c
        column: Column[Any] = index.text if text is not None else index.number
        compared = _compare(column, wanted.operator, number if text is None else text)
        if compared is None:
            return None
        same = [index[name] == version.c[name] for name in ("tenant", "model", "version")]
        return exists().where(*same, index.name == wanted.field.removeprefix(_METADATA), compared)
    if wanted.field in _TEXTS and isinstance(wanted.value, str):
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
