"""``psi``: conformance, and its figures against closed forms, scipy and simulation."""

from __future__ import annotations

import doctest
import math
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from mlops_core.testing.drift_suite import DriftTestSuite
from mlops_drift_psi import PopulationStability, mlops_drift_test, stability
from mlops_drift_psi.bins import Bins

if TYPE_CHECKING:
    from mlops_core.records import TestOutcome

TEST = PopulationStability()


def compare(reference: Any, current: Any, test: PopulationStability = TEST, seed: int = 0) -> TestOutcome:
    return test.compare(test.prepare(np.asarray(reference)), np.asarray(current), rng=np.random.default_rng(seed))


class TestConformance(DriftTestSuite):
    def drift_test(self) -> PopulationStability:
        return PopulationStability(permutations=499)


def test_the_hook_hands_over_the_class() -> None:
    assert mlops_drift_test("psi") is PopulationStability
    assert doctest.testmod(stability).failed == 0


def test_the_index_is_its_formula_and_decided_by_chi_square() -> None:
    before, after = np.repeat([0, 1, 2], [500, 300, 200]), np.repeat([0, 1, 2], [200, 150, 150])
    p, q = (np.array([500, 300, 200]) + 0.5) / 1001.5, (np.array([200, 150, 150]) + 0.5) / 501.5
    index = float(np.sum((q - p) * np.log(q / p)))
    outcome = compare(before, after)

    assert outcome.effect_size == pytest.approx(index, rel=1e-12)
    assert outcome.statistic == pytest.approx(index / (1 / 1000 + 1 / 500), rel=1e-12)
    assert outcome.p_value == pytest.approx(stats.chi2.sf(outcome.statistic, df=2), rel=1e-9)
    assert (outcome.method, outcome.n, outcome.m) == ("PSI, chi-square", 1000, 500)


def test_bins_are_quantiles_of_the_reference_and_open_outside() -> None:
    bins = Bins.by_quantile(np.arange(1.0, 101.0), 10)
    assert bins.edges is not None
    assert bins.edges.tolist() == [10, 20, 30, 40, 50, 60, 70, 80, 90]
    assert bins.counts.tolist() == [10] * 10
    assert bins.count(np.array([-1e300, 10, 10.5, 1e300])).tolist() == [2, 1, 0, 0, 0, 0, 0, 0, 0, 1]


@pytest.mark.parametrize("decimals", [1, 12])
def test_few_and_many_bins_are_counted_alike(decimals: int) -> None:
    rng = np.random.default_rng(13)
    reference, current = (np.round(rng.normal(size=size), decimals) for size in (4000, 3000))
    for most in (2, 10, 60, 64, 66, 200):
        bins = Bins.by_quantile(reference, most)
        assert bins.edges is not None
        borders = np.concatenate([[-np.inf], bins.edges, [np.inf]])
        inside = [int(((low < current) & (current <= high)).sum()) for low, high in pairwise(borders)]
        assert bins.count(current).tolist() == inside


@given(values=st.lists(st.integers(-5, 5).map(float), min_size=2, max_size=60), most=st.integers(2, 12))
def test_every_value_lies_in_one_bin(values: list[float], most: int) -> None:
    sample = np.array(values)
    bins = Bins.by_quantile(sample, most)
    assert bins.counts.tolist() == bins.count(sample).tolist()
    assert bins.counts.sum() == len(values)
    assert bins.tied == (len(set(values)) < len(values))


def test_a_dominant_value_has_a_bin_of_its_own() -> None:
    rng = np.random.default_rng(1)
    reference = np.where(rng.random(1000) < 0.6, 0.0, rng.exponential(size=1000))
    fallen = np.where(rng.random(1000) < 0.6, -1.0, rng.exponential(size=1000))
    outcome = compare(reference, fallen)
    assert outcome.effect_size > 0.25
    assert outcome.p_value == 1 / 5000
    assert compare(np.ones(50), np.zeros(50)).p_value < 1e-40


def test_one_bin_is_no_change() -> None:
    outcome = compare(np.ones(50), np.ones(20))
    assert (outcome.p_value, outcome.effect_size, outcome.method) == (1.0, 0.0, "PSI, a single bin")


def test_small_bins_are_decided_by_simulation() -> None:
    rng = np.random.default_rng(8)
    large, small = rng.normal(size=1000), rng.normal(size=199)
    assert compare(large, rng.normal(size=260)).method == "PSI, chi-square"
    assert compare(large, small).method == "PSI, simulated ranks"
    assert compare(np.round(large, 1), np.round(small, 1)).method == "PSI, permutation"
    assert compare(np.repeat([0, 1], [10, 20]), np.repeat([0, 1], [20, 10])).method == "PSI, permutation"


def test_the_permutation_p_value_of_two_categories_is_the_exact_one() -> None:
    """With two categories the index orders the tables by how far the shares lie apart, so counting all divisions is easy."""
    before, after = np.array([14, 6]), np.array([5, 10])
    pooled, n = before + after, int(before.sum())

    def index(count: int) -> float:
        one = np.array([count, n - count])
        p, q = (one + 0.5) / (n + 1), (pooled - one + 0.5) / (pooled.sum() - n + 1)
        return float(np.sum((q - p) * np.log(q / p)))

    counts = range(max(0, n - int(pooled[1])), min(n, int(pooled[0])) + 1)
    weights = {count: math.comb(int(pooled[0]), count) * math.comb(int(pooled[1]), n - count) for count in counts}
    beyond = sum(weight for count, weight in weights.items() if index(count) >= index(14) - 1e-12)
    exact = beyond / sum(weights.values())

    outcome = compare(np.repeat([0, 1], before), np.repeat([0, 1], after), PopulationStability(permutations=99_999))
    assert outcome.p_value == pytest.approx(exact, abs=3 * math.sqrt(exact / 1e5))


def test_simulated_ranks_agree_with_drawn_samples() -> None:
    """The p-value at the 95th percentile of the index of drawn normal samples is 0.05."""
    rng = np.random.default_rng(21)
    drawn = [compare(rng.normal(size=60), rng.normal(size=45), PopulationStability(permutations=99)).effect_size for _ in range(3000)]
    bins = Bins.by_quantile(rng.normal(size=60), 10)
    from mlops_drift_psi.null import Null

    p_value = Null(rng, 20_000, TEST.divergence).by_rank(bins.counts, 45, float(np.quantile(drawn, 0.95)))
    assert p_value == pytest.approx(0.05, abs=0.0125)


def test_the_usual_cut_offs_mislead_and_the_test_does_not() -> None:
    """At 100 values one distribution passes 0.1; at 100,000 a clear change stays below it."""
    rng = np.random.default_rng(2)
    small = compare(rng.normal(size=100), rng.normal(size=100))
    large = compare(rng.normal(size=100_000), rng.normal(0.1, size=100_000))
    assert small.effect_size > TEST.effect_threshold
    assert small.p_value > 0.05
    assert large.effect_size < TEST.effect_threshold
    assert large.p_value < 1e-50


def test_the_null_is_rejected_as_often_as_it_says_in_large_samples() -> None:
    rng = np.random.default_rng(11)
    reference, current = rng.normal(size=(2000, 600)), rng.normal(size=(500, 2000))
    outcomes = TEST.compare_columns([TEST.prepare(row) for row in reference], current, rng=rng)
    rate = np.mean([outcome.p_value <= 0.05 for outcome in outcomes])
    assert {outcome.method for outcome in outcomes} == {"PSI, chi-square"}
    assert 0.0375 <= rate <= 0.0625


def test_many_categories_are_simulated_in_bounded_memory() -> None:
    rng = np.random.default_rng(6)
    before, after = rng.integers(0, 3000, size=4000), rng.integers(0, 3000, size=4000)
    outcome = compare(before, after, PopulationStability(permutations=999))
    assert 0.001 <= outcome.p_value <= 1


@pytest.mark.parametrize(("option", "value"), [("bins", 1), ("permutations", 10), ("smoothing", 0.0)])
def test_a_wrong_option_is_refused(option: str, value: float) -> None:
    with pytest.raises(ValueError, match=option):
        PopulationStability(**{option: value})  # type: ignore[arg-type]  # wrong on purpose
