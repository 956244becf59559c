"""Every hook of the framework. A plugin marks its functions with ``hookimpl``.

Role hooks hand over a class and do no work. The name in the configuration is the entry point's, in the role's group; a module that serves
several names takes it as the argument ``name``::

    from mlops_core.hookspecs import hookimpl

    @hookimpl
    def mlops_drift_test() -> type[DriftTest]:
        return KolmogorovSmirnov

Lifecycle hooks are methods of an ``Observer``; each receives one frozen event.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pluggy

if TYPE_CHECKING:
    from mlops_core.records import (
        AlertRaised,
        DeploymentChanged,
        DriftChecked,
        GateDecision,
        GateRequest,
        RunFinished,
        RunStarted,
        StageFailed,
        StageFinished,
        StageStarted,
        VersionRegistered,
    )
    from mlops_core.roles import (
        AlertChannel,
        Deployer,
        DriftTest,
        Executor,
        Format,
        MonitorSink,
        Observer,
        RegistryStore,
        Stage,
        StreamTest,
        Tracker,
    )

__all__ = [
    "PROJECT",
    "alert_raised",
    "deployment_changed",
    "deployment_gate",
    "drift_checked",
    "hookimpl",
    "hookspec",
    "mlops_alert_channel",
    "mlops_deployer",
    "mlops_drift_test",
    "mlops_executor",
    "mlops_format",
    "mlops_monitor_sink",
    "mlops_observer",
    "mlops_registry_store",
    "mlops_stage",
    "mlops_tracker",
    "run_finished",
    "run_started",
    "stage_failed",
    "stage_finished",
    "stage_started",
    "version_registered",
]

PROJECT: Final = "mlops_core"
hookspec: Final = pluggy.HookspecMarker(PROJECT)
hookimpl: Final = pluggy.HookimplMarker(PROJECT)


@hookspec(firstresult=True)
def mlops_tracker(name: str) -> type[Tracker]:  # type: ignore[empty-body]  # a specification has no body; so below
    """Hand over the class of a tracker (entry-point group ``mlops_core.tracker``)."""


@hookspec(firstresult=True)
def mlops_registry_store(name: str) -> type[RegistryStore]:  # type: ignore[empty-body]
    """Hand over the class of a registry store (group ``mlops_core.registry``)."""


@hookspec(firstresult=True)
def mlops_deployer(name: str) -> type[Deployer]:  # type: ignore[empty-body]
    """Hand over the class of a deployer (group ``mlops_core.deployer``)."""


@hookspec(firstresult=True)
def mlops_monitor_sink(name: str) -> type[MonitorSink]:  # type: ignore[empty-body]
    """Hand over the class of a monitor sink (group ``mlops_core.sink``)."""


@hookspec(firstresult=True)
def mlops_drift_test(name: str) -> type[DriftTest | StreamTest]:  # type: ignore[empty-body]
    """Hand over the class of a drift test (group ``mlops_core.drift``)."""


@hookspec(firstresult=True)
def mlops_stage(name: str) -> type[Stage]:  # type: ignore[empty-body]
    """Hand over the class of a pipeline stage (group ``mlops_core.stage``)."""


@hookspec(firstresult=True)
def mlops_format(name: str) -> type[Format]:  # type: ignore[empty-body]
    """Hand over the class of a format (group ``mlops_core.format``)."""


@hookspec(firstresult=True)
def mlops_executor(name: str) -> type[Executor]:  # type: ignore[empty-body]
    """Hand over the class of an executor (group ``mlops_core.executor``)."""


@hookspec(firstresult=True)
def mlops_alert_channel(name: str) -> type[AlertChannel]:  # type: ignore[empty-body]
    """Hand over the class of an alert channel (group ``mlops_core.alert``)."""


@hookspec(firstresult=True)
def mlops_observer(name: str) -> type[Observer]:  # type: ignore[empty-body]
    """Hand over the class of an observer (group ``mlops_core.observer``)."""


@hookspec
def run_started(event: RunStarted) -> None:
    """Listen to the start or the resumption of a pipeline run."""


@hookspec
def stage_started(event: StageStarted) -> None:
    """Listen to the start of an attempt at a stage."""


@hookspec
def stage_finished(event: StageFinished) -> None:
    """Listen to a stage that succeeded, was skipped or is held."""


@hookspec
def stage_failed(event: StageFailed) -> None:
    """Listen to an attempt that failed."""


@hookspec
def run_finished(event: RunFinished) -> None:
    """Listen to the end of a pipeline run."""


@hookspec
def version_registered(event: VersionRegistered) -> None:
    """Listen to a version that is in the registry."""


@hookspec
def deployment_changed(event: DeploymentChanged) -> None:
    """Listen to a change of a deployment's state or traffic."""


@hookspec
def drift_checked(event: DriftChecked) -> None:
    """Listen to the end of a drift check."""


@hookspec
def alert_raised(event: AlertRaised) -> None:
    """Listen to an incident that opened or ended."""


@hookspec
def deployment_gate(request: GateRequest) -> GateDecision | None:
    """Allow or veto that traffic moves to a version. None abstains; a gate that raises vetoes."""
