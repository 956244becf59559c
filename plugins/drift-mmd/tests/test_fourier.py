"""``mmd_rff``: conformance, and its figures against ``mmd``, closed forms and simulation."""

from __future__ import annotations

import doctest
import math

import numpy as np
import pytest

from mlops_core.testing.drift_suite import DriftTestSuite
from mlops_drift_mmd import FourierDiscrepancy, MaximumMeanDiscrepancy, fourier, mlops_drift_test


class TestConformance(DriftTestSuite):
    repetitions = 200

    def drift_test(self) -> FourierDiscrepancy:
        return FourierDiscrepancy(permutations=39, max_rows=200, frequencies=32)


def test_the_hook_hands_over_the_class() -> None:
    assert mlops_drift_test("mmd_rff") is FourierDiscrepancy
    assert doctest.testmod(fourier).failed == 0


def test_many_frequencies_are_the_exact_kernel() -> None:
    rng = np.random.default_rng(1)
    before, after = rng.normal(size=(5000, 3)), rng.normal(0.3, size=(3000, 3))  # more rows than are worked on at once
    exact, fast = MaximumMeanDiscrepancy(permutations=19, max_rows=5000, bandwidth=2.0), FourierDiscrepancy(permutations=19, bandwidth=2.0)
    expected = exact.compare(before, after, rng=np.random.default_rng(0))
    found = [fast.compare(before, after, rng=np.random.default_rng(seed)).statistic for seed in range(20)]
    assert np.mean(found) == pytest.approx(expected.statistic, abs=4 * float(np.std(found)) / math.sqrt(20))
    assert np.std(found) < 0.1 * expected.statistic


def test_the_mean_of_the_statistic_is_the_closed_form() -> None:
    """MMD^2 of N(0, 1) and N(1, 1) with a bandwidth of 1, over samples and frequencies."""
    rng = np.random.default_rng(2)
    test = FourierDiscrepancy(permutations=19, bandwidth=1.0, standardise=False, frequencies=20)
    found = [test.compare(rng.normal(size=(40, 1)), rng.normal(1, size=(30, 1)), rng=rng).statistic for _ in range(600)]
    assert np.mean(found) == pytest.approx(0.1772676, abs=4 * float(np.std(found)) / math.sqrt(600))


def test_the_p_value_is_as_small_as_it_says() -> None:
    rng, test = np.random.default_rng(3), FourierDiscrepancy(permutations=19, frequencies=16)
    found = [test.compare(rng.normal(size=(20, 2)), rng.normal(size=(15, 2)), rng=rng).p_value for _ in range(2000)]
    assert 0.0375 <= np.mean(np.array(found) <= 0.05) <= 0.0625
