"""Drift on real data: flights from New York in 2013, of which January and July differ and two halves of January do not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pytest
from pyarrow import Table, csv

from mlops_core import DriftDetector

FLIGHTS = Path(__file__).parents[2] / "examples/quickstart/data/flights.csv.gz"
WATCHED = ["temp", "humid", "wind_gust", "visib", "carrier", "origin", "distance", "dep_delay"]


@pytest.fixture(scope="module")
def flights() -> Table:
    return csv.read_csv(FLIGHTS)


def month(flights: Table, number: int) -> Table:
    return flights.filter(pc.equal(flights["month"], number)).select(WATCHED)


def test_january_and_july_differ(flights: Table) -> None:
    found = DriftDetector().detect_data_drift(month(flights, 1), month(flights, 7), min_effect=0.05)
    (delay,) = [one for one in found.of("dep_delay") if one.test == "ks"]
    assert found.drift_detected
    assert delay.effect_size == pytest.approx(0.125, abs=0.02)
    assert {"temp", "dep_delay"} <= set(found.drifted_columns)
    assert found.of("temp")[0].effect_size > 0.9


def test_two_halves_of_january_do_not(flights: Table) -> None:
    january = month(flights, 1)
    order = np.random.default_rng(2013).permutation(january.num_rows)
    found = DriftDetector().detect_data_drift(january.take(order[::2]), january.take(order[1::2]))
    assert not found.drift_detected
    assert found.untested_columns == ()
