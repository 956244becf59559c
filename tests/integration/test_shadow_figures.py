"""What a shadow does is in no figure of its model, on a sink that merges what it reads."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from mlops_core.clock import SystemClock
from mlops_core.config.settings import AlertRule, GroundTruthSettings, MonitoringSettings, Settings
from mlops_core.monitoring import ModelMonitoring
from mlops_core.records import SeriesKey
from mlops_core.testing.memory_registry import MemoryRegistry
from mlops_core.testing.stack import make_stack
from mlops_sink_sql.sqlite import SqliteSink

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

RULE = AlertRule("errors", "error_rate > 0.2", window=timedelta(hours=1))


@pytest.fixture
def monitoring(tmp_path: Path) -> Iterator[ModelMonitoring]:
    settings = Settings(monitoring=MonitoringSettings(alerts=(RULE,), ground_truth=GroundTruthSettings(1.0)))
    sink = SqliteSink(path=tmp_path / "monitoring.db")
    stack = make_stack(tmp_path, registry=MemoryRegistry(), sinks={"sqlite": sink}, clock=SystemClock(), settings=settings)
    with ModelMonitoring(stack=stack) as facade:
        yield facade
    sink.close()


def test_a_shadow_that_fails_raises_no_alert(monitoring: ModelMonitoring) -> None:
    live = monitoring.recorder(SeriesKey("acme", "production", "m", "1"), 2)
    copies = monitoring.recorder(SeriesKey("acme", "production", "m", "2"), 2, shadow=True)
    for number in range(50):
        live.count(0.01, True)
        live.sample(f"p{number}", {"x": [1]}, {"prediction": [1]})
        copies.count(0.01, False, "ValueError")
        copies.sample(f"p{number}", {"x": [1]}, {"prediction": [0]})
    monitoring.record_outcomes({f"p{number}": 1 for number in range(50)}, model_id="m")
    monitoring.flush()
    monitoring.roll_up()
    every = monitoring.get_metrics("m", environment="production")
    assert (every.total_predictions, every.total_errors) == (50, 0)
    assert (every.live["accuracy"].value, every.live["accuracy"].n) == (1.0, 50)
    assert monitoring.check_health("m", environment="production").status == "healthy"
    assert monitoring.evaluate() == ()
    shadow = monitoring.get_metrics("m", environment="production", version="2")
    assert (shadow.total_predictions, shadow.total_errors, dict(shadow.live)) == (50, 50, {})
