"""The built-in stage ``monitoring``: how the deployed model does, as far as its traffic tells."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from attrs import define, field

from mlops_core.exceptions import PipelineError
from mlops_core.monitoring import ModelMonitoring
from mlops_core.names import check_name
from mlops_core.pipeline.context import RunContext
from mlops_core.records import HealthReport, HealthStatus
from mlops_core.roles import Stage

if TYPE_CHECKING:
    from mlops_core.roles import StageContext

__all__ = ["MonitoringStage"]


@define(eq=False)
class MonitoringStage(Stage):
    """Judges the health of the deployed version over a window, and its drift where there is a reference and a sample.

    Without traffic the health is ``unknown``, which is no failure; an unhealthy model fails the stage, so that ``on_failure: rollback`` can
    take it back.
    """

    contract: ClassVar[int] = 1

    window: timedelta | None = field(default=None, metadata={"help": "how far to look back, such as 5m; none: monitoring.health_window"})
    environment: str = field(default="", metadata={"help": "the environment to look at; none: the last that was deployed to"})
    model: str = field(default="", metadata={"help": "the registered model; none: the one that was deployed"})

    def run(self, context: StageContext, deployment: Any = None) -> Any:
        """Look.

        Args:
            context: What the run hands to a stage.
            deployment: What the deployment stage answered; without it every version and environment of the model counts.

        Returns:
            A summary: model, version, environment, status, reasons, and the window's figures (None where there is no data).

        Raises:
            PipelineError: The model is unhealthy.
            MonitoringError: The sink cannot be read.
        """
        run = RunContext.of(context)
        told = deployment if isinstance(deployment, Mapping) else {}
        places = [one["environment"] for one in told.get("deployments", ())]
        model = check_name(self.model or told.get("model") or run.model, "model", PipelineError)
        environment = self.environment or (places[-1] if places else None)
        version = told.get("version")
        health = self._health(run, model, environment, version)
        where = f"{model} {version or '(any version)'} in {environment or 'any environment'}"
        run.summary = f"{where}: {health.status}" + (f", {'; '.join(health.reasons)}" if health.reasons else "")
        if health.window.error_rate is not None:
            run.log_metrics({"error_rate": health.window.error_rate, "predictions": float(health.window.total)})
        if health.status is HealthStatus.UNHEALTHY:
            raise PipelineError(run.summary)
        return {
            "model": model,
            "version": version,
            "environment": environment,
            "status": health.status.value,
            "reasons": list(health.reasons),
            "predictions": health.window.total,
            "error_rate": health.window.error_rate,
            "avg_latency": health.window.avg_latency,
        }

    def _health(self, run: RunContext, model: str, environment: str | None, version: str | None) -> HealthReport:
        if not run.stack.parts.sinks:
            return HealthReport(HealthStatus.UNKNOWN, ("monitoring.sinks names none, so nothing is counted",))
        with ModelMonitoring(stack=run.stack) as monitoring:
            return monitoring.check_health(model, self.window, environment=environment, version=version)
