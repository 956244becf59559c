"""``js``: conformance, and its figures against scipy, closed forms and simulation."""

from __future__ import annotations

import doctest
import math
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial.distance import jensenshannon

from mlops_core.testing.drift_suite import DriftTestSuite
from mlops_drift_psi import JensenShannon, jensen_shannon, mlops_drift_test

if TYPE_CHECKING:
    from mlops_core.records import TestOutcome

TEST = JensenShannon()
COUNTS = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), min_size=1, max_size=12).filter(
    lambda pairs: min(sum(one) for one in zip(*pairs, strict=True)) >= 2
)


def compare(reference: Any, current: Any, test: JensenShannon = TEST, seed: int = 0) -> TestOutcome:
    return test.compare(test.prepare(np.asarray(reference)), np.asarray(current), rng=np.random.default_rng(seed))


class TestConformance(DriftTestSuite):
    repetitions: ClassVar[int] = 300

    def drift_test(self) -> JensenShannon:
        return JensenShannon(permutations=499)


def test_the_hook_hands_over_the_class() -> None:
    assert mlops_drift_test("js") is JensenShannon
    assert doctest.testmod(jensen_shannon).failed == 0


@given(counts=COUNTS)
def test_the_distance_is_that_of_scipy(counts: list[tuple[int, int]]) -> None:
    before, after = np.array(counts).T
    codes = np.arange(len(counts))
    outcome = compare(np.repeat(codes, before), np.repeat(codes, after), JensenShannon(permutations=99))
    assert outcome.effect_size == pytest.approx(jensenshannon(before, after, base=2), abs=1e-7)
    assert outcome.statistic == pytest.approx(outcome.effect_size**2, rel=1e-12)
    assert 0 <= outcome.statistic <= 1


def test_nothing_in_common_is_one_and_nothing_changed_is_zero() -> None:
    apart = compare(np.repeat([0, 1], 50), np.repeat([2, 3], 40))
    assert (apart.statistic, apart.effect_size) == (1.0, 1.0)
    assert apart.p_value == 1 / 5000
    same = compare(np.repeat([0, 1], 50), np.repeat([0, 1], 80))
    assert (same.statistic, same.effect_size, same.p_value) == (0.0, 0.0, 1.0)


def test_large_samples_are_decided_by_chi_square() -> None:
    before, after = np.repeat([0, 1], [600, 400]), np.repeat([0, 1], [550, 450])
    outcome = compare(before, after)
    scaled = outcome.statistic * 8 * math.log(2) * 500
    assert outcome.method == "Jensen-Shannon, chi-square"
    assert outcome.p_value == pytest.approx(stats.chi2.sf(scaled, df=1), rel=1e-9)
    assert outcome.p_value == pytest.approx(stats.chi2_contingency([[600, 400], [550, 450]], correction=False).pvalue, rel=0.01)


@pytest.mark.parametrize(("bins", "n", "m"), [(2, 170, 160), (10, 8000, 800), (20, 1600, 1600)])
def test_chi_square_is_used_only_where_it_holds(bins: int, n: int, m: int) -> None:
    """As many values as the rule asks for: rejected at most 0.054 of the time at 0.05, with the error of 4,000 repetitions."""
    rng = np.random.default_rng(23)
    shares = np.full(bins, 1 / bins)
    before, after = rng.multinomial(n, shares, size=4000), rng.multinomial(m, shares, size=4000)
    p_values = stats.chi2.sf(TEST.divergence(before, after) * 8 * math.log(2) * n * m / (n + m), df=bins - 1)
    assert np.mean(p_values <= 0.05) <= 0.054 + 2.565 * math.sqrt(0.0475 / 4000)
    assert np.mean(p_values <= 0.01) <= 0.012 + 2.565 * math.sqrt(0.0099 / 4000)


@pytest.mark.parametrize("draw", ["normal", "standard_cauchy", "poisson"])
@pytest.mark.parametrize(("n", "m"), [(50, 80), (5000, 200)])
def test_the_null_is_rejected_as_often_as_it_says(draw: str, n: int, m: int) -> None:
    rng = np.random.default_rng(3)
    test = JensenShannon(permutations=199)
    reference, current = (getattr(rng, draw)(size=size).astype(float) for size in ((400, n), (400, m)))
    p_values = np.array([compare(*pair, test, seed).p_value for seed, pair in enumerate(zip(reference, current, strict=True))])
    assert np.mean(p_values <= 0.05) <= 0.05 + 2.565 * math.sqrt(0.0475 / 400)


def test_a_wrong_option_is_refused() -> None:
    with pytest.raises(ValueError, match="bins"):
        JensenShannon(bins=1)
