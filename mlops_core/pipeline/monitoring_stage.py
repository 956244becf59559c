"""The built-in stage ``monitoring``: how the deployed model does, as far as its traffic tells."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from attrs import define, field

from mlops_core.drift import DriftDetector
from mlops_core.exceptions import DriftDetectionError, PipelineError
from mlops_core.monitoring import ModelMonitoring
from mlops_core.names import check_name
from mlops_core.pipeline.context import RunContext
from mlops_core.records import HealthReport, HealthStatus
from mlops_core.roles import Stage

if TYPE_CHECKING:
    from mlops_core.drift.results import DataDrift
    from mlops_core.roles import StageContext

__all__ = ["MonitoringStage"]


@define(eq=False)
class MonitoringStage(Stage):
    """Judges the health of the deployed version over a window, and its drift where it has a reference and its traffic was sampled.

    Without traffic the health is ``unknown``, which is no failure; an unhealthy model fails the stage, so that ``on_failure: rollback`` can
    take it back. Figures of drift are recorded beside the predictions, where alert rules see them.
    """

    contract: ClassVar[int] = 1
    cacheable: ClassVar[bool] = False

    window: timedelta | None = field(default=None, metadata={"help": "how far to look back, such as 5m; none: monitoring.health_window"})
    environment: str = field(default="", metadata={"help": "the environment to look at; none: the last that was deployed to"})
    model: str = field(default="", metadata={"help": "the registered model; none: the one that was deployed"})
    fail_on_drift: bool = field(default=False, metadata={"help": "whether data drift fails the stage; else it is told"})

    def run(self, context: StageContext, deployment: Any = None) -> Any:
        """Look.

        Args:
            context: What the run hands to a stage.
            deployment: What the deployment stage answered; without it every version and environment of the model counts.

        Returns:
            A summary: model, version, environment, status, reasons, the window's figures (None where there is no data), and ``drift``: what
            the check found, or why there was none.

        Raises:
            PipelineError: The model is unhealthy, or drifted with ``fail_on_drift``.
            MonitoringError: The sink cannot be read.
        """
        run = RunContext.of(context)
        told = deployment if isinstance(deployment, Mapping) else {}
        places = [one["environment"] for one in told.get("deployments", ())]
        model = check_name(self.model or told.get("model") or run.model, "model", PipelineError)
        environment = self.environment or (places[-1] if places else None)
        version = told.get("version")
        with contextlib.ExitStack() as closing:
            monitoring = closing.enter_context(ModelMonitoring(stack=run.stack)) if run.stack.parts.sinks else None
            health = self._health(monitoring, model, environment, version)
            drift = self._drift(run, monitoring, health, model, environment, version)
        where = f"{model} {version or '(any version)'} in {environment or 'any environment'}"
        said = [f"{where}: {health.status}", *health.reasons, *([f"drift: {drift}"] if isinstance(drift, str) else [_told(drift)])]
        run.summary = "; ".join(said)
        if health.window.error_rate is not None:
            run.log_metrics({"error_rate": health.window.error_rate, "predictions": float(health.window.total)})
        drifted = not isinstance(drift, str) and drift.drift_detected
        if health.status is HealthStatus.UNHEALTHY or (drifted and self.fail_on_drift):
            raise PipelineError(run.summary)
        return {"model": model, "version": version, "environment": environment, **_figures(health, drift)}

    def _health(self, monitoring: ModelMonitoring | None, model: str, environment: str | None, version: str | None) -> HealthReport:
        if monitoring is None:
            return HealthReport(HealthStatus.UNKNOWN, ("monitoring.sinks names none, so nothing is counted",))
        return monitoring.check_health(model, self.window, environment=environment, version=version)

    def _drift(
        self,
        run: RunContext,
        monitoring: ModelMonitoring | None,
        health: HealthReport,
        model: str,
        environment: str | None,
        version: str | None,
    ) -> DataDrift | str:
        """The check of what the window saw, its figures recorded; or why there is nothing to check."""
        if monitoring is None or not health.window.total:
            return "no predictions to check"
        window = self.window or run.stack.settings.monitoring.health_window
        try:
            found = DriftDetector(stack=run.stack).check_live(model, window, environment=environment, version=version)
        except DriftDetectionError as error:
            return error.message.removeprefix("drift: ")
        monitoring.record_values(model, found.figures(), environment=environment, version=version)
        return found


def _told(drift: DataDrift) -> str:
    if not drift.drift_detected:
        return f"no drift (p {drift.p_value:.3g})"
    return f"drift in {', '.join(drift.drifted_columns)} (p {drift.p_value:.3g})"


def _figures(health: HealthReport, drift: DataDrift | str) -> dict[str, Any]:
    """The window and the check as plain values."""
    return {
        "status": health.status.value,
        "reasons": list(health.reasons),
        "predictions": health.window.total,
        "error_rate": health.window.error_rate,
        "avg_latency": health.window.avg_latency,
        "drift": drift if isinstance(drift, str) else {**drift.figures(), "columns": list(drift.drifted_columns)},
    }
