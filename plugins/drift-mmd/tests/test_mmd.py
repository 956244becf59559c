"""``mmd``: conformance, and its figures against closed forms, a plain implementation and simulation."""

from __future__ import annotations

import doctest
import math
import tracemalloc
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from mlops_core.testing.drift_suite import DriftTestSuite
from mlops_drift_mmd import mean_discrepancy, mlops_drift_test
from mlops_drift_mmd.discrepancy import discrepancies
from mlops_drift_mmd.kernels import Kernel, collection, width
from mlops_drift_mmd.mean_discrepancy import MaximumMeanDiscrepancy
from mlops_drift_mmd.permutation import p_value, signs
from mlops_drift_mmd.sample import scaled, thinned

if TYPE_CHECKING:
    from mlops_core.records import TestOutcome


def compare(reference: Any, current: Any, test: MaximumMeanDiscrepancy, seed: int = 0) -> TestOutcome:
    return test.compare(test.prepare(np.asarray(reference)), np.asarray(current), rng=np.random.default_rng(seed))


class TestConformance(DriftTestSuite):
    repetitions = 200

    def drift_test(self) -> MaximumMeanDiscrepancy:
        return MaximumMeanDiscrepancy(permutations=39, max_rows=150)


def test_the_hook_hands_over_the_class() -> None:
    assert mlops_drift_test("mmd") is MaximumMeanDiscrepancy
    assert doctest.testmod(mean_discrepancy).failed == 0


@pytest.mark.parametrize(("n", "m"), [(2, 2), (7, 5), (900, 700)])
def test_every_labelling_has_the_discrepancy_of_its_formula(n: int, m: int) -> None:
    """Tiles, symmetry and the arithmetic of signs answer what the definition does."""
    rng = np.random.default_rng([n, m])
    points, labels = rng.normal(size=(n + m, 3)), signs(n, m, 20, rng)
    kernels = [Kernel("euclidean", 1.3), Kernel("euclidean", 0.4), Kernel("cityblock", 2.0)]
    found = discrepancies(points, kernels, labels)
    apart = points[:, None] - points[None]
    squares, sums = (apart**2).sum(axis=-1), np.abs(apart).sum(axis=-1)
    matrices = [np.exp(-squares / (2 * 1.3**2)), np.exp(-squares / (2 * 0.4**2)), np.exp(-math.sqrt(2) * sums / 2.0)]
    for place, matrix in enumerate(matrices):
        np.fill_diagonal(matrix, 0.0)
        for seen, label in zip(found.squared[place], labels, strict=True):
            x, y = (label > 0).astype(float), (label < 0).astype(float)
            within = x @ matrix @ x / (n * (n - 1)) + y @ matrix @ y / (m * (m - 1))
            assert seen == pytest.approx(within - 2 * (x @ matrix @ y) / (n * m), abs=1e-6)
        assert found.mean_square[place] == pytest.approx((matrix**2).sum() / ((n + m) * (n + m - 1)), rel=1e-5)


@pytest.mark.parametrize(("columns", "width", "expected"), [(1, 1.0, 0.1772676), (10, math.sqrt(10), 0.0328017)])
def test_the_mean_of_the_statistic_is_the_closed_form(columns: int, width: float, expected: float) -> None:
    """MMD^2 of N(0, I) and N(mu, I), |mu| = 1: 2 (1 + 2 / s^2)^(-d/2) (1 - exp(-1 / (2 s^2 + 4)))."""
    formula = 2 * (1 + 2 / width**2) ** (-columns / 2) * -math.expm1(-1 / (2 * width**2 + 4))
    assert formula == pytest.approx(expected, abs=5e-8)
    rng, test = np.random.default_rng(5), MaximumMeanDiscrepancy(permutations=19, bandwidth=width, standardise=False)
    shift = np.full(columns, 1 / math.sqrt(columns))
    found = [compare(rng.normal(size=(40, columns)), rng.normal(shift, size=(30, columns)), test).statistic for _ in range(600)]
    assert np.mean(found) == pytest.approx(expected, abs=4 * float(np.std(found)) / math.sqrt(len(found)))


def test_the_statistic_has_mean_zero_without_a_change() -> None:
    rng, test = np.random.default_rng(6), MaximumMeanDiscrepancy(permutations=19)
    found = [compare(rng.normal(size=(12, 2)), rng.normal(size=(25, 2)), test) for _ in range(600)]
    assert np.mean([one.statistic for one in found]) == pytest.approx(0, abs=0.003)
    assert min(one.effect_size for one in found) == 0


def test_the_p_value_is_as_small_as_it_says() -> None:
    """On continuous data a permutation test at 0.05 rejects in 5 % of cases, with 1 + B a multiple of 20."""
    rng, test = np.random.default_rng(7), MaximumMeanDiscrepancy(permutations=19)
    p_values = [compare(rng.normal(size=(20, 2)), rng.normal(size=(15, 2)), test, seed).p_value for seed in range(2000)]
    assert 0.0375 <= np.mean(np.array(p_values) <= 0.05) <= 0.0625
    assert 0.45 <= np.mean(np.array(p_values) <= 0.5) <= 0.55


def test_a_change_of_correlation_alone_is_seen() -> None:
    rng = np.random.default_rng(8)
    before, after = rng.normal(size=(500, 2)), rng.multivariate_normal([0, 0], [[1, 0.7], [0.7, 1]], size=500)
    assert compare(before, after, MaximumMeanDiscrepancy()).p_value <= 0.01


def test_units_do_not_matter_unless_asked() -> None:
    rng = np.random.default_rng(9)
    before, after = rng.normal(size=(200, 2)), rng.normal([0, 1], size=(200, 2))
    units = np.array([1e5, 1.0])
    plain, free = MaximumMeanDiscrepancy(), MaximumMeanDiscrepancy(standardise=False)
    seen = compare(before, after, plain)
    assert compare(before * units, after * units, plain).statistic == pytest.approx(seen.statistic, abs=1e-6)
    assert seen.p_value == 1 / 200
    assert compare(before * units, after * units, free).p_value > 0.05  # the first column drowns the second
    fixed = [
        compare(before * unit, after * unit, MaximumMeanDiscrepancy(standardise=False, bandwidth=unit)).statistic for unit in (1, 1e150)
    ]
    assert fixed[0] == pytest.approx(fixed[1], abs=1e-6)


def test_an_outlier_leaves_the_unit_of_its_column() -> None:
    rng = np.random.default_rng(10)
    values = rng.normal([5.0, 0.0], [3.0, 1.0], size=(4000, 2))
    values[0, 0] = 1e300
    points, unit = scaled(values, standardise=True)
    assert unit == 1.0
    assert np.quantile(points, [0.16, 0.84], axis=0) == pytest.approx(np.array([[-1, -1], [1, 1]]), abs=0.06)
    rare = np.where(rng.random((4000, 1)) < 0.1, 7.0, 2.0)  # no quartile apart: its standard deviation
    assert np.ptp(scaled(rare, standardise=True)[0]) == pytest.approx(1 / math.sqrt(0.1 * 0.9), rel=0.05)


@pytest.mark.parametrize("standardise", [True, False])
def test_points_do_not_know_their_sample(*, standardise: bool) -> None:
    """Points, bandwidths and so all statistics belong to the pooled rows, in whatever order: what an exact permutation test needs."""
    rng = np.random.default_rng(11)
    rows = rng.standard_cauchy(size=(30, 3))
    order = rng.permutation(30)
    (points, unit), (shuffled, again) = scaled(rows, standardise=standardise), scaled(rows[order], standardise=standardise)
    assert unit == again
    assert points[order] == pytest.approx(shuffled, rel=1e-12)
    assert width(points, unit, None, rng) == pytest.approx(width(shuffled, unit, None, rng), rel=1e-12)
    many, same = (collection(one, 3, np.geomspace, rng) for one in (points, shuffled))
    assert [one.bandwidth for one in many] == pytest.approx([one.bandwidth for one in same], rel=1e-12)


def test_labellings_keep_the_sizes_and_begin_with_the_one_seen() -> None:
    labels = signs(3, 4, 500, np.random.default_rng(12))
    assert labels[0].tolist() == [1, 1, 1, -1, -1, -1, -1]
    assert set(labels.sum(axis=1).tolist()) == {-1}
    assert labels[1:].mean(axis=0) == pytest.approx(-1 / 7, abs=0.2)


def test_a_p_value_counts_ties_and_is_never_zero() -> None:
    assert p_value(np.array([3.0, 1.0, 2.0, 3.0])) == 0.5
    assert p_value(np.array([3.0, 1.0, 2.0, 0.0])) == 0.25
    assert p_value(np.ones(100)) == 1.0


def test_more_rows_than_wanted_are_drawn_and_counted() -> None:
    rng = np.random.default_rng(13)
    rows = rng.normal(size=(500, 2))
    test = MaximumMeanDiscrepancy(max_rows=100)
    outcome = compare(rows, rows[:300], test)
    assert (outcome.n, outcome.m) == (100, 100)
    assert np.array_equal(test.prepare(rows), test.prepare(rows))
    assert {tuple(row) for row in thinned(rows, 100, rng)} <= {tuple(row) for row in rows}
    assert len(np.unique(thinned(rows, 100, rng), axis=0)) == 100


def test_memory_stays_far_below_a_kernel_matrix() -> None:
    """5,000 rows on each side, whose kernel matrix alone would take 800 MB."""
    rng = np.random.default_rng(14)
    test = MaximumMeanDiscrepancy(max_rows=5000, permutations=99)
    reference, current = test.prepare(rng.normal(size=(5000, 4))), rng.normal(size=(5000, 4))
    tracemalloc.start()
    test.compare(reference, current, rng=rng)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 50e6


@pytest.mark.parametrize(("option", "value"), [("permutations", 10), ("max_rows", 1), ("bandwidth", 0.0)])
def test_a_wrong_option_is_refused(option: str, value: Any) -> None:
    with pytest.raises(ValueError, match=option):
        MaximumMeanDiscrepancy(**{option: value})
