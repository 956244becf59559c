"""Which class or function implements a stage: registered in Python, named by the configuration, or built in."""

from __future__ import annotations

from typing import Final

from attrs import define, field, frozen

from mlops_core.config.settings import StageSettings
from mlops_core.roles import Stage
from mlops_core.stack import Stack

__all__ = ["BUILT_IN", "Catalog", "Registered"]

BUILT_IN: Final = {
    "validation": "mlops_core.pipeline.validation_stage:ValidationStage",
    "deployment": "mlops_core.pipeline.deployment_stage:DeploymentStage",
    "monitoring": "mlops_core.pipeline.monitoring_stage:MonitoringStage",
}
"""Stages that need no ``use``, by name."""


@frozen
class Registered:
    """A stage that Python code gave: ``given`` names the settings that were given with it; ``function`` (``module:name``) is how another
    process finds it, empty where none can.
    """  # noqa: D205  one sentence

    stage: Stage
    settings: StageSettings
    given: frozenset[str] = frozenset()
    function: str = ""


@define(eq=False)
class Catalog:
    """The stages of one pipeline. What Python registers comes before the configuration's ``use``, and that before what is built in."""

    stack: Stack
    registered: dict[str, Registered] = field(factory=dict)
    _built: dict[str, Stage] = field(factory=dict, init=False, repr=False)
