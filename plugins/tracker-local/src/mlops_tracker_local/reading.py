"""Runs as they are read: all that belongs to some of them, in few statements."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from mlops_core.records import Metric, RunStatus, TrackedRun
from mlops_tracker_local.search import HOLDS, search_of

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from mlops_core.records import Query
    from mlops_tracker_local.search import Search

__all__ = ["find_runs", "read_metric"]

_TENANTS: Final = "FROM run JOIN experiment ON experiment.id = run.experiment WHERE experiment.tenant = ?"
_THESE: Final = "(SELECT value FROM json_each(?))"
_ALL: Final = -1
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def find_runs(connection: sqlite3.Connection, tenant: str, query: Query) -> Sequence[TrackedRun]:
    """The page of the tenant's runs that a query asks for."""
    search = search_of(query)
    if search is None:
        numbers = connection.execute(f"SELECT run.id {_TENANTS} ORDER BY run.id", (tenant,)).fetchall()
        return query.apply(_read(connection, [number for (number,) in numbers]), TrackedRun.fields).items
    return _read(connection, _numbers(connection, tenant, search, query))


def read_metric(connection: sqlite3.Connection, run: int, name: str) -> list[Metric]:
    """A run's points of one metric, by step; of one step, as they were written."""
    rows = connection.execute(
        """SELECT point.step, point.at, point.value FROM point JOIN metric ON metric.id = point.metric
        WHERE metric.run = ? AND metric.name = ? ORDER BY point.step, point.at, point.number""",
        (run, name),
    )
    return [Metric(name, math.nan if value is None else value, step, _EPOCH + timedelta(microseconds=at)) for step, at, value in rows]


def _numbers(connection: sqlite3.Connection, tenant: str, search: Search, query: Query) -> list[int]:
    """In the order that the query asks for."""
    connection.create_function(HOLDS, 2, search.holds, deterministic=True)
    statement = f"SELECT run.id {_TENANTS} AND {search.where} ORDER BY {search.order} LIMIT ? OFFSET ?"
    page = (_ALL if query.limit is None else query.limit, int(query.cursor or 0))
    return [number for (number,) in connection.execute(statement, (tenant, *search.wanted, *search.ordered, *page))]


def _read(connection: sqlite3.Connection, numbers: Sequence[int]) -> list[TrackedRun]:
    """In the order of the numbers."""
    these = (json.dumps(numbers),)
    rows = connection.execute(
        f"""SELECT run.id, run.run_id, experiment.name, run.name, experiment.tenant, run.status, run.started, run.ended, run.parent
        FROM run JOIN experiment ON experiment.id = run.experiment WHERE run.id IN {_THESE}""",  # noqa: S608  names of ours
        these,
    )
    params, tags, metrics = (_named(connection, table, numbers) for table in ("param", "tag", "metric"))
    found = {}
    for number, run_id, experiment, name, tenant, status, started, ended, parent in rows:
        found[number] = TrackedRun(
            run_id=run_id,
            experiment=experiment,
            name=name,
            tenant=tenant,
            status=RunStatus(status),
            started=datetime.fromisoformat(started),
            ended=datetime.fromisoformat(ended) if ended else None,
            params=params[number],
            metrics={key: math.nan if value is None else value for key, value in metrics[number].items()},
            tags=tags[number],
            parent_run_id=parent,
            native_id=str(number),
        )
    return [found[number] for number in numbers]


def _named(connection: sqlite3.Connection, table: str, numbers: Sequence[int]) -> dict[int, dict[str, Any]]:
    """What each run has of one kind."""
    found: dict[int, dict[str, Any]] = {number: {} for number in numbers}
    statement = f"SELECT run, name, value FROM {table} WHERE run IN {_THESE}"  # noqa: S608  as above
    for number, name, value in connection.execute(statement, (json.dumps(numbers),)):
        found[number][name] = value
    return found
