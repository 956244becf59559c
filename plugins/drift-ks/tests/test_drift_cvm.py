"""``cvm``: conformance, and its figures against scipy, published values and simulation."""

from __future__ import annotations

import doctest
from itertools import permutations
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from mlops_core.testing.drift_suite import DriftTestSuite
from mlops_drift_ks import CramerVonMises, cramer_von_mises, mlops_drift_test
from mlops_drift_ks.cvm_null import exact_p_value, limiting_p_value

if TYPE_CHECKING:
    from mlops_core.records import TestOutcome

NUMBERS = st.lists(st.integers(-30, 30).map(float), min_size=1, max_size=25)


def compare(reference: Any, current: Any, **options: Any) -> TestOutcome:
    test = CramerVonMises(**options)
    return test.compare(test.prepare(np.asarray(reference, dtype=float)), np.asarray(current, dtype=float), rng=np.random.default_rng(0))


class TestConformance(DriftTestSuite):
    repetitions: ClassVar[int] = 1000
    symmetric: ClassVar[bool] = True
    monotone: ClassVar[bool] = True

    def drift_test(self) -> CramerVonMises:
        return CramerVonMises()


def test_the_hook_hands_over_the_class() -> None:
    assert mlops_drift_test("cvm") is CramerVonMises
    assert doctest.testmod(cramer_von_mises).failed == 0


@pytest.mark.parametrize("shift", [0.0, 0.7])
@pytest.mark.parametrize(("n", "m"), [(2, 3), (5, 5), (4, 9), (10, 10), (11, 13), (3, 40)])
def test_statistic_and_exact_p_value_are_those_of_scipy(n: int, m: int, shift: float) -> None:
    rng = np.random.default_rng([n, m])
    reference, current = rng.normal(size=n), rng.normal(shift, size=m)
    expected = stats.cramervonmises_2samp(reference, current, method="exact")
    outcome = compare(reference, current)

    assert outcome.statistic == pytest.approx(expected.statistic, rel=1e-12)
    assert outcome.p_value == pytest.approx(expected.pvalue, rel=1e-9)
    assert outcome.method == "Cramer-von Mises, exact"


@pytest.mark.parametrize(("n", "m", "shift"), [(50, 50, 0.0), (50, 70, 0.3), (400, 30, 0.5), (1000, 900, 0.1)])
def test_the_limiting_p_value_is_that_of_scipy(n: int, m: int, shift: float) -> None:
    rng = np.random.default_rng([n, m])
    reference, current = rng.normal(size=n), rng.normal(shift, size=m)
    expected = stats.cramervonmises_2samp(reference, current, method="asymptotic")
    outcome = compare(reference, current)

    assert outcome.statistic == pytest.approx(expected.statistic, rel=1e-9)
    assert outcome.p_value == pytest.approx(expected.pvalue, rel=1e-6)
    assert outcome.method == "Cramer-von Mises, limiting distribution"


@pytest.mark.parametrize(("value", "p_value"), [(0.34730, 0.1), (0.46136, 0.05), (0.74346, 0.01), (1.16786, 0.001), (0.02480, 0.99)])
def test_the_limiting_distribution_is_the_published_one(value: float, p_value: float) -> None:
    """Anderson & Darling 1952, table 1; samples so large that mean and variance are those of the limit."""
    assert limiting_p_value(10**9, 10**9, value) == pytest.approx(p_value, rel=2e-4)


@pytest.mark.parametrize(
    ("n", "m", "most"), [(2, 200, 0.064), (3, 100, 0.057), (5, 30, 0.054), (7, 28, 0.053), (10, 20, 0.0525), (14, 14, 0.0525)]
)
def test_the_limiting_distribution_is_near_the_exact_one(n: int, m: int, most: float) -> None:
    statistics = np.linspace(0.3, 0.7, 200)
    exact = np.array([exact_p_value(n, m, one) for one in statistics])
    limiting = np.array([limiting_p_value(n, m, one) for one in statistics])
    assert exact[limiting <= 0.05].max() <= most


@given(reference=NUMBERS, current=NUMBERS)
def test_the_statistic_is_that_of_ties_broken_evenly(reference: list[float], current: list[float]) -> None:
    """F - G along the pooled values, on the straight line between its values before and behind equal ones."""
    pooled = np.sort(reference + current)
    places, first = np.unique(pooled, return_index=True)
    difference = [np.mean(np.array(reference) <= place) - np.mean(np.array(current) <= place) for place in places]
    along = np.interp(np.arange(len(pooled) + 1), np.append(first, len(pooled)), [0.0, *difference])[1:]
    n, m = len(reference), len(current)
    outcome = compare(reference, current)

    assert outcome.statistic == pytest.approx(n * m / (n + m) ** 2 * np.sum(along**2), abs=1e-12)
    assert outcome.effect_size == pytest.approx(np.sqrt(np.mean(along**2)), abs=1e-12)


@given(reference=NUMBERS, current=NUMBERS)
def test_symmetric_and_unchanged_by_monotone_transformations(reference: list[float], current: list[float]) -> None:
    seen = compare(reference, current)
    exchanged = compare(current, reference)
    assert (seen.statistic, seen.p_value) == (exchanged.statistic, exchanged.p_value)
    assert compare(np.arctan(reference), np.arctan(current)) == seen
    assert compare(-np.array(reference), -np.array(current)).p_value == pytest.approx(seen.p_value, rel=1e-9)


def test_the_exact_p_value_is_the_share_of_all_divisions() -> None:
    values = np.array([0.3, 1.1, 2.0, 2.5, 4.0, 7.0])
    seen = compare(values[[0, 1, 3]], values[[2, 4, 5]])
    drawn = [compare(values[list(one[:3])], values[list(one[3:])]).statistic for one in permutations(range(6))]
    assert seen.p_value == pytest.approx(np.mean(np.array(drawn) >= seen.statistic - 1e-12), rel=1e-12)


@pytest.mark.parametrize(("decimals", "n", "m"), [(0, 50, 80), (0, 8, 9), (-1, 300, 200), (1, 30, 3000)])
def test_ties_make_it_conservative(decimals: int, n: int, m: int) -> None:
    """Ten, three and a hundred distinct values; the exact and the limiting p-value."""
    rng = np.random.default_rng(99)
    reference, current = (
        np.round(rng.normal(0, 3 if decimals else 2, (4000, n)), decimals),
        np.round(rng.normal(0, 3 if decimals else 2, (m, 4000)), decimals),
    )
    test = CramerVonMises()
    outcomes = test.compare_columns([test.prepare(row) for row in reference], current, rng=rng)
    for level in (0.1, 0.05, 0.01):
        rate = np.mean([outcome.p_value <= level for outcome in outcomes])
        assert rate <= level + 2.565 * np.sqrt(level * (1 - level) / 4000)


@pytest.mark.parametrize("share", [0.1, 0.33, 0.5, 0.67, 0.9])
@pytest.mark.parametrize(("n", "m"), [(150, 100), (10, 12)])
def test_two_values_only(n: int, m: int, share: float) -> None:
    rng = np.random.default_rng(5)
    test = CramerVonMises()
    reference, current = rng.random((2000, n)) < share, rng.random((m, 2000)) < share
    outcomes = test.compare_columns([test.prepare(row) for row in reference], current, rng=rng)
    assert np.mean([outcome.p_value <= 0.05 for outcome in outcomes]) <= 0.05


def test_more_power_than_the_largest_distance() -> None:
    from mlops_drift_ks import KolmogorovSmirnov

    rng = np.random.default_rng(12)
    reference, current = rng.normal(size=(400, 200)), rng.normal(0.3, size=(200, 400))
    found = {}
    for test in (CramerVonMises(), KolmogorovSmirnov()):
        outcomes = test.compare_columns([test.prepare(row) for row in reference], current, rng=rng)
        found[type(test).__name__] = sum(outcome.p_value <= 0.05 for outcome in outcomes)
    assert found["CramerVonMises"] > found["KolmogorovSmirnov"]


def test_a_p_value_is_never_zero_and_small_ones_keep_their_order() -> None:
    rng = np.random.default_rng(3)
    p_values = [compare(rng.normal(size=3000), rng.normal(shift, size=3000)).p_value for shift in (0.5, 1.0, 2.0, 50.0)]
    assert p_values == sorted(p_values, reverse=True)
    assert 1e-300 < p_values[1] < 1e-60
    assert p_values[-1] > 0


def test_a_wrong_option_is_refused() -> None:
    with pytest.raises(ValueError, match="exact_limit"):
        CramerVonMises(exact_limit=-1)
