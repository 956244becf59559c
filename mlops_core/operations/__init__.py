"""The control loop: schedules what needs a living process."""

from __future__ import annotations

from mlops_core.operations.loop import ControlLoop, Pass
from mlops_core.operations.status import LoopStatus, PassStatus, loop_status
from mlops_core.operations.upkeep import Upkeep

__all__ = ["ControlLoop", "LoopStatus", "Pass", "PassStatus", "Upkeep", "loop_status"]
