"""A file of an earlier release becomes one of this release, and nothing in it changes."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import create_engine, inspect

from mlops_core.records import Segment, SeriesKey, ValueSum, Window
from mlops_core.testing.sink_suite import segment
from mlops_sink_sql import migrations
from mlops_sink_sql.migrations import STEPS
from mlops_sink_sql.schema import VERSION
from mlops_sink_sql.sqlite import SqliteSink

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mlops_core.records import Joined

FIRST = Path(__file__).with_name("data") / "schema_1.sql"  # as the first release wrote it: four segments, three rows of the log
AT = datetime(2024, 5, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
SERIES = SeriesKey("acme", "production", "tickets", "1.0.0")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "monitoring.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(FIRST.read_text(encoding="utf-8"))
    return path


@pytest.fixture
def sink(path: Path) -> Iterator[SqliteSink]:
    with closing(SqliteSink(path=path)) as sink:
        yield sink


def tables(path: Path) -> dict[str, object]:
    """Columns, keys and indexes."""
    engine = create_engine(f"sqlite:///{path}")
    found = inspect(engine)
    told: dict[str, object] = {
        name: [
            [(one["name"], str(one["type"]), one["nullable"]) for one in found.get_columns(name)],
            found.get_pk_constraint(name),
            found.get_foreign_keys(name),
            sorted(found.get_unique_constraints(name), key=str),
            sorted((one["name"], one["column_names"], str(one["dialect_options"].get("sqlite_where"))) for one in found.get_indexes(name)),
        ]
        for name in found.get_table_names()
    }
    engine.dispose()
    return told


def test_there_is_a_step_to_every_schema() -> None:
    assert sorted(STEPS) == list(range(2, VERSION + 1))


def test_the_tables_are_those_of_a_new_file(path: Path, sink: SqliteSink, tmp_path: Path) -> None:
    sink.check()
    new = SqliteSink(path=tmp_path / "new.db")
    new.check()
    new.close()
    assert tables(path) == tables(tmp_path / "new.db")


def test_segments_are_as_they_were(sink: SqliteSink) -> None:
    first, merged, last = sink.read(SERIES, AT, AT + HOUR)
    assert first == segment(
        1,
        revision=3,
        total=5,
        errors=2,
        repeated_errors=1,
        errors_by_type={"Timeout": 2},
        histogram={-286: 4, -100: 70000},
        values={"drift.p_value": ValueSum(2, 0.5, 0.125, AT)},
        sample=({"prediction_id": "p1", "x": 1.5},),
    )
    assert list(sink.read(SERIES, AT, AT + HOUR, level=timedelta(minutes=1))) == [merged]
    assert last == segment(4, 70)
    assert list(sink.tenants()) == ["acme", "other"]


def test_what_was_written_before_does_not_count_again(sink: SqliteSink) -> None:
    sink.write([segment(number) for number in (1, 2, 4)])
    assert Window.merge(sink.read(SERIES, AT, AT + HOUR)).total == 7
    sink.write([segment(3)])
    assert Window.merge(sink.read(SERIES, AT, AT + HOUR)).total == 8


def test_what_was_logged_before_is_matched(sink: SqliteSink) -> None:
    def tally(joined: Sequence[Joined]) -> list[Segment]:
        told.extend((one.prediction.prediction_id, one.prediction.value, one.label) for one in joined)
        return []

    told: list[object] = []
    assert sink.join("acme", tally) == 2
    assert sink.join("acme", tally) == 0
    assert told == [("p1", {"prediction": 1}, 1)]


def test_a_step_that_fails_changes_nothing(path: Path, sink: SqliteSink, monkeypatch: pytest.MonkeyPatch) -> None:
    before = tables(path)
    monkeypatch.setattr(migrations, "_SWAPPED", (*migrations._SWAPPED, "SELECT no_such_function()"))  # noqa: SLF001  the last moment of the step
    with pytest.raises(Exception, match="no_such_function"):
        sink.check()
    assert tables(path) == before
    monkeypatch.undo()
    assert len(list(sink.read(SERIES, AT, AT + HOUR))) == 3
