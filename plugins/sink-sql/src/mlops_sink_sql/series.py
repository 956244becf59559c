"""The numbers of series."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlalchemy import bindparam, select

from mlops_sink_sql.schema import SERIES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import ColumnElement, Connection

    from mlops_core.records import SeriesKey
    from mlops_sink_sql.database import Database

__all__ = ["id_of", "lock_series", "number_of", "number_series"]

_NUMBER: Final = select(SERIES.c.id).where(*(SERIES.c[name] == bindparam(name) for name in ("tenant", "model", "environment", "version")))
_LOCKED: Final = _NUMBER.with_for_update()
_FREE: Final = _NUMBER.with_for_update(skip_locked=True)


def id_of(series: SeriesKey) -> ColumnElement[int]:
    """The series' number as a subquery: NULL, which equals nothing, for one that never was."""
    return _NUMBER.params(**_named(series)).scalar_subquery()


def number_of(connection: Connection, series: SeriesKey) -> int | None:
    """The series' number, if it has one."""
    return connection.execute(_NUMBER, _named(series)).scalar()


def lock_series(connection: Connection, series: SeriesKey, *, wait: bool = True) -> int | None:
    """The series' number; whoever writes or changes its segments waits for the end of this transaction.

    Without ``wait`` also None while somebody does so.
    """
    return connection.execute(_LOCKED if wait else _FREE, _named(series)).scalar()


def _named(series: SeriesKey) -> dict[str, str]:
    return {"tenant": series.tenant, "model": series.model, "environment": series.environment, "version": series.version}


def number_series(database: Database, connection: Connection, series: Iterable[SeriesKey]) -> dict[SeriesKey, int]:
    """The number of each series, given now where it is new; in order, so that two transactions cannot wait for each other."""
    numbers = {}
    for key in sorted(set(series)):
        found = number_of(connection, key)
        if found is None:
            connection.execute(database.source.insert(SERIES).values(**_named(key)).on_conflict_do_nothing())
            found = number_of(connection, key)
        numbers[key] = int(found or 0)
    return numbers
