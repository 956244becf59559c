"""The frozen configuration: what ``mlops.yaml`` says, structured and checked, secrets still unresolved.

Durations are ``timedelta``, shares are fractions. ``Use.options`` stay as written (``${VAR}`` unresolved) until a backend is built.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Literal

from attrs import field, frozen

from mlops_core.records import Record

__all__ = [
    "AlertRule",
    "CanarySettings",
    "DriftSettings",
    "EnvironmentSettings",
    "ModelsSettings",
    "MonitoringSettings",
    "PipelineSettings",
    "Settings",
    "StageSettings",
    "Use",
]


@frozen
class Use(Record):
    """A plugin named by the configuration and the options for it. ``at`` is ``file:line:column`` of the name; ``key`` the key path."""

    use: str
    options: Mapping[str, Any] = field(factory=dict)
    key: str = ""
    at: str = ""


@frozen
class EnvironmentSettings(Record):
    """A deployment target: a deployer, and what the core adds to it."""

    deployer: Use
    tokens: str | None = None
    rollback_window: timedelta = timedelta(hours=1)
    watch: bool = False


@frozen
class AlertRule(Record):
    """A threshold rule: ``when`` is one comparison, such as ``error_rate > 0.02``, over ``window``, that must hold for ``hold_for``."""

    name: str
    when: str
    hold_for: timedelta = timedelta(0)
    window: timedelta = timedelta(minutes=5)
    model: str | None = None
    environment: str | None = None
    notify: tuple[str, ...] = ()


@frozen
class MonitoringSettings(Record):
    """``monitoring``: where segments go, and the alert rules."""

    sinks: tuple[Use, ...] = ()
    durability: Literal["flush", "sync"] = "flush"
    alerts: tuple[AlertRule, ...] = ()
    max_error_rate: float = 0.05
    health_window: timedelta = timedelta(minutes=5)


@frozen
class DriftSettings(Record):
    """``drift``: which tests run and when they count. ``min_effect`` is the practical threshold of the effect size."""

    tests: tuple[Use, ...] = ()
    alpha: float = 0.05
    correction: Literal["benjamini-hochberg", "benjamini-yekutieli", "bonferroni", "holm", "none"] = "benjamini-hochberg"
    min_effect: float = 0.0


@frozen
class ModelsSettings(Record):
    """``models``: formats that may run code on load."""

    trust: tuple[str, ...] = ()


@frozen
class CanarySettings(Record):
    """A canary by steps of traffic (fractions, the last is 1.0). ``slo`` maps a metric to its bound, such as error_rate 0.01."""

    steps: tuple[float, ...] = (0.05, 0.25, 1.0)
    step_time: timedelta = timedelta(minutes=2)
    min_requests: int = 100
    deadline: timedelta = timedelta(hours=1)
    at_deadline: Literal["hold", "promote", "rollback"] = "hold"
    slo: Mapping[str, float] = field(factory=dict)


@frozen
class StageSettings(Record):
    """One stage of the pipeline: keys that belong to the core, and the stage's options. ``use`` None: a built-in or registered stage."""

    name: str
    use: Use | None = None
    options: Mapping[str, Any] = field(factory=dict)
    inputs: Mapping[str, str] = field(factory=dict)
    outputs: tuple[str, ...] = ()
    retries: int = 0
    timeout: timedelta | None = None
    when: str | None = None
    on_failure: Literal["stop", "continue", "rollback"] = "stop"
    cache: bool = False
    executor: str | None = None
    at: str = ""


@frozen
class PipelineSettings(Record):
    """``pipeline``: its name, the registered model it makes, and its stages in the order written."""

    name: str = "pipeline"
    model: str = ""
    stages: tuple[StageSettings, ...] = ()
    seed: int = 0


@frozen
class Settings(Record):
    """A whole configuration. The defaults are those of the embedded stack in ``./.mlops``."""

    project: str = "project"
    tenant: str = "default"
    trackers: tuple[Use, ...] = ()
    registry: Use | None = None
    environments: Mapping[str, EnvironmentSettings] = field(factory=dict)
    channels: Mapping[str, Use] = field(factory=dict)
    monitoring: MonitoringSettings = MonitoringSettings()
    drift: DriftSettings = DriftSettings()
    models: ModelsSettings = ModelsSettings()
    formats: tuple[str, ...] = ("json", "npy", "arrow", "parquet", "skops", "joblib")
    observers: tuple[Use, ...] = ()
    executor: str = "inline"
    pipeline: PipelineSettings | None = None
