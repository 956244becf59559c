"""``c2st``: conformance, and its figures against a plain implementation and simulation."""

from __future__ import annotations

import doctest
from typing import ClassVar

import numpy as np
import pytest

from mlops_core.testing.drift_suite import DriftTestSuite
from mlops_drift_mmd import ClassifierTest, classifier, mlops_drift_test
from mlops_drift_mmd.permutation import signs


class TestConformance(DriftTestSuite):
    repetitions = 200
    monotone: ClassVar[bool] = True

    def drift_test(self) -> ClassifierTest:
        return ClassifierTest(permutations=39, max_rows=200)


def test_the_hook_hands_over_the_class() -> None:
    assert mlops_drift_test("c2st") is ClassifierTest
    assert doctest.testmod(classifier).failed == 0


def test_scores_are_those_of_classifiers_fitted_without_the_row() -> None:
    """Every row left out in turn and the regression solved anew, for every labelling."""
    rng = np.random.default_rng(1)
    features = rng.normal(size=(24, 5)) ** 3
    features -= features.mean(axis=0)
    labels = signs(14, 10, 3, rng)
    scores = classifier.left_out_scores(features, labels)
    for label, row in zip(labels, scores, strict=True):
        targets = (label.mean() - label) / 2
        for out in range(24):
            kept = np.delete(np.arange(24), out)
            design = np.column_stack([np.ones(23), features[kept]])
            penalty = np.diag([0.0, *[5.0] * 5])
            weights = np.linalg.solve(design.T @ design + penalty, design.T @ targets[kept])
            assert row[out] == pytest.approx(weights[0] + features[out] @ weights[1:], abs=1e-12)


@pytest.mark.parametrize("after", [[[1, 0.6], [0.6, 1]], [[2, 0], [0, 2]]], ids=["correlation", "spread"])
def test_changes_without_a_shift_are_seen(after: list[list[float]]) -> None:
    rng = np.random.default_rng(2)
    outcome = ClassifierTest().compare(rng.normal(size=(300, 2)), rng.multivariate_normal([0, 0], after, size=300), rng=rng)
    assert outcome.p_value <= 0.01
    assert 0.05 < outcome.effect_size < 0.5


def test_the_effect_size_is_the_accuracy_above_that_of_guessing() -> None:
    """Of two normal samples 2 apart the best classifier attributes 84 % of rows, whatever the sizes."""
    rng = np.random.default_rng(3)
    for n, m in ((2000, 2000), (3000, 150)):
        outcome = ClassifierTest(permutations=19).compare(rng.normal(size=(n, 1)), rng.normal(2, size=(m, 1)), rng=rng)
        assert outcome.effect_size == pytest.approx(0.3413, abs=0.03)
    apart = ClassifierTest().compare(rng.normal(size=(50, 2)), rng.normal(50, size=(50, 2)), rng=rng)
    assert (apart.effect_size, apart.p_value) == (0.5, 1 / 200)


def test_wide_tables_have_some_of_their_products() -> None:
    """60 columns have 1,890 features; a shift is seen all the same, with more features than rows."""
    rng = np.random.default_rng(4)
    columns = rng.normal(size=(40, 60))
    assert classifier.product_features(columns, 200, rng).shape == (40, 200)
    assert classifier.product_features(columns, 30, rng).shape == (40, 60)
    assert classifier.product_features(columns[:, :3], 200, rng).shape == (40, 9)
    outcome = ClassifierTest(max_features=300).compare(rng.normal(size=(100, 60)), rng.normal(0.3, size=(100, 60)), rng=rng)
    assert outcome.p_value <= 0.01


def test_the_p_value_is_as_small_as_it_says() -> None:
    rng, test = np.random.default_rng(5), ClassifierTest(permutations=19)
    found = [test.compare(rng.normal(size=(20, 2)), rng.normal(size=(15, 2)), rng=rng).p_value for _ in range(2000)]
    assert 0.0375 <= np.mean(np.array(found) <= 0.05) <= 0.0625
