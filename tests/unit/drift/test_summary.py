"""Distributions for pictures: shares that add up, on bins that fit both sides."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from mlops_core.drift import Reference

if TYPE_CHECKING:
    from pathlib import Path

    from mlops_core.drift import Distribution, DriftDetector

NUMBERS = st.lists(st.floats(-1e9, 1e9) | st.integers(-5, 5).map(float), min_size=2, max_size=60)


def only(detector: DriftDetector, before: Any, after: Any) -> Distribution:
    (found,) = detector.detect_data_drift({"c": before}, {"c": after}).distributions
    return found


def test_shares_are_those_of_the_values(detector: DriftDetector) -> None:
    rng = np.random.default_rng(7)
    before, after = rng.normal(size=5000), rng.normal(1, 2, size=4000)
    found = only(detector, before, after)
    inner = np.array(found.edges[1:-1])
    for told, values in ((found.reference, before), (found.current, after)):
        exact = np.diff(np.searchsorted(np.sort(values), inner, side="right") / len(values), prepend=0, append=1)
        assert np.abs(np.array(told) - exact).max() < 0.006
    assert found.reference_quantiles == pytest.approx(np.quantile(before, [0.05, 0.25, 0.5, 0.75, 0.95]), abs=0.02)


def test_many_values_are_sampled(detector: DriftDetector) -> None:
    """The order of the values does not matter, and neither does their number."""
    found = only(detector, np.arange(400_000.0), np.arange(400_000.0)[::-1])
    assert np.abs(np.cumsum(found.reference) - np.cumsum(found.current)).max() < 0.03
    assert np.array(found.reference) == pytest.approx(1 / 40, abs=0.012)


def test_whole_numbers_have_a_bin_each(detector: DriftDetector) -> None:
    found = only(detector, [0.0, 1, 1, 2] * 50, [1.0, 3] * 50)
    assert found.edges == (-0.5, 0.5, 1.5, 2.5, 3.5)
    assert found.reference == pytest.approx((0.25, 0.5, 0.25, 0), abs=0.005)
    assert found.current == pytest.approx((0, 0.5, 0, 0.5), abs=0.005)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])  # a detector keeps nothing between calls
@given(NUMBERS, NUMBERS)
def test_any_numbers_have_bins_that_add_up(detector: DriftDetector, before: list[float], after: list[float]) -> None:
    found = only(detector, before, after)
    assert (np.diff(found.edges) > 0).all()
    assert len(found.edges) == len(found.reference) + 1 == len(found.current) + 1
    for side in (found.reference, found.current):
        assert min(side) >= 0
        assert sum(side) == pytest.approx(1)


def test_categories_come_by_size_and_the_rest_together(detector: DriftDetector) -> None:
    found = only(detector, ["a"] * 60 + ["b"] * 30 + ["c"] * 10, ["b"] * 20 + ["new"] * 80)
    assert found.labels == ("new", "a", "b", "c")
    assert (found.reference, found.current) == ((0, 0.6, 0.3, 0.1), (0.8, 0, 0.2, 0))
    many = only(detector, [f"c{i % 40:02}" for i in range(400)], [f"c{i % 40:02}" for i in range(400)])
    assert many.labels[-1] == "29 others"
    assert len(many.labels) == 12
    assert sum(many.reference) == pytest.approx(1)


def test_a_column_that_now_has_no_values_has_none(detector: DriftDetector) -> None:
    before = {"n": [1.0, 2, 3], "c": ["x", "y", "x"]}
    found = detector.detect_data_drift(before, {"n": [1.0, 2, 3], "c": [None, None, None]})
    assert [one.column for one in found.distributions] == ["n"]


def test_a_stored_reference_draws_the_same(detector: DriftDetector, tmp_path: Path) -> None:
    before, after = {"n": [1.0, 2, 3, 4.5], "c": ["x", "y", "x", None]}, {"n": [2.0, 2], "c": ["z", "y"]}
    fitted = detector.fit_reference(before, keep=["*"])
    fitted.save(tmp_path / "reference.npz")
    found = [detector.detect_data_drift(side, after) for side in (before, fitted, Reference.load(tmp_path / "reference.npz"))]
    assert found[0] == found[1] == found[2]
