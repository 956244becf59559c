"""Concept drift by labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from mlops_core.drift.concept import compare_errors
from mlops_core.exceptions import DriftDetectionError

if TYPE_CHECKING:
    from mlops_core.drift import ConceptDrift, DriftDetector


def draw(rng: np.random.Generator, rows: int, error_rate: float) -> tuple[Any, Any]:
    labels = rng.integers(0, 3, rows)
    wrong = rng.random(rows) < error_rate
    return labels, np.where(wrong, (labels + 1) % 3, labels)


def test_a_higher_error_rate_is_found() -> None:
    rng = np.random.default_rng(1)
    found = compare_errors(draw(rng, 800, 0.1), draw(rng, 600, 0.2), threshold=0.05)
    assert found.drift_detected
    assert found.current_error_rate > found.reference_error_rate
    assert found.statistic == pytest.approx(found.current_error_rate - found.reference_error_rate)
    assert (found.n, found.m, found.method) == (800, 600, "Fisher's exact test")


def test_a_lower_one_too() -> None:
    rng = np.random.default_rng(1)
    found = compare_errors(draw(rng, 800, 0.2), draw(rng, 600, 0.1), threshold=0.05)
    assert found.drift_detected
    assert found.statistic == -found.effect_size < 0


def test_the_null_is_rejected_no_more_often_than_it_says() -> None:
    rng = np.random.default_rng(2)
    found = [compare_errors(draw(rng, 200, 0.15), draw(rng, 150, 0.15), threshold=0.05).drift_detected for _ in range(500)]
    assert np.mean(found) <= 0.05


@pytest.mark.parametrize(
    "pair",
    [
        (["a", "b", "c", "a"], ["a", "b", "c", "c"]),
        ([1, 2, 3, 1], [1.0, 2.0, 3.0, 3.0]),
        ([True, False, True, True], [1, 0, 1, 0]),
        (pd.Series(["a", "b", "c", "a"], dtype="category"), np.array(["a", "b", "c", "c"])),
        (np.array([[0], [1], [0], [1]]), np.array([0, 1, 0, 0])),
    ],
)
def test_classes_in_many_forms(pair: tuple[Any, Any]) -> None:
    assert compare_errors(pair, pair, threshold=0.05).current_error_rate == 0.25


@pytest.mark.parametrize(
    ("pair", "told"),
    [
        (([1, 2, 3], [1, 2]), "current data: there are 3 labels and 2 predictions - give one prediction for each label"),
        ((["a", "b"], [0, 1]), "current data: labels are text and predictions numbers - give classes in one form"),
        (([0, 1], ["a", "b"]), "current data: labels are numbers and predictions text"),
        (([0, 1, None], [0, 1, 1]), "current labels: 1 values are missing - drop those rows"),
        (([0, 1], [0.2, 0.9]), "current predictions: they hold fractions, so they are no classes - compare a regression's metrics"),
        ((np.array(["2024-01-01", "2024-01-02"], "M8[D]"), [0, 1]), "current labels: values of kind datetime are no classes"),
        ((np.zeros((3, 2)), [0, 1, 1]), "current labels: expected one column, got 2"),
        (([], []), "current labels: expected one column, got 0"),
    ],
)
def test_what_is_no_pair_of_classes(pair: tuple[Any, Any], told: str) -> None:
    with pytest.raises(DriftDetectionError) as found:
        compare_errors(([0, 1], [0, 1]), pair, threshold=0.05)
    assert found.value.message.startswith(f"drift: {told}")


class TestGivenTheFeatures:
    """``P(label | features)`` is compared, so that a move of the features alone is no drift."""

    ROWS = 500

    def side(self, rng: np.random.Generator, move: float, flip: float) -> tuple[Any, Any, Any]:
        features = {"x": rng.normal(move, 1, self.ROWS), "city": rng.choice(["a", "b"], self.ROWS, p=[0.5 + move / 4, 0.5 - move / 4])}
        score = features["x"] + (features["city"] == "a")
        labels = np.where(rng.random(self.ROWS) < 1 / (1 + np.exp(-score)), "late", "early")
        labels = np.where(rng.random(self.ROWS) < flip, "late", labels)
        return features, labels, np.where(score > 0, "late", "early")

    def check(self, detector: DriftDetector, before: tuple[Any, Any, Any], after: tuple[Any, Any, Any]) -> ConceptDrift:
        return detector.detect_concept_drift(before[1], before[2], after[1], after[2], reference_data=before[0], current_data=after[0])

    def test_features_that_moved_are_no_concept_drift(self, detector: DriftDetector) -> None:
        rng = np.random.default_rng(3)
        before, after = self.side(rng, 0, 0), self.side(rng, 1, 0)
        assert detector.detect_data_drift(before[0], after[0]).drift_detected
        assert not self.check(detector, before, after).drift_detected

    def test_labels_that_follow_otherwise_are(self, detector: DriftDetector) -> None:
        rng = np.random.default_rng(3)
        found = self.check(detector, self.side(rng, 0, 0), self.side(rng, 1, 0.4))
        assert found.drift_detected
        assert found.method == "generalised covariance measure"
        assert (found.n, found.m) == (self.ROWS, self.ROWS)
        assert 0 < found.reference_error_rate < 1

    def test_labels_may_be_numbers(self, detector: DriftDetector) -> None:
        rng = np.random.default_rng(3)
        x = rng.normal(size=(800, 2))
        x[400:] += 0.5
        y = x[:, 0] + 0.3 * rng.normal(size=800)
        sides = [(x[part], y[part] + late, x[part, 0]) for part, late in ((slice(400), 0.0), (slice(400, 800), 0.2))]
        found = self.check(detector, *sides)
        assert found.drift_detected
        assert found.current_error_rate == pytest.approx(np.abs(sides[1][1] - sides[1][2]).mean())
        with pytest.raises(DriftDetectionError, match="they hold fractions"):
            detector.detect_concept_drift(sides[0][1], sides[0][2], sides[1][1], sides[1][2])

    def test_many_classes_and_missing_features(self, detector: DriftDetector) -> None:
        rng = np.random.default_rng(3)
        x = np.where(rng.random((600, 2)) < 0.1, np.nan, rng.normal(size=(600, 2)))
        labels = rng.integers(0, 30, 600)
        found = self.check(detector, (x[:300], labels[:300], labels[:300]), (x[300:], labels[300:], labels[300:]))
        assert not found.drift_detected

    def test_mistakes(self, detector: DriftDetector) -> None:
        rng = np.random.default_rng(3)
        side, short = self.side(rng, 0, 0), self.side(rng, 0, 0)
        with pytest.raises(DriftDetectionError, match="current data: it has 500 rows and 499 labels - give one label for each row"):
            self.check(detector, side, (short[0], short[1][1:], short[2][1:]))
        with pytest.raises(DriftDetectionError, match="the current side is missing"):
            detector.detect_concept_drift(side[1], side[2], side[1], side[2], reference_data=side[0])
        with pytest.raises(DriftDetectionError, match="text and the other's numbers"):
            self.check(detector, side, (short[0], np.zeros(500), np.zeros(500)))
        with pytest.raises(DriftDetectionError, match="no column in common"):
            self.check(detector, side, ({"other": np.zeros(500)}, short[1], short[2]))
        with pytest.raises(DriftDetectionError, match="seed"):
            detector.detect_concept_drift(side[1], side[2], side[1], side[2], reference_data=side[0], current_data=side[0], seed=-1)
