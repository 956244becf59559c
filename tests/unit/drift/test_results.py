"""Answers of drift checks as records."""

from __future__ import annotations

import json

from mlops_core.drift.results import ColumnOutcome, DataDrift, ModelDrift


def outcome(column: str, p_value: float, *, drifted: bool) -> ColumnOutcome:
    return ColumnOutcome(column, "ks", "m", 0.5, p_value, p_value, 0.5, 0.05, 0.0, drifted, 10, 10)


def test_drifted_columns_come_by_their_p_value() -> None:
    outcomes = (outcome("a", 0.04, drifted=True), outcome("b", 0.01, drifted=True), outcome("c", 0.5, drifted=False))
    found = DataDrift(
        drift_detected=True, p_value=0.01, threshold=0.05, correction="none", outcomes=outcomes, reference_rows=10, current_rows=10
    )
    assert found.drifted_columns == ("b", "a")
    assert found["drift_detected"] is True
    assert [one.column for one in found.of("a")] == ["a"]
    assert found.figures()["drift.columns"] == 2.0
    assert DataDrift.from_dict(found.to_dict()) == found
    assert DataDrift.from_dict(json.loads(found.to_json())) == found


def test_degraded_metrics_come_by_their_loss() -> None:
    losses = {"f1": 0.2, "accuracy": 0.3, "auc": -0.1}
    found = ModelDrift(drift_detected=True, degradation=losses, threshold=0.1, relative=True, reference_metrics={}, current_metrics={})
    assert found.degraded_metrics == ("accuracy", "f1")
