"""The stack of a project without a configuration, and what a configuration leaves out."""

from __future__ import annotations

from typing import Final

from mlops_core.config.settings import DriftSettings, EnvironmentSettings, MonitoringSettings, Settings, Use
from mlops_core.plugins import Catalogue

__all__ = ["embedded"]

_ENVIRONMENTS: Final = ("dev", "staging", "production")
_DRIFT_TESTS: Final = ("ks", "psi")


def embedded(catalogue: Catalogue | None = None) -> Settings:
    """MLflow where it is installed, a registry and a sink in SQLite, three local environments, the drift tests that are installed."""
    there = catalogue or Catalogue()
    tests = [name for name in _DRIFT_TESTS if name in there.names("drift")]
    return Settings(
        trackers=(Use("mlflow", key="tracker"),) if "mlflow" in there.names("tracker") else (),
        registry=Use("sqlite", key="registry"),
        environments={name: EnvironmentSettings(Use("local", key=f"environments.{name}")) for name in _ENVIRONMENTS},
        channels={"log": Use("log", key="channels.log")},
        monitoring=MonitoringSettings(sinks=(Use("sqlite", key="monitoring.sinks"),)),
        drift=DriftSettings(tests=tuple(Use(name, key="drift.tests") for name in tests)),
    )
