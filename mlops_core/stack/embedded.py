"""The stack of a project without a configuration, and what a configuration leaves out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mlops_core.config.settings import DriftSettings, EnvironmentSettings, MonitoringSettings, Settings, Use
from mlops_core.plugins import Catalogue
from mlops_core.stack.choice import FILE, UNWRITTEN, recorded

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["embedded"]

_ENVIRONMENTS: Final = ("dev", "staging", "production")
_DRIFT_TESTS: Final = ("ks", "psi")
_TRACKERS: Final = ("mlflow", "local")


def embedded(root: Path, catalogue: Catalogue | None = None) -> Settings:
    """A tracker, a registry and a sink in SQLite, three local environments, the drift tests that are installed.

    The tracker is the one that the project at ``root`` began with, else MLflow where it is installed, else the embedded one.

    Raises:
        ConfigError: What the project began with cannot be read.
    """
    there = catalogue or Catalogue()
    tests = [name for name in _DRIFT_TESTS if name in there.names("drift")]
    return Settings(
        trackers=_trackers(root, there),
        registry=Use("sqlite", key="registry"),
        environments={name: EnvironmentSettings(Use("local", key=f"environments.{name}")) for name in _ENVIRONMENTS},
        channels={"log": Use("log", key="channels.log")},
        monitoring=MonitoringSettings(sinks=(Use("sqlite", key="monitoring.sinks"),)),
        drift=DriftSettings(tests=tuple(Use(name, key="drift.tests") for name in tests)),
    )


def _trackers(root: Path, there: Catalogue) -> tuple[Use, ...]:
    began = recorded(root)
    if began is not None:
        return (Use(began, key="tracker", at=FILE),)
    installed = there.names("tracker")
    return tuple(Use(name, key="tracker", at=UNWRITTEN) for name in _TRACKERS if name in installed)[:1]
