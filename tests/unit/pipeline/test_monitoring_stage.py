from typing import Any

import pytest

from mlops_core.config.settings import MonitoringSettings, StageSettings
from mlops_core.mlops_pipeline import MLOpsPipeline
from mlops_core.monitoring import ModelMonitoring
from mlops_core.pipeline.monitoring_stage import MonitoringStage
from mlops_core.testing.memory_sink import MemorySink

MODEL = "ticket_classifier"
STAGES = ["collect", "training", "deployment", "monitoring"]


def watched(shop: Any, options: dict[str, Any] | None = None, **parts: Any) -> MLOpsPipeline:
    given = {"sinks": {"memory": MemorySink()}, "monitoring": MonitoringSettings(max_error_rate=0.1), **parts}
    pipeline: MLOpsPipeline = shop({"to": ["staging"]}, stages=(StageSettings("monitoring", options=options or {}),), **given)
    return pipeline


def traffic(pipeline: MLOpsPipeline, *, errors: int, total: int = 10, environment: str = "staging", version: str = "1") -> None:
    with ModelMonitoring(stack=pipeline._stack) as monitoring:  # noqa: SLF001  the same stack
        for number in range(total):
            monitoring.track_prediction(MODEL, 0.01, success=number >= errors, environment=environment, version=version)


def test_without_traffic_the_health_is_unknown_and_no_failure(shop: Any) -> None:
    pipeline = watched(shop)
    report = pipeline.run_pipeline(STAGES)
    assert report.error is None
    told = pipeline.output("monitoring")
    assert (told["status"], told["predictions"], told["error_rate"]) == ("unknown", 0, None)
    assert report.stages[3].summary == f"{MODEL} 1 in staging: unknown, no predictions in the window"
    assert report.stages[3].metrics == {}


def test_the_deployed_versions_own_traffic_is_judged(shop: Any) -> None:
    pipeline = watched(shop)
    traffic(pipeline, errors=0)
    traffic(pipeline, errors=10, version="old")
    traffic(pipeline, errors=10, environment="production")
    report = pipeline.run_pipeline(STAGES)
    told = pipeline.output("monitoring")
    assert (told["status"], told["environment"], told["version"], told["predictions"]) == ("healthy", "staging", "1", 10)
    assert report.stages[3].metrics == {"error_rate": 0.0, "predictions": 10.0}


def test_an_unhealthy_model_fails_the_stage(shop: Any) -> None:
    pipeline = watched(shop)
    traffic(pipeline, errors=5)
    report = pipeline.run_pipeline(STAGES)
    assert report.error is not None
    assert report.error.startswith(f"stage 'monitoring' failed: {MODEL} 1 in staging: unhealthy, error rate 50.00% (5 of 10)")


def test_alone_it_looks_at_every_version_and_environment(shop: Any) -> None:
    pipeline = watched(shop, {"window": "1h"})
    traffic(pipeline, errors=0, version="7")
    traffic(pipeline, errors=0, environment="production", version="8")
    pipeline.run_stage("monitoring")
    told = pipeline.output("monitoring", pipeline.runs(1)[0].run_id)
    assert (told["version"], told["environment"], told["predictions"]) == (None, None, 20)


def test_environment_and_model_can_be_named(shop: Any) -> None:
    pipeline = watched(shop, {"environment": "production", "model": "other"})
    pipeline.run_pipeline(STAGES)
    told = pipeline.output("monitoring")
    assert (told["model"], told["environment"]) == ("other", "production")


def test_without_a_sink_nothing_is_known(shop: Any) -> None:
    pipeline = watched(shop, sinks={})
    pipeline.run_pipeline(STAGES)
    assert pipeline.output("monitoring")["reasons"] == ["monitoring.sinks names none, so nothing is counted"]


def test_outside_of_a_pipeline_it_is_refused() -> None:
    with pytest.raises(Exception, match="a built-in stage runs in a pipeline only"):
        MonitoringStage().run(object())  # type: ignore[arg-type]  # no context at all
