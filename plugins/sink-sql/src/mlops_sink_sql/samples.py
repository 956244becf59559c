"""Erasure of single predictions from the segments that carry them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import bindparam, or_, select, update

from mlops_sink_sql.rows import json_text, micros
from mlops_sink_sql.schema import SEGMENTS, SERIES

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet
    from datetime import datetime

    from sqlalchemy import Connection

__all__ = ["purge_samples"]

_PIECE: Final = 100  # segments, of up to ten thousand rows each


def purge_samples(connection: Connection, tenant: str, before: datetime | None, ids: AbstractSet[str]) -> int:
    """Erase rows of samples and failures by age and by prediction; answers how many."""
    if before is None and not ids:
        return 0
    # A merge of the same rows waits, lest it keep what it read before; who writes does not.
    connection.execute(select(SERIES.c.id).where(SERIES.c.tenant == tenant).order_by(SERIES.c.id).with_for_update(key_share=True)).all()
    until = micros(before) if before is not None else 0
    columns = (SEGMENTS.c.id, SEGMENTS.c.start, SEGMENTS.c.sample, SEGMENTS.c.failures)
    carrying = or_(SEGMENTS.c.sample.is_not(None), SEGMENTS.c.failures.is_not(None))
    query = select(*columns).join(SERIES).where(SERIES.c.tenant == tenant, carrying).order_by(SEGMENTS.c.id).limit(_PIECE)
    if not ids:
        query = query.where(SEGMENTS.c.start < until)
    kept = update(SEGMENTS).where(SEGMENTS.c.id == bindparam("number"))
    count, last = 0, 0
    while rows := connection.execute(query.where(SEGMENTS.c.id > last)).all():
        last = rows[-1].id
        for row in rows:
            gone, left = _without(row.sample, row.failures, ids if row.start >= until else None)
            count += gone
            if gone:
                connection.execute(kept, {"number": row.id, "sample": left[0], "failures": left[1]})
    return count


def _without(sample: str | None, failures: str | None, ids: AbstractSet[str] | None) -> tuple[int, list[str | None]]:
    """How many rows go, all of them without ids, and what stays of both."""
    gone, left = 0, list[str | None]()
    for text in (sample, failures):
        rows: list[Any] = json.loads(text) if text else []
        stay = [row for row in rows if row.get("prediction_id") not in ids] if ids is not None else []
        gone += len(rows) - len(stay)
        left.append(json_text(stay) if stay else None)
    return gone, left
