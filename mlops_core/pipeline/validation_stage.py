"""The built-in stage ``validation``: bounds that metrics of earlier stages have to meet."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from attrs import define, field, frozen

from mlops_core.exceptions import PipelineError
from mlops_core.pipeline.context import RunContext
from mlops_core.roles import Stage
from mlops_core.structure import nearest

if TYPE_CHECKING:
    from mlops_core.roles import StageContext

__all__ = ["Bound", "ValidationStage"]


@frozen
class Bound:
    """What a metric has to be at least, at most, or both."""

    min: float | None = None
    max: float | None = None

    def __attrs_post_init__(self) -> None:
        if self.min is None and self.max is None:
            raise ValueError("a bound needs min, max or both, such as {min: 0.65}")

    def __str__(self) -> str:
        parts = [("min", self.min), ("max", self.max)]
        return ", ".join(f"{name} {value:g}" for name, value in parts if value is not None)

    def unmet(self, name: str, value: float) -> str:
        """What is wrong with the value; empty if nothing is. NaN meets no bound."""
        if math.isnan(value):
            return f"{name} is not a number"
        if self.min is not None and value < self.min:
            return f"{name} {value:.6g} is below {self.min:g}"
        if self.max is not None and value > self.max:
            return f"{name} {value:.6g} is above {self.max:g}"
        return ""


@define(eq=False)
class ValidationStage(Stage):
    """Fails with one line that lists every bound that is not met. Answers the metrics that it looked at, by name."""

    contract: ClassVar[int] = 1
    cacheable: ClassVar[bool] = False

    require: Mapping[str, Bound] = field(
        factory=dict, metadata={"help": "bounds by metric, such as {roc_auc: {min: 0.65}}; training.roc_auc names one stage's own"}
    )

    def run(self, context: StageContext) -> Any:
        """Compare.

        Raises:
            PipelineError: A bound is not met, or no earlier stage logged the metric.
        """
        logged = context.metrics()
        missing = [name for name in self.require if name not in logged]
        if missing:
            raise PipelineError(
                f"require: no earlier stage logged the metric {missing[0]!r} - {nearest(missing[0], logged, 'they logged')}"
            )
        said = [bound.unmet(name, logged[name]) for name, bound in self.require.items()]
        unmet = [one for one in said if one]
        if unmet:
            raise PipelineError(f"{len(unmet)} of {len(said)} bounds not met: {'; '.join(unmet)}")
        RunContext.of(context).summary = ", ".join(f"{name} {logged[name]:.6g} ({bound})" for name, bound in self.require.items())
        return {name: logged[name] if math.isfinite(logged[name]) else str(logged[name]) for name in self.require}
