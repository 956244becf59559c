"""``mmd_agg`` and ``mmd_fuse``: conformance, and their figures against the papers' definitions and simulation."""

from __future__ import annotations

import doctest
import math
from typing import TYPE_CHECKING

import numpy as np
import pytest

from mlops_core.testing.drift_suite import DriftTestSuite
from mlops_drift_mmd import AggregatedDiscrepancy, FusedDiscrepancy, MaximumMeanDiscrepancy, aggregated, fused, mlops_drift_test
from mlops_drift_mmd.discrepancy import Discrepancies
from mlops_drift_mmd.kernels import collection
from mlops_drift_mmd.permutation import p_value

if TYPE_CHECKING:
    from mlops_drift_mmd.collection import KernelCollection

BOTH = pytest.mark.parametrize("kind", [AggregatedDiscrepancy, FusedDiscrepancy])


class TestConformanceAggregated(DriftTestSuite):
    repetitions = 200

    def drift_test(self) -> AggregatedDiscrepancy:
        return AggregatedDiscrepancy(permutations=19, max_rows=100, bandwidths=2)


class TestConformanceFused(DriftTestSuite):
    repetitions = 200

    def drift_test(self) -> FusedDiscrepancy:
        return FusedDiscrepancy(permutations=19, max_rows=100, bandwidths=2)


def test_the_hook_hands_over_the_classes() -> None:
    assert mlops_drift_test("mmd_agg") is AggregatedDiscrepancy
    assert mlops_drift_test("mmd_fuse") is FusedDiscrepancy
    assert doctest.testmod(aggregated).failed == doctest.testmod(fused).failed == 0


@BOTH
def test_the_p_value_is_as_small_as_it_says(kind: type[KernelCollection]) -> None:
    """Few permutations and many kernels, which would make an aggregate without an order of ties conservative."""
    rng, test = np.random.default_rng(1), kind(permutations=39, bandwidths=4)
    found = [test.compare(rng.normal(size=(20, 2)), rng.normal(size=(15, 2)), rng=rng).p_value for _ in range(2000)]
    assert 0.0375 <= np.mean(np.array(found) <= 0.05) <= 0.0625


def test_the_aggregate_rejects_where_the_procedure_of_the_paper_does() -> None:
    """At level a: the largest u at which a share a of labellings at most has a kernel above its quantile of 1 - u; is one above, seen?"""
    rng = np.random.default_rng(2)
    for _ in range(200):
        values = rng.normal(size=(4, 100)) + rng.normal(size=100)
        values[:, 0] += 1.5 * rng.random()
        found = p_value(AggregatedDiscrepancy.combine(Discrepancies(values, np.ones(4)), 50, 50))
        above = 1 - np.argsort(np.argsort(values, axis=1), axis=1) / 100  # of each kernel and labelling, the share at or above
        smallest = above.min(axis=0)
        for level in (0.01, 0.05, 0.1, 0.3):
            allowed = [u for u in np.arange(1, 101) / 100 if np.mean(smallest <= u + 1e-9) <= level + 1e-9]
            rejects = bool(allowed) and smallest[0] <= max(allowed) + 1e-9
            assert rejects <= (found <= level + 1e-9)  # the order of ties only adds rejections


def test_the_fused_value_is_its_formula() -> None:
    rng = np.random.default_rng(3)
    values, squares, n, m = rng.normal(size=(6, 5)) * 1e-3, rng.uniform(0.1, 1, 6), 40, 60
    total = squares * (100 * 99)
    normalised = values / np.sqrt(total / (n * (n - 1)))[:, None]
    sharp = n * (n - 1)
    expected = np.log(np.mean(np.exp(sharp * normalised), axis=0)) / sharp
    assert FusedDiscrepancy.combine(Discrepancies(values, squares), n, m) == pytest.approx(expected, rel=1e-9)


def test_kernels_span_the_distances() -> None:
    rng = np.random.default_rng(4)
    points = rng.normal(size=(60, 2))
    even, geometric = (collection(points, 10, kind.spaced, rng) for kind in (FusedDiscrepancy, AggregatedDiscrepancy))
    apart = points[:, None] - points[None]
    upper = np.triu_indices(60, 1)
    for metric, distances in (("euclidean", np.sqrt((apart**2).sum(axis=-1))), ("cityblock", np.abs(apart).sum(axis=-1))):
        low, high = np.quantile(distances[upper], [0.05, 0.95])
        assert [one.bandwidth for one in even if one.metric == metric] == pytest.approx(np.linspace(low / 2, 2 * high, 10))
        assert [one.bandwidth for one in geometric if one.metric == metric] == pytest.approx(np.geomspace(low / 2, 2 * high, 10))


@BOTH
def test_a_change_on_a_small_scale_is_seen_where_one_bandwidth_sees_none(kind: type[KernelCollection]) -> None:
    """Four clusters far apart, one of which spreads: the median distance is that of the clusters."""
    rng = np.random.default_rng(5)
    centres = np.array([[20.0, 20.0], [20.0, -20.0], [-20.0, 20.0], [-20.0, -20.0]])
    component = rng.integers(4, size=(2, 500))
    before, after = (centres[one] + rng.normal(size=(500, 2)) for one in component)
    after[component[1] == 0] = centres[0] + 3 * (after[component[1] == 0] - centres[0])
    many, one = kind(permutations=199, standardise=False), MaximumMeanDiscrepancy(standardise=False)
    outcome = many.compare(before, after, rng=np.random.default_rng(0))
    assert outcome.p_value <= 0.01
    assert 0 < outcome.effect_size < math.sqrt(2)
    assert one.compare(before, after, rng=np.random.default_rng(0)).p_value > 0.05
