"""A uniform sample of predictions, whichever way its parts were kept and merged."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops_core.records.sampling import place_of, places, seed_of, uniform


def kept(share: float, ids: range, **more: Any) -> list[dict[str, Any]]:
    """What is kept of predictions by a share."""
    return [{"prediction_id": f"p{n}", "share": share, **more} for n in ids if place_of(seed_of(f"p{n}")) < share]


@pytest.mark.parametrize("rows", [1, 64, 65, 5000])
def test_places_are_the_same_one_by_one_and_together(rows: int) -> None:
    seed = seed_of("3f1c")
    assert list(places(seed, rows)) == [place_of(seed, row) for row in range(rows)]
    assert all(0 <= place < 1 for place in places(seed, rows))


def test_places_are_uniform_over_ids_and_over_rows() -> None:
    """The Kolmogorov distance of 20,000 places from the uniform distribution is below its 0.999 quantile, 1.95 / sqrt(n)."""
    for found in ([place_of(seed_of(f"id-{n}")) for n in range(20_000)], list(places(seed_of("one request"), 20_000))):
        ordered = np.sort(found)
        distance = np.abs(ordered - (np.arange(20_000) + 0.5) / 20_000).max()
        assert distance < 1.95 / np.sqrt(20_000)
        assert abs(np.corrcoef(found[:-1], found[1:])[0, 1]) < 0.03


def test_rows_of_several_shares_are_cut_to_the_smallest() -> None:
    low, high = kept(0.1, range(5000)), kept(0.5, range(5000, 10_000))
    found = uniform([*low, *high])
    assert {row["prediction_id"] for row in found} == {row["prediction_id"] for row in kept(0.1, range(10_000))}
    assert uniform(low) == tuple(low)
    assert uniform([]) == ()


@given(cut=st.integers(0, 400), most=st.integers(1, 60))
def test_merging_part_by_part_is_merging_at_once(cut: int, most: int) -> None:
    rows = kept(0.4, range(400))
    parts = uniform([*uniform(rows[:cut], most), *uniform(rows[cut:], most)], most)
    whole = uniform(rows, most)
    lowest = sorted(rows, key=lambda row: place_of(seed_of(row["prediction_id"])))
    assert {row["prediction_id"] for row in whole} == {row["prediction_id"] for row in lowest[:most]}
    assert {row["prediction_id"] for row in parts} == {row["prediction_id"] for row in whole}


def test_a_rare_series_keeps_its_share_when_it_is_merged_with_a_frequent_one() -> None:
    """Rows of a part that was cut hard would otherwise count more than those of a part that was not."""
    frequent = uniform(kept(1.0, range(20_000), side="frequent"), 1000)
    rare = kept(1.0, range(20_000, 22_000), side="rare")
    found = uniform([*frequent, *rare])
    share = sum(row["side"] == "rare" for row in found) / len(found)
    assert share == pytest.approx(2 / 22, abs=4 * np.sqrt(2 / 22 * 20 / 22 / len(found)))


def test_rows_of_one_request_have_places_of_their_own() -> None:
    rows = [{"prediction_id": "batch", "row": row, "share": 1.0} for row in range(1000)]
    found = uniform([*rows, {"prediction_id": "x", "share": 0.2}])
    assert 140 < sum(row["prediction_id"] == "batch" for row in found) < 260


def test_rows_without_a_share_are_all_there_were() -> None:
    rows: list[dict[str, Any]] = [{"features": {"x": 1}}, {"features": {"x": 2}}]
    assert uniform(rows) == tuple(rows)


def test_any_text_is_an_id() -> None:
    assert 0 <= place_of(seed_of("\ud800")) < 1
