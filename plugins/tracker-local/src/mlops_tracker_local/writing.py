"""What a batch adds to a run."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from mlops_core.exceptions import ExperimentError
from mlops_tracker_local.database import NAME

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Mapping

    from mlops_core.records import Metric, RunKey, TrackBatch

__all__ = ["number_of", "set_tags", "write_batch"]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


def number_of(connection: sqlite3.Connection, run: RunKey) -> int | None:
    """The row of a run, if it is known."""
    found = connection.execute(
        """SELECT run.id FROM run JOIN experiment ON experiment.id = run.experiment
        WHERE experiment.tenant = ? AND experiment.name = ? AND run.run_id = ?""",
        (run.tenant, run.experiment, run.run_id),
    ).fetchone()
    return None if found is None else int(found[0])


def write_batch(connection: sqlite3.Connection, run: int, batch: TrackBatch) -> None:
    """Add a batch that the run has not; raises ``ExperimentError`` for a param that would change."""
    mark = connection.execute("SELECT sequence FROM mark WHERE run = ? AND writer = ?", (run, batch.writer)).fetchone()
    if mark is not None and batch.sequence <= mark[0]:
        return
    _add_params(connection, run, batch.params)
    _add_points(connection, run, batch.metrics)
    set_tags(connection, run, batch.tags)
    connection.execute(
        "INSERT INTO mark VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET sequence = excluded.sequence", (run, batch.writer, batch.sequence)
    )


def set_tags(connection: sqlite3.Connection, run: int, tags: Mapping[str, str]) -> None:
    """Add or replace tags."""
    connection.executemany(
        "INSERT INTO tag VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET value = excluded.value", ((run, *pair) for pair in tags.items())
    )


def _add_params(connection: sqlite3.Connection, run: int, params: Mapping[str, str]) -> None:
    for name, value in params.items():
        known = connection.execute("SELECT value FROM param WHERE run = ? AND name = ?", (run, name)).fetchone()
        if known is None:
            connection.execute("INSERT INTO param VALUES (?, ?, ?)", (run, name, value))
        elif known[0] != value:
            raise ExperimentError(f"{NAME}: param {name!r} is {known[0]!r} already - log a metric or start a new run")


def _add_points(connection: sqlite3.Connection, run: int, metrics: Iterable[Metric]) -> None:
    by_name: dict[str, list[Metric]] = {}
    for metric in metrics:
        by_name.setdefault(metric.name, []).append(metric)
    for name, points in by_name.items():
        number, before = _last(connection, run, name, points)
        connection.executemany("INSERT INTO point VALUES (?, ?, ?, ?, ?)", _rows(number, before, points))


def _last(connection: sqlite3.Connection, run: int, name: str, points: list[Metric]) -> tuple[int, int]:
    """Keep the value at the highest step, of two at the same the later; answers the metric's row and how many points it had."""
    last = points[0]
    for point in points:
        if point.step >= last.step:
            last = point
    known = connection.execute("SELECT id, step, points FROM metric WHERE run = ? AND name = ?", (run, name)).fetchone()
    if known is None:
        row = (run, name, last.value, last.step, len(points))
        made = connection.execute("INSERT INTO metric (run, name, value, step, points) VALUES (?, ?, ?, ?, ?) RETURNING id", row)
        return int(made.fetchone()[0]), 0
    number, step, before = known
    connection.execute("UPDATE metric SET points = points + ? WHERE id = ?", (len(points), number))
    if last.step >= step:
        connection.execute("UPDATE metric SET value = ?, step = ? WHERE id = ?", (last.value, last.step, number))
    return number, before


def _rows(number: int, before: int, points: Iterable[Metric]) -> Iterable[tuple[Any, ...]]:
    for place, point in enumerate(points, before):
        yield number, place, point.step, (point.at - _EPOCH) // _MICROSECOND, point.value
