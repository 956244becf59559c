"""The prediction log, and the matching of predictions with their outcomes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import delete, or_, select, update

from mlops_core.records import UNNAMED, Joined, SeriesKey
from mlops_sink_sql.rows import logged_of, micros
from mlops_sink_sql.schema import LOG, SERIES

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy import ColumnElement, Connection, Row, Select

__all__ = ["MOST", "fresh_rows", "pairs_of", "purge_log", "remember"]

MOST: Final = 1000
"""Rows of one answer, one join, one statement."""

_PREDICTION: Final = LOG.alias("prediction")
_OUTCOME: Final = LOG.alias("outcome")
_ANSWERED: Final = SERIES.alias("answered")
_NAMED: Final = SERIES.alias("named")


def fresh_rows(connection: Connection, tenant: str) -> list[int]:
    """Numbers of rows that no join has looked at, the oldest first."""
    query = select(LOG.c.id).where(LOG.c.tenant == tenant, LOG.c.fresh == 1).order_by(LOG.c.id).limit(MOST)
    return list(connection.execute(query).scalars())


def pairs_of(connection: Connection, tenant: str, fresh: Sequence[int]) -> dict[int, Joined]:
    """By the prediction's number: predictions that these rows are, or belong to, with their first outcome."""
    found: dict[int, Row[Any]] = {}
    for side in (_PREDICTION, _OUTCOME):
        for row in connection.execute(_counterparts(tenant).where(side.c.id.in_(fresh))):
            if row.id not in found or row.outcome < found[row.id].outcome:
                found[row.id] = row
    return {number: _joined(row) for number, row in sorted(found.items())}


def _counterparts(tenant: str) -> Select[Any]:
    answered = (_ANSWERED.c.environment, _ANSWERED.c.model, _ANSWERED.c.version)
    return (
        select(_PREDICTION, *answered, _OUTCOME.c.id.label("outcome"), _OUTCOME.c.value.label("label"))
        .join(_ANSWERED, _ANSWERED.c.id == _PREDICTION.c.series)
        .join(_OUTCOME, (_OUTCOME.c.prediction_id == _PREDICTION.c.prediction_id) & (_OUTCOME.c.row == _PREDICTION.c.row))
        .join(_NAMED, _NAMED.c.id == _OUTCOME.c.series)
        .where(_PREDICTION.c.tenant == tenant, _PREDICTION.c.kind == "prediction", _PREDICTION.c.joined == 0)
        .where(_OUTCOME.c.tenant == tenant, _OUTCOME.c.kind == "outcome")
        .where(or_(_NAMED.c.model == _ANSWERED.c.model, _NAMED.c.model == UNNAMED))
    )


def _joined(row: Row[Any]) -> Joined:
    series = SeriesKey(row.tenant, row.environment, row.model, row.version)
    return Joined(logged_of(row, series), json.loads(row.label))


def remember(connection: Connection, fresh: Sequence[int], joined: Sequence[int]) -> None:
    """No join looks at these rows, or matches these predictions, again."""
    connection.execute(update(LOG).where(LOG.c.id.in_(fresh)).values(fresh=0))
    for first in range(0, len(joined), MOST):
        connection.execute(update(LOG).where(LOG.c.id.in_(joined[first : first + MOST])).values(joined=1))


def _outcomes_of(tenant: str, before: int) -> Select[Any]:
    """Numbers of the outcomes of predictions of before, also of what is matched already."""
    return (
        select(_OUTCOME.c.id)
        .join(_PREDICTION, (_OUTCOME.c.prediction_id == _PREDICTION.c.prediction_id) & (_OUTCOME.c.row == _PREDICTION.c.row))
        .join(_ANSWERED, _ANSWERED.c.id == _PREDICTION.c.series)
        .join(_NAMED, _NAMED.c.id == _OUTCOME.c.series)
        .where(_PREDICTION.c.tenant == tenant, _PREDICTION.c.kind == "prediction", _PREDICTION.c.at < before)
        .where(_OUTCOME.c.tenant == tenant, _OUTCOME.c.kind == "outcome")
        .where(or_(_NAMED.c.model == _ANSWERED.c.model, _NAMED.c.model == UNNAMED))
    )


def purge_log(connection: Connection, tenant: str, before: datetime | None, ids: Sequence[str]) -> int:
    """Erase rows by age and by prediction, and the outcomes of predictions that go; answers how many."""
    wanted: list[ColumnElement[bool]] = [LOG.c.prediction_id.in_(ids[first : first + MOST]) for first in range(0, len(ids), MOST)]
    if before is not None:
        mine = select(SERIES.c.id).where(SERIES.c.tenant == tenant)
        old = LOG.c.series.in_(mine) & (LOG.c.at < micros(before))
        wanted += [(LOG.c.kind == "outcome") & LOG.c.id.in_(_outcomes_of(tenant, micros(before))), old]
    return sum(connection.execute(delete(LOG).where(LOG.c.tenant == tenant, one)).rowcount for one in wanted)
