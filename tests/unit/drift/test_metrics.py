"""Model drift: losses of metrics in their own direction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops_core.drift.metrics import compare_metrics, direction_of
from mlops_core.exceptions import DriftDetectionError

if TYPE_CHECKING:
    from mlops_core.drift.results import ModelDrift


def compare(reference: Any, current: Any, **options: Any) -> ModelDrift:
    return compare_metrics(reference, current, **{"threshold": 0.1, "relative": True, "directions": None, **options})


def test_losses_are_relative_and_each_in_its_direction() -> None:
    found = compare({"accuracy": 0.8, "rmse": 10.0}, {"accuracy": 0.6, "rmse": 12.0})
    assert found.degradation == pytest.approx({"accuracy": 0.25, "rmse": 0.2})
    assert found.drift_detected
    assert found.degraded_metrics == ("accuracy", "rmse")
    assert found["degradation"] is found.degradation


def test_gains_are_negative_and_no_drift() -> None:
    found = compare({"f1": 0.5, "log_loss": 0.4}, {"f1": 0.6, "log_loss": 0.2})
    assert found.degradation == pytest.approx({"f1": -0.2, "log_loss": -0.5})
    assert (found.drift_detected, found.degraded_metrics) == (False, ())


def test_absolute_losses() -> None:
    found = compare({"accuracy": 0.95, "r2": 0.0}, {"accuracy": 0.88, "r2": -0.2}, relative=False, threshold=0.1)
    assert found.degradation == pytest.approx({"accuracy": 0.07, "r2": 0.2})
    assert found.degraded_metrics == ("r2",)


def test_a_negative_reference_is_compared_by_its_size() -> None:
    assert compare({"r2": -0.5}, {"r2": -0.75}).degradation == pytest.approx({"r2": 0.5})
    assert compare({"neg_mean_squared_error": -2.0}, {"neg_mean_squared_error": -3.0}).degradation == {"neg_mean_squared_error": 0.5}


def test_metrics_of_one_side_are_named() -> None:
    found = compare({"accuracy": 0.9, "f1": 0.8}, {"accuracy": 0.9, "recall": 0.7})
    assert (found.missing_metrics, found.new_metrics, dict(found.degradation)) == (("f1",), ("recall",), {"accuracy": 0.0})


@given(before=st.floats(0.01, 1), after=st.floats(0.01, 1))
def test_the_direction_turns_the_sign(before: float, after: float) -> None:
    lost = compare({"margin": before}, {"margin": after}, directions={"margin": "higher"}).degradation["margin"]
    gained = compare({"margin": before}, {"margin": after}, directions={"margin": "lower"}).degradation["margin"]
    assert lost == -gained == pytest.approx((before - after) / before)


@pytest.mark.parametrize(
    ("metric", "direction"),
    [
        ("accuracy", "higher"),
        ("val_accuracy", "higher"),
        ("F1-macro", "higher"),
        ("f1_score", "higher"),
        ("test_roc_auc_ovr_weighted", "higher"),
        ("top_5_accuracy", "higher"),
        ("recall@10", "higher"),
        ("live.precision", "higher"),
        ("R2", "higher"),
        ("neg_log_loss", "higher"),
        ("average_precision", "higher"),
        ("explained_variance", "higher"),
        ("matthews_corrcoef", "higher"),
        ("loss", "lower"),
        ("val_loss", "lower"),
        ("root_mean_squared_error", "lower"),
        ("brier_score_loss", "lower"),
        ("p95_latency", "lower"),
        ("error_rate", "lower"),
        ("latency_p99", "lower"),
        ("accuracy_gap", None),
        ("error_free_share", None),
        ("neg_accuracy", None),
        ("precision_loss", None),
        ("rate", None),
        ("", None),
    ],
)
def test_directions_of_the_usual_metrics(metric: str, direction: str | None) -> None:
    assert direction_of(metric) == direction


@pytest.mark.parametrize(
    ("reference", "current", "options", "told"),
    [
        ({}, {"f1": 1.0}, {}, "reference metrics: expected a mapping, got {} - give some"),
        ({"f1": 1.0}, [1.0], {}, "current metrics: expected a mapping"),
        ({"f1": "high"}, {"f1": 1.0}, {}, "reference metrics: 'f1' is 'high' - give finite numbers by name"),
        ({"f1": 1.0}, {"f1": float("nan")}, {}, "current metrics: 'f1' is nan - give finite numbers"),
        ({1: 1.0}, {"f1": 1.0}, {}, "reference metrics: 1 is 1.0 - give"),
        ({"f1": 1.0}, {"recall": 1.0}, {}, "metrics: the sides have none in common"),
        ({"revenue": 1.0}, {"revenue": 1.0}, {}, "metrics: is more of 'revenue' better? - say directions={'revenue': 'higher'} or 'lower'"),
        ({"r2": 0}, {"r2": 0.1}, {}, "metrics: 'r2' was 0, so its relative loss has no meaning - use relative=False"),
        ({"f1": 1.0}, {"f1": 1.0}, {"directions": {"f1": "up"}}, "directions: {'f1': 'up'} - give 'higher' or 'lower'"),
        ({"f1": 1.0}, {"f1": 1.0}, {"directions": {"f2": "lower"}}, "directions: there is no metric 'f2'"),
        ({"f1": 1.0}, {"f1": 1.0}, {"threshold": -0.1}, "threshold: -0.1 is not a loss - give a number from 0 on"),
        ({"f1": 10**400}, {"f1": 1.0}, {}, "reference metrics: 'f1' is 1000"),
        ({"f1": 1.0}, {"f1": 1.0}, {"directions": {"f1": ["up"]}}, "directions: {'f1': ['up']} - give"),
        ({"f1": 1.0}, {"f1": 1.0}, {"relative": "no"}, "relative: expected True or False, got 'no'"),
        ({"f1": 1.0}, {"f1": 1.0}, {"threshold": "a tenth"}, "threshold: 'a tenth' is not a loss"),
    ],
)
def test_what_cannot_be_compared(reference: Any, current: Any, options: dict[str, Any], told: str) -> None:
    with pytest.raises(DriftDetectionError) as found:
        compare(reference, current, **options)
    assert found.value.message.startswith(f"drift: {told}")
