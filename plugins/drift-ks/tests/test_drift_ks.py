"""``ks``: conformance, and its figures against scipy, closed forms and simulation."""

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
from mlops_drift_ks import KolmogorovSmirnov, kolmogorov_smirnov, mlops_drift_test
from mlops_drift_ks.distribution import SMALLEST, exact_p_value, limiting_p_value

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mlops_core.records import TestOutcome

NUMBERS = st.lists(st.integers(-30, 30).map(float), min_size=1, max_size=25)


def compare(reference: Any, current: Any, **options: Any) -> TestOutcome:
    test = KolmogorovSmirnov(**options)
    return test.compare(test.prepare(np.asarray(reference, dtype=float)), np.asarray(current, dtype=float), rng=np.random.default_rng(0))


class TestConformance(DriftTestSuite):
    symmetric: ClassVar[bool] = True
    monotone: ClassVar[bool] = True

    def drift_test(self) -> KolmogorovSmirnov:
        return KolmogorovSmirnov()


class TestConformanceWithTheLimitingDistribution(DriftTestSuite):
    symmetric: ClassVar[bool] = True
    monotone: ClassVar[bool] = True

    def drift_test(self) -> KolmogorovSmirnov:
        return KolmogorovSmirnov(exact_limit=0)


def test_the_hook_hands_over_the_class() -> None:
    assert mlops_drift_test("ks") is KolmogorovSmirnov
    assert doctest.testmod(kolmogorov_smirnov).failed == 0


def test_the_closed_form_of_five_against_five() -> None:
    outcome = compare([1, 2, 3, 4, 5], [3.5, 4.5, 5.5, 6.5, 7.5])
    assert outcome.statistic == outcome.effect_size == 0.6
    assert outcome.p_value == pytest.approx(0.3571429, abs=5e-8)


@pytest.mark.parametrize("shift", [0.0, 0.4, 2.0])
@pytest.mark.parametrize(("n", "m"), [(1, 1), (2, 9), (12, 12), (25, 40), (60, 7), (64, 48), (101, 97), (20, 3000), (400, 400)])
def test_statistic_and_exact_p_value_are_those_of_scipy(n: int, m: int, shift: float) -> None:
    rng = np.random.default_rng([n, m])
    reference, current = rng.normal(size=n), rng.normal(shift, size=m)
    expected = stats.ks_2samp(reference, current, method="exact")
    outcome = compare(reference, current)

    assert outcome.statistic == pytest.approx(expected.statistic, rel=1e-12)
    assert outcome.p_value == pytest.approx(expected.pvalue, rel=1e-9)
    assert outcome.method == "Kolmogorov-Smirnov, exact"


@given(reference=NUMBERS, current=NUMBERS)
def test_the_statistic_is_exact_with_ties(reference: list[float], current: list[float]) -> None:
    places = np.unique(reference + current)
    before = np.array([np.mean(np.array(reference) <= place) for place in places])
    after = np.array([np.mean(np.array(current) <= place) for place in places])
    assert compare(reference, current).statistic == pytest.approx(np.abs(before - after).max(), abs=1e-12)


@pytest.mark.parametrize("decimals", [None, 2, 0])
@pytest.mark.parametrize("shift", [0.0, 0.05, 3.0])
@pytest.mark.parametrize(("n", "m"), [(5000, 5000), (20_000, 3001), (700, 9000), (3, 2000)])
def test_the_statistic_is_exact_in_large_samples(n: int, m: int, shift: float, decimals: int | None) -> None:
    rng = np.random.default_rng([n, m])
    reference, current = rng.normal(size=n), rng.normal(shift, size=m)
    if decimals is not None:
        reference, current = np.round(reference, decimals), np.round(current, decimals)
    places = np.concatenate([reference, current])
    before, after = (np.searchsorted(np.sort(sample), places, side="right") for sample in (reference, current))
    assert compare(reference, current).statistic == np.abs(before * m - after * n).max() / (n * m)


@given(reference=NUMBERS, current=NUMBERS)
def test_symmetric_and_unchanged_by_increasing_transformations(reference: list[float], current: list[float]) -> None:
    seen = compare(reference, current)
    exchanged = compare(current, reference)
    assert (seen.statistic, seen.p_value) == (exchanged.statistic, exchanged.p_value)
    assert compare(np.arctan(reference), np.arctan(current)) == seen
    assert compare(-np.array(reference), -np.array(current)).p_value == seen.p_value


@given(n=st.integers(1, 40), m=st.integers(1, 40), share=st.floats(0, 1))
def test_the_exact_p_value_falls_from_one_as_the_distance_grows(n: int, m: int, share: float) -> None:
    step = math.gcd(n, m)
    steps = round(share * n * m / step) * step
    assert exact_p_value(n, m, 0) == 1.0
    assert exact_p_value(n, m, steps) >= exact_p_value(n, m, min(steps + step, n * m))
    separated = 2 / math.comb(n + m, n)
    assert exact_p_value(n, m, n * m) == pytest.approx(min(1.0, separated), rel=1e-9)


@pytest.mark.parametrize(("n", "m"), [(200, 211), (200, 400), (500, 501), (200, 1250), (150, 1600)])
def test_the_limiting_distribution_is_near_the_exact_one(n: int, m: int) -> None:
    step = math.gcd(n, m)
    for wanted in (0.2, 0.1, 0.05, 0.01):
        steps = round(stats.kstwobign.isf(wanted) * math.sqrt((n + m) * n * m) / step) * step
        assert limiting_p_value(n, m, steps) == pytest.approx(exact_p_value(n, m, steps), rel=0.06)


def test_sizes_decide_between_exact_and_limiting() -> None:
    rng = np.random.default_rng(4)
    sample = rng.normal(size=2000)
    assert compare(sample, rng.normal(size=2000)).method == "Kolmogorov-Smirnov, exact"
    assert compare(sample, rng.normal(size=125)).method == "Kolmogorov-Smirnov, exact"
    assert compare(sample, rng.normal(size=126)).method == "Kolmogorov-Smirnov, limiting distribution"


@pytest.mark.parametrize("m", [40_000, 39_999])
def test_a_p_value_is_never_zero(m: int) -> None:
    outcome = compare(np.arange(40_000), np.arange(m) + 1e6)
    assert outcome.p_value == SMALLEST > 0
    assert outcome.statistic == 1.0


def test_small_p_values_keep_their_precision() -> None:
    outcome = compare(np.arange(300), np.arange(301) + 1000)
    assert outcome.p_value == pytest.approx(math.exp(math.log(2) - math.log(math.comb(601, 300))), rel=1e-9)


def rejections(n: int, m: int, decimals: int | None, repetitions: int = 2000) -> NDArray[np.float64]:
    """p-values of samples of one distribution."""
    rng = np.random.default_rng(99)
    reference, current = rng.normal(size=(repetitions, n)), rng.normal(size=(m, repetitions))
    if decimals is not None:
        reference, current = np.round(reference, decimals), np.round(current, decimals)
    test = KolmogorovSmirnov()
    outcomes = test.compare_columns([test.prepare(row) for row in reference], current, rng=rng)
    return np.array([outcome.p_value for outcome in outcomes])


def test_the_null_is_rejected_as_often_as_it_says_in_large_samples() -> None:
    rate = np.mean(rejections(700, 1100, None) <= 0.05)
    assert 0.0375 <= rate <= 0.0625


def test_ties_make_it_conservative() -> None:
    coarse = np.mean(rejections(100, 100, 0) <= 0.05)
    fine = np.mean(rejections(100, 100, None) <= 0.05)
    assert coarse < fine <= 0.0625


def test_all_columns_of_a_table_in_either_memory_order() -> None:
    rng = np.random.default_rng(3)
    reference, current = rng.normal(size=(300, 6)), rng.normal(size=(200, 6))
    test = KolmogorovSmirnov()
    prepared = [test.prepare(reference[:, i]) for i in range(6)]
    kept = current.copy()
    by_row = test.compare_columns(prepared, current, rng=rng)
    by_column = test.compare_columns(prepared, np.asfortranarray(current), rng=rng)

    assert by_row == by_column == [test.compare(prepared[i], current[:, i], rng=rng) for i in range(6)]
    assert (current == kept).all()


def test_a_wrong_option_is_refused() -> None:
    with pytest.raises(ValueError, match="exact_limit"):
        KolmogorovSmirnov(exact_limit=-1)
