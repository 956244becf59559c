from datetime import timedelta
from typing import Any

import pytest

from mlops_core.config.settings import MonitoringSettings, StageSettings
from mlops_core.mlops_pipeline import MLOpsPipeline
from mlops_core.monitoring import ModelMonitoring
from mlops_core.pipeline.monitoring_stage import MonitoringStage
from mlops_core.records import Segment, SeriesKey
from mlops_core.testing.memory_sink import MemorySink
from mlops_drift_ks import KolmogorovSmirnov

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
    assert report.stages[3].summary == f"{MODEL} 1 in staging: unknown; no predictions in the window; drift: no predictions to check"
    assert told["drift"] == "no predictions to check"
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
    assert "has no drift reference" in told["drift"] or "carry no sample" in told["drift"]


def test_an_unhealthy_model_fails_the_stage(shop: Any) -> None:
    pipeline = watched(shop)
    traffic(pipeline, errors=5)
    report = pipeline.run_pipeline(STAGES)
    assert report.error is not None
    assert report.error.startswith(f"stage 'monitoring' failed: {MODEL} 1 in staging: unhealthy; error rate 50.00% (5 of 10)")


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


def sampled(pipeline: MLOpsPipeline, values: list[float]) -> None:
    """Predictions of version 1 in staging, with a sample of their features, as a server would deliver them."""
    stack = pipeline._stack  # noqa: SLF001  the same stack
    now = stack.clock.now()
    series = SeriesKey(stack.tenant, "staging", MODEL, "1")
    rows = tuple({"features": {"x": value}} for value in values)
    stack.parts.sinks["memory"].write(
        [Segment(series, now - timedelta(seconds=30), now, "server", 1, total=len(rows), latency_sum=1.0, sample=rows)]
    )


def with_reference(shop: Any, options: dict[str, Any]) -> MLOpsPipeline:
    pipeline = watched(shop, options, drift_tests={"ks": KolmogorovSmirnov()})

    @pipeline.stage("collect", outputs=["collect", "reference"])
    def collect() -> Any:
        return [1.0, 2.0], {"x": [number / 100 for number in range(100)]}

    return pipeline


def test_live_data_is_compared_with_the_versions_reference(shop: Any) -> None:
    pipeline = with_reference(shop, {"window": "10m"})
    sampled(pipeline, [number / 50 for number in range(50)])
    report = pipeline.run_pipeline(STAGES)
    assert report.error is None
    drift = pipeline.output("monitoring")["drift"]
    assert drift["columns"] == []
    assert "no drift (p " in report.stages[3].summary

    values = ModelMonitoring(stack=pipeline._stack).get_metrics(MODEL, timedelta(hours=1), environment="staging", version="1")  # noqa: SLF001
    assert values.values["drift.p_value"] == drift["drift.p_value"]


def test_drift_is_told_or_fails_the_stage(shop: Any) -> None:
    pipeline = with_reference(shop, {})
    sampled(pipeline, [5 + number for number in range(50)])
    report = pipeline.run_pipeline(STAGES)
    assert report.error is None
    assert pipeline.output("monitoring")["drift"]["columns"] == ["x"]
    assert "drift in x (p " in report.stages[3].summary


def test_drift_may_fail_the_stage(shop: Any) -> None:
    pipeline = with_reference(shop, {"fail_on_drift": True})
    sampled(pipeline, [5 + number for number in range(50)])
    assert "drift in x (p " in (pipeline.run_pipeline(STAGES).error or "")
