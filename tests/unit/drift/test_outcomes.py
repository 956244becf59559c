"""Drift of served predictions, by their outcomes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from mlops_core.exceptions import DriftDetectionError
from mlops_core.records import ModelVersion, Quality, Segment, SeriesKey

if TYPE_CHECKING:
    from mlops_core.drift import DriftDetector
    from mlops_core.stack import Stack
    from mlops_core.testing.memory_sink import MemorySink

NOW = datetime(2024, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
WEEK = timedelta(days=7)


def keep(sink: MemorySink, days_ago: float, quality: Quality | None, version: str = "1", sequence: int = 1) -> None:
    at = NOW - DAY * days_ago
    series = SeriesKey("acme", "production", "flights", version)
    sink.write([Segment(series, at - timedelta(seconds=1), at, f"w{version}-{days_ago}", sequence, quality=quality)])


def right(correct: int, labelled: int) -> Quality:
    return Quality(labelled=labelled, correct=correct, confusion={"a": {"a": correct, "b": labelled - correct}})


def register(stack: Stack, version: str = "1", **metadata: Any) -> None:
    stack.parts.registry.add_version(ModelVersion(stack.tenant, "flights", version, version, version, (), NOW, metadata=metadata))


def test_a_worse_model_is_told_by_the_metrics_of_its_version(detector: DriftDetector, stack: Stack, sink: MemorySink) -> None:
    register(stack, accuracy=0.9, rows=1000, roc_auc=0.95)
    keep(sink, 1, right(700, 1000))
    found = detector.check_outcomes("flights")
    assert found.drift_detected
    assert found.model_drift is not None
    assert found.model_drift.degradation == {"accuracy": pytest.approx(0.2 / 0.9)}
    low, high = found.model_drift.intervals["accuracy"]
    assert low < 0.7 < high
    assert found.concept_drift is None
    events: list[Any] = stack.parts.events  # type: ignore[attr-defined]  # the parts of a test stack keep them
    assert [(event.kind, event.model, event.drift_detected) for event in events] == [("model", "flights", True)]


def test_few_outcomes_are_no_drift(detector: DriftDetector, stack: Stack, sink: MemorySink) -> None:
    register(stack, accuracy=0.9)
    keep(sink, 1, right(7, 10))
    found = detector.check_outcomes("flights").model_drift
    assert found is not None
    assert (found.drift_detected, found.degraded_metrics) == (False, ("accuracy",))


def test_the_time_before_is_a_reference_too(detector: DriftDetector, sink: MemorySink) -> None:
    keep(sink, 10, right(900, 1000))
    keep(sink, 3, right(860, 1000))
    keep(sink, 40, right(0, 1000))  # too long ago
    found = detector.check_outcomes("flights", WEEK, reference=timedelta(days=28), environment="production")
    assert found.model_drift is not None
    assert not found.model_drift.drift_detected
    assert found.concept_drift is not None
    assert found.concept_drift.drift_detected
    assert (found.concept_drift.reference_error_rate, found.concept_drift.current_error_rate) == (0.1, 0.14)
    assert found.drift_detected
    assert not detector.check_outcomes("flights", WEEK, reference=timedelta(days=28), threshold=0.001).drift_detected


def test_errors_of_numbers_are_compared_too(detector: DriftDetector, sink: MemorySink) -> None:
    keep(sink, 10, Quality(numeric=1000, absolute=800, squared=1000, fourth=3000))
    keep(sink, 3, Quality(numeric=1000, absolute=1600, squared=4000, fourth=48000))
    found = detector.check_outcomes("flights", reference={"rmse": 1.0, "accuracy": 0.9})
    assert found.model_drift is not None
    assert found.model_drift.degradation == {"rmse": 1.0}
    assert detector.check_outcomes("flights", reference=WEEK).concept_drift is None


def test_false_alarms_are_as_rare_as_promised(detector: DriftDetector, sink: MemorySink) -> None:
    """One error rate all the time: the concept check alarms at its level at most, the model check hardly ever."""
    rng = np.random.default_rng(5)
    concept = model = 0
    for _ in range(400):
        sink.replace(SeriesKey("acme", "production", "flights", "1"), NOW - 99 * DAY, NOW, DAY, lambda _: ())
        for days_ago in (10, 3):
            at = NOW - DAY * days_ago
            series, quality = SeriesKey("acme", "production", "flights", "1"), right(int(rng.binomial(200, 0.85)), 200)
            fresh = f"{rng.random()}"
            sink.write([Segment(series, at, at + DAY / 99, fresh, 1, quality=quality)])
        found = detector.check_outcomes("flights", reference=WEEK)
        assert found.concept_drift is not None
        assert found.model_drift is not None
        concept += found.concept_drift.drift_detected
        model += found.model_drift.drift_detected
    assert concept / 400 <= 0.07
    assert model / 400 <= 0.02


def test_a_few_outcomes_are_no_firm_reference(detector: DriftDetector, sink: MemorySink) -> None:
    """Twenty outcomes before, two thousand since, and nothing changed: the model check asks both intervals."""
    rng = np.random.default_rng(8)
    alarms = 0
    for _ in range(300):
        sink.replace(SeriesKey("acme", "production", "flights", "1"), NOW - 99 * DAY, NOW, DAY, lambda _: ())
        for days_ago, labelled in ((10, 20), (3, 2000)):
            at, fresh = NOW - DAY * days_ago, f"{rng.random()}"
            series, quality = SeriesKey("acme", "production", "flights", "1"), right(int(rng.binomial(labelled, 0.8)), labelled)
            sink.write([Segment(series, at, at + DAY / 99, fresh, 1, quality=quality)])
        found = detector.check_outcomes("flights", reference=WEEK).model_drift
        assert found is not None
        alarms += found.drift_detected
    assert alarms / 300 <= 0.03


def test_a_figure_that_was_zero_costs_no_other(detector: DriftDetector, sink: MemorySink) -> None:
    keep(sink, 1, Quality(labelled=100, correct=90, confusion={"1": {"0": 10}, "0": {"0": 90}}))
    found = detector.check_outcomes("flights", reference={"recall": 0.0, "accuracy": 0.9}).model_drift
    assert found is not None
    assert found.degradation == {"accuracy": pytest.approx(0)}


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"window": DAY / 2}, r"no outcome is known of predictions from .* set monitoring.ground_truth"),
        ({"window": 5}, "drift: window: 5 is no length of time"),
        ({"end": 5}, "drift: end: 5 is no time"),
        ({"version": "2"}, "no outcome is known"),
        ({"reference": 0.9}, "drift: reference: 0.9 is neither metrics nor a length of time"),
        ({"reference": {"brier": 0.1}}, r"the reference has none of the figures that are known live \(accuracy, f1\)"),
        ({}, "the reference has none of the figures"),
        ({"reference": timedelta(0)}, "drift: window: .* is no length of time"),
        ({"reference": {"accuracy": 0.9}, "metric_threshold": -1}, "drift: threshold: -1 is not a loss"),
        ({"reference": WEEK, "threshold": 2}, "drift: threshold: 2 is not a level"),
    ],
)
def test_what_cannot_be_compared_is_one_line(detector: DriftDetector, stack: Stack, sink: MemorySink, options: Any, told: str) -> None:
    register(stack, rows=5)
    keep(sink, 1, right(700, 1000))
    keep(sink, 8, right(700, 1000))
    keep(sink, 1, None, version="2")
    with pytest.raises(DriftDetectionError, match=told):
        detector.check_outcomes("flights", **options)


def test_several_versions_have_to_be_told_apart(detector: DriftDetector, sink: MemorySink) -> None:
    keep(sink, 1, right(70, 100))
    keep(sink, 2, right(70, 100), version="2")
    with pytest.raises(DriftDetectionError, match=r"versions 1, 2 answered - give version="):
        detector.check_outcomes("flights", reference={"accuracy": 0.9})
    found = detector.check_outcomes("flights", reference={"accuracy": 0.9}, version="2").model_drift
    assert found is not None
    assert found.drift_detected
