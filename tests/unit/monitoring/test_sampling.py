"""Which predictions are sampled, and what is kept of them."""

from __future__ import annotations

import threading
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mlops_core.monitoring.sampling import Reservoir, Sampling
from mlops_core.records.sampling import place_of, seed_of

ALL = Sampling(frozenset({"*"}), 1.0)


def test_only_named_columns_are_kept() -> None:
    sampling = Sampling(frozenset({"delay", "late"}), 1.0)
    reservoir = Reservoir(sampling)
    reservoir.add("p1", {"delay": [12.5], "name": ["planted-secret"]}, {"late": [True], "note": ["planted-secret"]})
    ((row,), dropped) = reservoir.drain()
    assert row == {"prediction_id": "p1", "features": {"delay": 12.5}, "output": {"late": True}, "share": 1.0}
    assert dropped == 0
    assert reservoir.drain() == ((), 0)


def test_rows_of_a_request_are_drawn_one_by_one() -> None:
    sampling = Sampling(frozenset({"x"}), 0.1)
    reservoir = Reservoir(sampling)
    reservoir.add("batch", {"x": np.arange(5000.0)}, {"y": np.arange(5000) * 2})
    rows, _ = reservoir.drain()
    seed = seed_of("batch")
    assert [row.get("row", 0) for row in rows] == [row for row in range(5000) if place_of(seed, row) < 0.1]
    assert all(row["features"]["x"] == row.get("row", 0) and "output" not in row for row in rows)


@pytest.mark.parametrize("rate", [0.01, 0.3])
def test_the_share_of_single_predictions_is_the_rate(rate: float) -> None:
    sampling = Sampling(frozenset({"x"}), rate)
    wanted = sum(sampling.wants(f"id{n}") for n in range(20_000))
    assert wanted == pytest.approx(20_000 * rate, abs=4 * np.sqrt(20_000 * rate * (1 - rate)))
    assert sampling.wants("many", 5000)


def test_a_burst_keeps_the_lowest_places_and_says_what_it_cost() -> None:
    reservoir = Reservoir(ALL)
    for n in range(10_000):
        reservoir.add(f"p{n}", {"x": [n]}, {})
    rows, dropped = reservoir.drain()
    assert len(rows) + dropped == 10_000
    assert 2048 <= len(rows) <= 4096
    (share,) = {row["share"] for row in rows}
    lowest = {f"p{n}" for n in range(10_000) if place_of(seed_of(f"p{n}")) < share}
    assert {row["prediction_id"] for row in rows} == lowest
    reservoir.add("later", {"x": [1]}, {})
    assert reservoir.drain()[0][0]["share"] == 1.0


def test_one_enormous_request_is_bounded_too() -> None:
    reservoir = Reservoir(ALL)
    reservoir.add("batch", {"x": np.arange(50_000)}, {})
    rows, dropped = reservoir.drain()
    assert (len(rows), dropped) == (2048, 50_000 - 2048)


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (np.float32(0.5), 0.5),
        (np.int64(3), 3),
        (np.bool_(True), True),  # noqa: FBT003  a value
        (float("nan"), None),
        (np.float64("inf"), None),
        (None, None),
        ("text", "text"),
        ("x" * 5000, "x" * 1000),
        (np.str_("text"), "text"),
        (datetime(2024, 1, 1, tzinfo=UTC), "2024-01-01T00:00:00+00:00"),
        (np.datetime64("2024-01-01T00:00:01", "s"), "2024-01-01T00:00:01"),
        (np.datetime64("2024-01-01T00:00:01", "ns"), "2024-01-01T00:00:01"),
        (np.timedelta64(1500, "ms"), 1.5),
        (np.datetime64("NaT"), None),
        (pd.NaT, None),
        (date(2024, 1, 1), "2024-01-01"),
        (timedelta(minutes=1), 60.0),
    ],
)
def test_values_are_plain(value: Any, kept: Any) -> None:
    found = ALL.kept({"x": [value]}, 0)
    assert found == {"x": kept}
    assert type(found["x"]) is type(kept)


@pytest.mark.parametrize("value", [np.zeros(3), [1, 2], {"a": 1}, object(), b"bytes", 1j])
def test_what_is_no_plain_value_is_left_out(value: Any) -> None:
    assert ALL.kept({"x": [value], "y": [1]}, 0) == {"y": 1}


def test_an_output_of_other_rows_is_left_out() -> None:
    reservoir = Reservoir(ALL)
    reservoir.add("p", {"x": [1, 2]}, {"y": [1]})
    rows, _ = reservoir.drain()
    assert [("output" in row) for row in rows] == [False, False]


def test_eight_threads_lose_nothing() -> None:
    reservoir, taken = Reservoir(ALL), []
    done = threading.Event()

    def drain() -> None:
        while not done.is_set():
            taken.append(reservoir.drain())

    def add(number: int) -> None:
        for n in range(300):
            reservoir.add(f"{number}-{n}", {"x": [n]}, {})

    drainer = threading.Thread(target=drain)
    writers = [threading.Thread(target=add, args=(number,)) for number in range(8)]
    for thread in (drainer, *writers):
        thread.start()
    for thread in writers:
        thread.join()
    done.set()
    drainer.join()
    taken.append(reservoir.drain())
    ids = [row["prediction_id"] for rows, _ in taken for row in rows]
    assert len(ids) == len(set(ids)) == 2400
    assert sum(dropped for _, dropped in taken) == 0


def test_of_free_text_only_the_length_is_kept() -> None:
    sampling = Sampling(frozenset({"*"}), 1.0, frozenset({"note"}))
    assert sampling.kept({"note": ["x" * 5000], "short": ["x"]}, 0) == {"note": 5000, "short": "x"}


def test_rows_in_which_nothing_is_kept_are_none() -> None:
    reservoir = Reservoir(Sampling(frozenset({"amount"}), 1.0))
    reservoir.add("jane", {"other": [1]}, {})
    assert reservoir.drain() == ((), 0)  # and none is told to be dropped


def test_what_is_to_be_dropped_is_not_built(monkeypatch: pytest.MonkeyPatch) -> None:
    reservoir, built = Reservoir(ALL), []
    kept = Sampling.kept

    def counted(self: Sampling, columns: Any, row: int) -> dict[str, Any]:
        built.append(row)
        return kept(self, columns, row)

    monkeypatch.setattr(Sampling, "kept", counted)
    reservoir.add("batch", {"x": np.arange(50_000)}, {})
    assert len(built) == 2 * 2048  # features and output of each
