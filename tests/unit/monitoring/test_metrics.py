"""The figures that ``get_metrics`` answers, as they go to JSON."""

import json
from datetime import UTC, datetime, timedelta

from mlops_core.monitoring.metrics import Metrics
from mlops_core.records import Segment, SeriesKey, ValueSum, Window

AT = datetime(2024, 5, 1, 12, tzinfo=UTC)


def test_figures_are_fields() -> None:
    one = Segment(
        SeriesKey("acme", "production", "m", "1"),
        AT,
        AT + timedelta(seconds=2),
        "w",
        1,
        total=4,
        errors=1,
        errors_by_type={"Timeout": 1},
        latency_sum=0.4,
        histogram={-106: 4},
        values={"drift.p_value": ValueSum(2, 0.75, 0.25)},
    )
    told = json.loads(json.dumps(Metrics.of(Window.merge([one]), "m", "production", None).to_dict()))
    assert {name: told[name] for name in ("model", "environment", "version", "total_predictions", "total_errors", "success_rate")} == {
        "model": "m",
        "environment": "production",
        "version": None,
        "total_predictions": 4,
        "total_errors": 1,
        "success_rate": 0.75,
    }
    assert (told["avg_latency"], told["throughput"], told["errors_by_type"], told["values"]) == (
        0.1,
        2.0,
        {"Timeout": 1},
        {"drift.p_value": 0.25},
    )
    assert (told["start"], told["end"]) == ("2024-05-01T12:00:00.000000Z", "2024-05-01T12:00:02.000000Z")


def test_nothing_is_zero_and_none() -> None:
    told = Metrics.of(Window(), "m", None, None).to_dict()
    assert {name for name, value in told.items() if value is None} == {
        *("environment", "version", "success_rate", "error_rate", "avg_latency", "p50_latency", "p95_latency", "p99_latency"),
        *("throughput", "start", "end"),
    }
    assert (told["total_predictions"], told["total_errors"], told["errors_by_type"], told["values"]) == (0, 0, {}, {})
