"""``wasserstein`` and ``energy``: conformance, and their figures against scipy, closed forms, full permutation and simulation."""

from __future__ import annotations

import doctest
import math
from itertools import combinations
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from mlops_core.testing.drift_suite import DriftTestSuite
from mlops_drift_ks import CramerVonMises, Energy, Wasserstein, energy, mlops_drift_test, wasserstein
from mlops_drift_ks.permutation import Grid
from mlops_drift_ks.sample import Pool

if TYPE_CHECKING:
    from mlops_core.records import TestOutcome
    from mlops_drift_ks.permutation import PermutationTest

NUMBERS = st.lists(st.integers(-30, 30).map(float), min_size=2, max_size=25)
BOTH = pytest.mark.parametrize("kind", [Wasserstein, Energy])


def compare(kind: type[PermutationTest], reference: Any, current: Any, permutations: int = 99, seed: int = 0) -> TestOutcome:
    test = kind(permutations=permutations)
    prepared = test.prepare(np.asarray(reference, dtype=float))
    return test.compare(prepared, np.asarray(current, dtype=float), rng=np.random.default_rng(seed))


class TestWassersteinConformance(DriftTestSuite):
    repetitions: ClassVar[int] = 250
    symmetric: ClassVar[bool] = True

    def drift_test(self) -> Wasserstein:
        return Wasserstein(permutations=499)


class TestEnergyConformance(DriftTestSuite):
    repetitions: ClassVar[int] = 250
    symmetric: ClassVar[bool] = True

    def drift_test(self) -> Energy:
        return Energy(permutations=499)


def test_the_hook_hands_over_the_classes() -> None:
    assert mlops_drift_test("wasserstein") is Wasserstein
    assert mlops_drift_test("energy") is Energy
    assert doctest.testmod(wasserstein).failed == doctest.testmod(energy).failed == 0


@given(reference=NUMBERS, current=NUMBERS)
def test_the_statistics_are_those_of_scipy(reference: list[float], current: list[float]) -> None:
    moved, apart = compare(Wasserstein, reference, current), compare(Energy, reference, current)
    assert moved.statistic == pytest.approx(stats.wasserstein_distance(reference, current), rel=1e-9, abs=1e-9)
    assert apart.statistic == pytest.approx(stats.energy_distance(reference, current) ** 2, rel=1e-9, abs=1e-9)


@given(reference=NUMBERS, current=NUMBERS)
def test_effect_sizes_are_their_definitions(reference: list[float], current: list[float]) -> None:
    moved, apart = compare(Wasserstein, reference, current), compare(Energy, reference, current)
    spread = np.std(reference) or np.std(reference + current)
    between = np.mean(np.abs(np.subtract.outer(reference, current)))
    assert moved.effect_size == pytest.approx(moved.statistic / spread if spread else 0.0, rel=1e-9)
    assert apart.effect_size == pytest.approx(apart.statistic / (2 * between) if between else 0.0, rel=1e-9, abs=1e-12)
    assert 0 <= apart.effect_size <= 1 + 1e-12


def test_a_shift_is_told_in_standard_deviations() -> None:
    sample = np.random.default_rng(3).gamma(2.0, size=500)
    outcome = compare(Wasserstein, sample, sample + 0.7)
    assert outcome.statistic == pytest.approx(0.7, rel=1e-9)
    assert outcome.effect_size == pytest.approx(0.7 / np.std(sample), rel=1e-9)


@BOTH
def test_the_p_value_is_the_share_of_all_divisions(kind: type[PermutationTest]) -> None:
    values = np.array([0.3, 1.1, 2.0, 2.0, 2.5, 4.0, 4.0, 7.0, 9.5])
    chosen = (0, 1, 2, 4)
    seen = compare(kind, values[list(chosen)], np.delete(values, chosen), permutations=49_999)
    drawn = [compare(kind, values[list(one)], np.delete(values, one)).statistic for one in combinations(range(9), 4)]
    exact = np.mean(np.array(drawn) >= seen.statistic * (1 - 1e-9))
    assert seen.p_value == pytest.approx(exact, abs=4 * math.sqrt(exact * (1 - exact) / 5e4))


@BOTH
def test_unchanged_by_shifts_and_units(kind: type[PermutationTest]) -> None:
    rng = np.random.default_rng(8)
    reference, current = rng.normal(size=300), rng.normal(0.1, size=200)
    seen = compare(kind, reference, current, permutations=999)
    for transformed in (
        compare(kind, 8 * reference, 8 * current, permutations=999),
        compare(kind, reference - 2, current - 2, permutations=999),
    ):
        assert transformed.p_value == seen.p_value
        assert transformed.effect_size == pytest.approx(seen.effect_size, rel=1e-9)


def test_every_value_is_looked_at_in_small_samples() -> None:
    rng = np.random.default_rng(1)
    for size in (2, 30, 64):
        pool = Pool.of(np.sort(rng.normal(size=size)), np.sort(rng.normal(size=size)))
        grid = Grid.of(pool)
        assert len(grid.counts) == 2 * size - 1
        assert grid.lengths.tolist() == pool.gaps.tolist()


@pytest.mark.parametrize("draw", ["normal", "standard_cauchy", "poisson"])
def test_the_grid_of_large_samples_is_near_the_integral(draw: str) -> None:
    rng = np.random.default_rng(1)
    reference, current = (np.sort(getattr(rng, draw)(size=size).astype(float)) for size in (30_000, 4000))
    pool = Pool.of(reference, current)
    grid = Grid.of(pool)
    scale = pool.scale
    assert len(grid.counts) < 128
    assert grid.lengths.sum() <= pool.gaps.sum() * (1 + 1e-12)
    assert np.abs(grid.differences) @ grid.lengths * scale == pytest.approx(stats.wasserstein_distance(reference, current), rel=0.05)
    assert 2 * np.square(grid.differences) @ grid.lengths * scale == pytest.approx(stats.energy_distance(reference, current) ** 2, rel=0.05)


@BOTH
@pytest.mark.parametrize("draw", ["normal", "standard_cauchy", "poisson"])
@pytest.mark.parametrize(("n", "m"), [(50, 60), (5000, 300)])
def test_the_null_is_rejected_as_often_as_it_says(kind: type[PermutationTest], draw: str, n: int, m: int) -> None:
    """Divisions of its own for every pair of samples."""
    rng = np.random.default_rng(17)
    p_values = np.array([compare(kind, getattr(rng, draw)(size=n), getattr(rng, draw)(size=m), seed=seed).p_value for seed in range(400)])
    for level in (0.1, 0.05):
        assert abs(np.mean(p_values <= level) - level) <= 2.8 * math.sqrt(level * (1 - level) / 400)


def test_what_each_is_for() -> None:
    """Few values far out are seen by lengths of the axis, and with heavy tails a moved centre by shares of the values."""
    rng = np.random.default_rng(9)
    far, centre = [], []
    for seed in range(60):
        reference, current = rng.normal(size=400), np.append(rng.normal(size=392), rng.normal(20, size=8))
        far.append((compare(Wasserstein, reference, current, seed=seed), CramerVonMises().compare(np.sort(reference), current, rng=rng)))
        reference, current = rng.standard_cauchy(size=200), rng.standard_cauchy(size=200) + 0.6
        centre.append((compare(Wasserstein, reference, current, seed=seed), CramerVonMises().compare(np.sort(reference), current, rng=rng)))
    for outcomes, keen in ((far, 0), (centre, 1)):
        found = np.sum([[one.p_value <= 0.05 for one in pair] for pair in outcomes], axis=0)
        assert found[keen] > found[1 - keen] + 30


@BOTH
def test_numbers_at_the_ends_of_the_range(kind: type[PermutationTest]) -> None:
    largest = np.finfo(np.float64).max
    for reference, current in (([-largest, largest], [largest, largest]), ([0.0, 5e-324], [largest, 1.0]), ([0.0, 0.0], [5e-324, 0.0])):
        outcome = compare(kind, reference, current)
        assert math.isfinite(outcome.statistic)
        assert math.isfinite(outcome.effect_size)


@BOTH
def test_columns_of_a_table_share_their_divisions_and_answer_alike(kind: type[PermutationTest]) -> None:
    """Two columns whose ranks are equal have equal p-values in any order; batches of divisions change nothing in size."""
    rng = np.random.default_rng(4)
    reference, current = rng.normal(size=(150, 2)), rng.normal(0.2, size=(100, 2))
    reference[:, 1], current[:, 1] = reference[:, 0] * 3, current[:, 0] * 3
    test = kind(permutations=29_999)
    first, second = test.compare_columns([test.prepare(column) for column in reference.T], current, rng=rng)
    assert first.p_value == second.p_value
    assert first.p_value == pytest.approx(test.compare(test.prepare(reference[:, 0]), current[:, 0], rng=rng).p_value, abs=0.01)


@BOTH
def test_a_wrong_option_is_refused(kind: type[PermutationTest]) -> None:
    with pytest.raises(ValueError, match="permutations"):
        kind(permutations=10)
