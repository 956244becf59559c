"""Corrections against scipy, closed forms and simulation."""

from __future__ import annotations

import itertools
from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from mlops_core.drift.correction import CORRECTIONS, adjust
from mlops_core.exceptions import DriftDetectionError

P_VALUES = st.lists(st.floats(1e-300, 1), min_size=1, max_size=30)
CASE = [0.01, 0.04, 0.03, 0.005]


@pytest.mark.parametrize(("correction", "method"), [("benjamini-hochberg", "bh"), ("benjamini-yekutieli", "by")])
@given(p_values=P_VALUES)
def test_false_discovery_rates_are_those_of_scipy(correction: str, method: Literal["bh", "by"], p_values: list[float]) -> None:
    expected = stats.false_discovery_control(p_values, method=method)
    assert adjust(p_values, correction) == pytest.approx(expected.tolist(), rel=1e-12)


@pytest.mark.parametrize(
    ("correction", "expected"),
    [
        ("none", [0.01, 0.04, 0.03, 0.005]),
        ("bonferroni", [0.04, 0.16, 0.12, 0.02]),
        ("holm", [0.03, 0.06, 0.06, 0.02]),
        ("benjamini-hochberg", [0.02, 0.04, 0.04, 0.02]),
        ("benjamini-yekutieli", [0.02 * 25 / 12, 0.04 * 25 / 12, 0.04 * 25 / 12, 0.02 * 25 / 12]),
    ],
)
def test_a_case_worked_by_hand(correction: str, expected: list[float]) -> None:
    assert adjust(CASE, correction) == pytest.approx(expected)


@given(p_values=P_VALUES)
def test_order_between_corrections(p_values: list[float]) -> None:
    none, hochberg, holm, bonferroni = (adjust(p_values, name) for name in ("none", "benjamini-hochberg", "holm", "bonferroni"))
    for values in zip(none, hochberg, holm, bonferroni, strict=True):
        assert all(low <= high * (1 + 1e-12) for low, high in itertools.pairwise(values))
        assert 0 < values[0] <= values[-1] <= 1


@given(p_values=P_VALUES)
def test_the_place_of_a_p_value_does_not_matter(p_values: list[float]) -> None:
    for correction in CORRECTIONS:
        turned = adjust(p_values[::-1], correction)[::-1]
        assert turned == pytest.approx(adjust(p_values, correction), rel=1e-12)


@pytest.mark.parametrize("rho", [0.0, 0.5, 0.9])
@pytest.mark.parametrize("correction", [name for name in CORRECTIONS if name != "none"])
def test_false_alarms_stay_at_the_level_on_correlated_columns(correction: str, rho: float) -> None:
    """2,000 checks of 12 columns that did not change; an alarm is any adjusted p-value of at most 0.05."""
    rng = np.random.default_rng(5)
    shared, own = rng.normal(size=(2000, 1)), rng.normal(size=(2000, 12))
    scores = np.sqrt(rho) * shared + np.sqrt(1 - rho) * own
    p_values = 2 * stats.norm.sf(np.abs(scores))
    rate = np.mean([min(adjust(row, correction)) <= 0.05 for row in p_values.tolist()])
    assert rate <= 0.0625


def test_without_a_correction_alarms_are_many() -> None:
    p_values = np.random.default_rng(5).random((2000, 12))
    assert np.mean([min(adjust(row, "none")) <= 0.05 for row in p_values.tolist()]) > 0.4


def test_an_unknown_correction_names_the_nearest() -> None:
    with pytest.raises(DriftDetectionError, match="correction 'bonferoni' is not known - did you mean 'bonferroni'"):
        adjust([0.1], "bonferoni")
    with pytest.raises(DriftDetectionError, match="correction \\['holm'\\] is not known"):
        adjust([0.1], ["holm"])  # type: ignore[arg-type]  # wrong on purpose
