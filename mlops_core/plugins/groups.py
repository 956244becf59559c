"""The ten roles: their entry-point groups, hooks and classes, and the names that belong to the core."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from attrs import frozen

from mlops_core.exceptions import PluginError
from mlops_core.roles import (
    AlertChannel,
    Backend,
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
from mlops_core.structure import nearest

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["CONTRACTS", "FIRST_PARTY", "GROUPS", "RESERVED", "Group", "group_of"]

CONTRACTS: Final = frozenset({1})
"""Versions of the roles that this release speaks."""

RESERVED: Final = frozenset({"use", "name", "inputs", "outputs", "retries", "timeout", "when", "on_failure", "cache", "executor"})
"""Keys of the configuration that the core reads beside a plugin's options."""


@frozen
class Group:
    """One role. ``reserved`` are further keys that the core reads there."""

    role: str
    hook: str
    types: tuple[type[Backend], ...]
    reserved: frozenset[str] = RESERVED

    @property
    def entry_points(self) -> str:
        """The entry-point group."""
        return f"mlops_core.{self.role}"

    @property
    def keys(self) -> tuple[str, ...]:
        """What the core itself reads beside the options, to be suggested for a misspelled one: all of it for a stage."""
        return tuple(sorted(self.reserved if self.role == "stage" else (self.reserved - RESERVED) | {"use"}))

    @property
    def wanted(self) -> str:
        """The classes of the role, for a message."""
        return " or ".join(kind.__name__ for kind in self.types)


GROUPS: Final[Mapping[str, Group]] = {
    group.role: group
    for group in (
        Group("tracker", "mlops_tracker", (Tracker,)),
        Group("registry", "mlops_registry_store", (RegistryStore,), RESERVED | {"sign"}),
        Group("deployer", "mlops_deployer", (Deployer,), RESERVED | {"tokens", "rollback_window", "watch"}),
        Group("sink", "mlops_monitor_sink", (MonitorSink,)),
        Group("drift", "mlops_drift_test", (DriftTest, StreamTest)),
        Group("stage", "mlops_stage", (Stage,)),
        Group("format", "mlops_format", (Format,)),
        Group("executor", "mlops_executor", (Executor,)),
        Group("alert", "mlops_alert_channel", (AlertChannel,)),
        Group("observer", "mlops_observer", (Observer,)),
    )
}

FIRST_PARTY: Final[Mapping[str, str]] = {
    "tracker.local": "motadata-mlops-tracker-local",
    "tracker.mlflow": "motadata-mlops-tracker-mlflow",
    "tracker.wandb": "motadata-mlops-tracker-wandb",
    "registry.postgres": "motadata-mlops-registry-sql",
    "registry.s3": "motadata-mlops-registry-s3",
    "registry.sqlite": "motadata-mlops-registry-sql",
    "deployer.local": "motadata-mlops-deployer-local",
    "deployer.sagemaker": "motadata-mlops-deployer-sagemaker",
    "sink.otel": "motadata-mlops-sink-otel",
    "sink.postgres": "motadata-mlops-sink-sql",
    "sink.prometheus": "motadata-mlops-sink-prometheus",
    "sink.sqlite": "motadata-mlops-sink-sql",
    "drift.adwin": "motadata-mlops-drift-online",
    "drift.c2st": "motadata-mlops-drift-mmd",
    "drift.chi2": "motadata-mlops-drift-psi",
    "drift.cvm": "motadata-mlops-drift-ks",
    "drift.ddm": "motadata-mlops-drift-online",
    "drift.energy": "motadata-mlops-drift-ks",
    "drift.js": "motadata-mlops-drift-psi",
    "drift.ks": "motadata-mlops-drift-ks",
    "drift.mmd": "motadata-mlops-drift-mmd",
    "drift.mmd_agg": "motadata-mlops-drift-mmd",
    "drift.mmd_fuse": "motadata-mlops-drift-mmd",
    "drift.mmd_rff": "motadata-mlops-drift-mmd",
    "drift.page_hinkley": "motadata-mlops-drift-online",
    "drift.psi": "motadata-mlops-drift-psi",
    "drift.wasserstein": "motadata-mlops-drift-ks",
    "format.arrow": "motadata-mlops-format-arrow",
    "format.parquet": "motadata-mlops-format-arrow",
    "format.mlflow": "motadata-mlops-format-mlflow",
    "format.mlflow-pyfunc": "motadata-mlops-format-mlflow",
    "format.onnx": "motadata-mlops-format-onnx",
    "format.safetensors": "motadata-mlops-format-safetensors",
    "format.joblib": "motadata-mlops-format-sklearn",
    "format.skops": "motadata-mlops-format-sklearn",
    "stage.csv": "motadata-mlops-stage-tabular",
    "stage.metrics": "motadata-mlops-stage-tabular",
    "stage.parquet": "motadata-mlops-stage-tabular",
    "stage.preprocess": "motadata-mlops-stage-tabular",
    "stage.sklearn": "motadata-mlops-stage-tabular",
    "alert.alertmanager": "motadata-mlops-alert-http",
    "alert.webhook": "motadata-mlops-alert-http",
}
"""Names of the project's own distributions, so that a missing one can be named with its install command."""


def group_of(role: str) -> Group:
    """The group of a role; raises ``PluginError`` for a word that is none."""
    try:
        return GROUPS[role]
    except KeyError:
        raise PluginError(f"plugins: there is no role {role!r} - {nearest(role, GROUPS)}") from None
