"""Metrics without labels: right where the assumptions hold, withheld where they can be seen not to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from mlops_core.drift.estimate import ESTIMATED, Scores
from mlops_core.exceptions import DriftDetectionError

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    from mlops_core.drift import DriftDetector, ModelDrift

ALL = ("accuracy", "precision", "recall", "f1", "roc_auc", "brier", "log_loss")


def draw(rng: Generator, rows: int, scale: float = 2.0, *, overconfident: float = 1.0) -> tuple[NDArray[Any], NDArray[Any]]:
    """Labels, and the probabilities of a model that is sure where ``scale`` is large."""
    score = rng.normal(0, scale, rows)
    labels = (rng.random(rows) < 1 / (1 + np.exp(-score))).astype(np.int64)
    return labels, 1 / (1 + np.exp(-overconfident * score))


def estimate(
    detector: DriftDetector, seed: int, *, scale: float, overconfident: float = 1.0, **options: Any
) -> tuple[ModelDrift, Any, Any]:
    rng = np.random.default_rng(seed)
    labels, before = draw(rng, 2000, overconfident=overconfident)
    truth, after = draw(rng, 1500, scale, overconfident=overconfident)
    return detector.estimate_model_drift(labels, before, after, **options), truth, after


@pytest.mark.parametrize("overconfident", [1.0, 2.0])
def test_the_interval_holds_what_labels_show_later(detector: DriftDetector, overconfident: float) -> None:
    """In 95 of 100 cases and, for chance, some fewer; probabilities that are too bold are mended."""
    held = dict.fromkeys(ALL, 0)
    for seed in range(25):
        found, truth, after = estimate(detector, seed, scale=1.0, overconfident=overconfident, metrics=ALL)
        assert found.withheld == ""
        for name in ALL:
            low, high = found.intervals[name]
            held[name] += low <= ESTIMATED[name](truth.astype(float), Scores(after)) <= high
            assert low <= found.current_metrics[name] <= high
    assert min(held.values()) >= 20, held


def test_a_model_that_is_less_sure_has_drifted(detector: DriftDetector) -> None:
    found, _, _ = estimate(detector, 1, scale=0.5, metrics=("accuracy", "log_loss"))
    assert found.drift_detected
    assert found.estimated
    assert found.degraded_metrics
    assert found["degradation"]["accuracy"] > 0.1
    assert type(found).from_dict(found.to_dict()) == found


def test_the_same_data_is_no_drift(detector: DriftDetector) -> None:
    found, _, _ = estimate(detector, 1, scale=2.0, metrics=ALL)
    assert not found.drift_detected
    again, _, _ = estimate(detector, 1, scale=2.0, metrics=ALL)
    assert again == found


def test_it_is_withheld_where_probabilities_are_beyond_those_known(detector: DriftDetector) -> None:
    labels, before = draw(np.random.default_rng(1), 1000, 0.5)
    found = detector.estimate_model_drift(labels, before, np.full(100, 0.999))
    assert found.withheld == "100% of the current probabilities lie beyond those of the reference"
    assert (found.drift_detected, found.degradation, found.current_metrics) == (False, {}, {})
    assert found.reference_metrics["accuracy"] > 0.5


def test_it_is_withheld_where_they_cannot_be_calibrated(detector: DriftDetector) -> None:
    rng = np.random.default_rng(1)
    before = rng.random(4000)
    labels = rng.random(4000) < np.where(np.abs(before - 0.5) < 0.25, 0.9, 0.1)
    assert "not calibrated" in detector.estimate_model_drift(labels, before, before).withheld


@pytest.mark.parametrize("labels", [np.zeros(300), np.arange(100) % 2])
def test_it_is_withheld_where_too_little_is_known(detector: DriftDetector, labels: Any) -> None:
    found = detector.estimate_model_drift(labels, np.linspace(0, 1, len(labels)), np.linspace(0, 1, 50))
    assert found.withheld == "the reference needs 200 rows with labels of both classes"


def test_metrics_have_their_textbook_values() -> None:
    labels, scores = np.array([0.0, 0, 1, 1]), Scores(np.array([0.1, 0.4, 0.35, 0.8]))
    found = {name: ESTIMATED[name](labels, scores) for name in ALL}
    expected = {"accuracy": 0.75, "precision": 1.0, "recall": 0.5, "f1": 2 / 3, "roc_auc": 0.75, "brier": 0.158125}
    assert {name: found[name] for name in expected} == pytest.approx(expected)
    assert found["log_loss"] == pytest.approx(-np.log([0.9, 0.6, 0.35, 0.8]).mean())
    assert ESTIMATED["roc_auc"](np.ones(4), scores) == 0.5
    assert ESTIMATED["roc_auc"](np.array([0.0, 1.0]), Scores(np.array([0.5, 0.5]))) == 0.5


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"reference_labels": [0, 1, 2]}, "expected 0 and 1"),
        ({"reference_labels": ["a", "b", "a"]}, "expected 0 and 1"),
        ({"reference_labels": [0, 1]}, "2 labels and 3 probabilities"),
        ({"reference_probabilities": [0.1, 0.2, 1.2]}, r"reference probabilities: expected numbers in \[0, 1\]"),
        ({"current_probabilities": [0.1, None]}, "current probabilities"),
        ({"metrics": "mae"}, "'mae' cannot be estimated - name some of accuracy"),
        ({"metrics": []}, r"\[\] cannot be estimated"),
        ({"threshold": -1}, "threshold"),
        ({"seed": "x"}, "seed"),
    ],
)
def test_mistakes(detector: DriftDetector, change: dict[str, Any], told: str) -> None:
    given = {"reference_labels": [0, 1, 1], "reference_probabilities": [0.1, 0.8, 0.7], "current_probabilities": [0.2, 0.4], **change}
    with pytest.raises(DriftDetectionError, match=told) as refused:
        detector.estimate_model_drift(**given)
    assert "\n" not in refused.value.message
