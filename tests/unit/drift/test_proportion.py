"""Two shares, against scipy and simulation."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from mlops_core.drift.proportion import compare_shares


@given(n=st.integers(2, 60), m=st.integers(2, 60), data=st.data())
def test_small_tables_are_decided_by_fishers_exact_test(n: int, m: int, data: st.DataObject) -> None:
    before, after = data.draw(st.integers(0, n)), data.draw(st.integers(0, m))
    outcome = compare_shares(before, n, after, m)
    expected = stats.fisher_exact(np.array([[before, n - before], [after, m - after]])).pvalue
    assert outcome.p_value == pytest.approx(expected, rel=1e-9)
    assert outcome.statistic == pytest.approx(after / m - before / n)
    assert (outcome.effect_size, outcome.n, outcome.m) == (abs(outcome.statistic), n, m)


@pytest.mark.parametrize(
    ("before", "n", "after", "m"), [(120, 5000, 180, 5200), (3, 100_000, 9, 100_000), (40_000, 90_000, 41_000, 90_000)]
)
def test_larger_tables_too(before: int, n: int, after: int, m: int) -> None:
    outcome = compare_shares(before, n, after, m)
    assert outcome.method == "Fisher's exact test"
    assert outcome.p_value == pytest.approx(stats.fisher_exact(np.array([[before, n - before], [after, m - after]])).pvalue, rel=1e-6)


def test_very_large_tables_are_decided_by_chi_square() -> None:
    n, m, before, after = 400_000, 500_000, 120_000, 150_900
    outcome = compare_shares(before, n, after, m)
    table = [[before, n - before], [after, m - after]]
    pearson = stats.chi2_contingency(table, correction=False)
    assert outcome.method == "chi-square test of two shares"
    assert outcome.p_value == pytest.approx(stats.chi2.sf(pearson.statistic * (n + m - 1) / (n + m), 1), rel=1e-6)


def test_a_p_value_is_never_zero_and_never_above_one() -> None:
    assert compare_shares(0, 10**6, 10**6, 10**6).p_value == sys.float_info.min
    assert compare_shares(0, 50_000, 50_000, 50_000).p_value == sys.float_info.min
    assert compare_shares(0, 5, 0, 7).p_value == 1.0
    assert compare_shares(5, 5, 7, 7).p_value == 1.0


@pytest.mark.parametrize("share", [0.02, 0.2, 0.5])
def test_the_null_is_rejected_no_more_often_than_it_says(share: float) -> None:
    rng = np.random.default_rng(3)
    before, after = rng.binomial(150, share, 2000), rng.binomial(90, share, 2000)
    rate = np.mean([compare_shares(int(one), 150, int(two), 90).p_value <= 0.05 for one, two in zip(before, after, strict=True)])
    assert rate <= 0.05


def test_a_change_is_found() -> None:
    rng = np.random.default_rng(3)
    found = [compare_shares(int(rng.binomial(500, 0.05)), 500, int(rng.binomial(500, 0.15)), 500).p_value <= 0.05 for _ in range(200)]
    assert np.mean(found) > 0.95
