"""``chi2``: conformance, and its figures against scipy, exact permutation and simulation."""

from __future__ import annotations

import doctest
import math
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from mlops_core.testing.drift_suite import DriftTestSuite
from mlops_drift_psi import ChiSquare, homogeneity, mlops_drift_test

if TYPE_CHECKING:
    from mlops_core.records import TestOutcome

TEST = ChiSquare()
COUNTS = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)).filter(any), min_size=2, max_size=12).filter(
    lambda pairs: min(sum(one) for one in zip(*pairs, strict=True)) >= 2
)


def compare(reference: Any, current: Any, test: ChiSquare = TEST, seed: int = 0) -> TestOutcome:
    return test.compare(test.prepare(np.asarray(reference)), np.asarray(current), rng=np.random.default_rng(seed))


class TestConformance(DriftTestSuite):
    repetitions: ClassVar[int] = 300

    def drift_test(self) -> ChiSquare:
        return ChiSquare(permutations=499)


def test_the_hook_hands_over_the_class() -> None:
    assert mlops_drift_test("chi2") is ChiSquare
    assert doctest.testmod(homogeneity).failed == 0


@given(counts=COUNTS)
def test_the_figures_are_those_of_scipy(counts: list[tuple[int, int]]) -> None:
    before, after = np.array(counts).T
    codes = np.arange(len(counts))
    outcome = compare(np.repeat(codes, before), np.repeat(codes, after), ChiSquare(permutations=99))
    expected = stats.chi2_contingency([before, after], correction=False)
    assert outcome.statistic == pytest.approx(expected.statistic, rel=1e-9, abs=1e-9)
    if expected.expected_freq.min() >= 10:
        assert outcome.method == "Pearson, chi-square"
        assert outcome.p_value == pytest.approx(expected.pvalue, rel=1e-9)
    elif expected.expected_freq.min() < 10 - 1e-9:
        assert outcome.method == "Pearson, permutation"


def test_the_effect_is_cramers_v_of_samples_of_one_size() -> None:
    codes, before, after = np.arange(3), [50, 30, 20], [30, 30, 40]
    outcome = compare(np.repeat(codes, before), np.repeat(codes, after))
    assert outcome.effect_size == pytest.approx(stats.contingency.association(np.array([before, after]), method="cramer"), rel=1e-12)
    assert outcome.effect_size == pytest.approx(math.sqrt(outcome.statistic / 200), rel=1e-12)


def test_the_effect_does_not_depend_on_how_many_values_either_side_has() -> None:
    codes, before, after = np.arange(3), np.array([50, 30, 20]), np.array([30, 30, 40])
    sizes = [compare(np.repeat(codes, before * k), np.repeat(codes, after * j)).effect_size for k, j in ((1, 1), (100, 1), (1, 100))]
    assert sizes == pytest.approx([sizes[0]] * 3, rel=1e-12)
    assert compare(np.repeat([0, 1], 50), np.repeat([2, 3], 40)).effect_size == 1.0
    assert compare(np.repeat([0, 1], 50), np.repeat([0, 1], 40)).effect_size == 0.0


def test_the_permutation_p_value_of_two_categories_is_fishers() -> None:
    """At equal sizes the statistic orders the tables as their probabilities do."""
    outcome = compare(np.repeat([0, 1], [14, 2]), np.repeat([0, 1], [9, 7]), ChiSquare(permutations=99_999))
    exact = stats.fisher_exact(np.array([[14, 2], [9, 7]])).pvalue
    assert outcome.method == "Pearson, permutation"
    assert outcome.p_value == pytest.approx(exact, abs=4 * math.sqrt(exact / 1e5))


@pytest.mark.parametrize(("shares", "n", "m"), [((0.5, 0.5), 200, 20), ((0.1, 0.1, 0.8), 1000, 100), ((0.05,) * 20, 2000, 200)])
def test_chi_square_is_used_only_where_it_holds(shares: tuple[float, ...], n: int, m: int) -> None:
    """As many values as the rule asks for: rejected at most 0.056 of the time at 0.05, with the error of 4,000 repetitions."""
    rng = np.random.default_rng(23)
    before, after = rng.multinomial(n, shares, size=4000), rng.multinomial(m, shares, size=4000)
    p_values = stats.chi2.sf(TEST.divergence(before, after), df=len(shares) - 1)
    assert np.mean(p_values <= 0.05) <= 0.056 + 2.565 * math.sqrt(0.0475 / 4000)
    assert np.mean(p_values <= 0.01) <= 0.0115 + 2.565 * math.sqrt(0.0099 / 4000)


@pytest.mark.parametrize("draw", ["normal", "standard_cauchy", "poisson"])
@pytest.mark.parametrize(("n", "m"), [(50, 80), (5000, 200)])
def test_the_null_is_rejected_as_often_as_it_says(draw: str, n: int, m: int) -> None:
    rng = np.random.default_rng(3)
    test = ChiSquare(permutations=199)
    reference, current = (getattr(rng, draw)(size=size).astype(float) for size in ((400, n), (400, m)))
    p_values = np.array([compare(*pair, test, seed).p_value for seed, pair in enumerate(zip(reference, current, strict=True))])
    assert np.mean(p_values <= 0.05) <= 0.05 + 2.565 * math.sqrt(0.0475 / 400)


def test_tied_numbers_are_rejected_as_often_as_it_says() -> None:
    """Bins at quantiles of tied numbers; the chi-square distribution and the simulation take turns."""
    rng = np.random.default_rng(31)
    reference, current = np.round(rng.normal(size=(1500, 115)) * 3), np.round(rng.normal(size=(300, 1500)) * 3)
    test = ChiSquare(permutations=199)
    outcomes = test.compare_columns([test.prepare(row) for row in reference], current, rng=rng)
    assert {outcome.method for outcome in outcomes} == {"Pearson, chi-square", "Pearson, permutation"}
    assert np.mean([outcome.p_value <= 0.05 for outcome in outcomes]) <= 0.05 + 2.565 * math.sqrt(0.0475 / 1500)


def test_many_rare_categories_are_simulated_in_bounded_memory() -> None:
    rng = np.random.default_rng(6)
    before, after = rng.integers(0, 3000, size=4000), rng.integers(0, 3000, size=4000)
    outcome = compare(before, after, ChiSquare(permutations=999))
    assert outcome.method == "Pearson, permutation"
    assert 0.001 <= outcome.p_value <= 1


def test_one_bin_is_no_change() -> None:
    outcome = compare(np.ones(50), np.ones(20))
    assert (outcome.p_value, outcome.effect_size, outcome.method) == (1.0, 0.0, "Pearson, a single bin")


def test_a_wrong_option_is_refused() -> None:
    with pytest.raises(ValueError, match="permutations"):
        ChiSquare(permutations=10)
