"""A stage context that keeps what a stage reports, for tests of stages without a pipeline."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import define, field

from mlops_core.records import ArtifactRef
from mlops_core.roles import Clock
from mlops_core.testing.clock import FakeClock

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["RecordingContext"]


def _generator() -> Any:
    import numpy as np

    return np.random.default_rng(0)


@define(eq=False, kw_only=True)
class RecordingContext:
    """What was reported stands in ``params``, ``measured`` (last values), ``artifacts`` and ``reports`` of progress.

    ``given`` and ``earlier`` are what earlier stages left: artifacts by output name, and metrics.
    """

    root: Path
    tenant: str = "acme"
    run_id: str = "run-1"
    stage: str = "stage"
    model: str = "model"
    key: str = "pipeline/run-1/stage"
    clock: Clock = field(factory=FakeClock)
    rng: Any = field(factory=_generator)
    given: dict[str, ArtifactRef] = field(factory=dict)
    earlier: dict[str, float] = field(factory=dict)
    params: dict[str, Any] = field(factory=dict, init=False)
    measured: dict[str, float] = field(factory=dict, init=False)
    artifacts: dict[str, Path] = field(factory=dict, init=False)
    reports: list[tuple[float, float | None, str]] = field(factory=list, init=False)

    def progress(self, done: float, total: float | None = None, note: str = "") -> None:
        """Keep the report."""
        self.reports.append((done, total, note))

    def log_params(self, params: Mapping[str, Any]) -> None:
        """Keep parameters."""
        self.params.update(params)

    def log_metrics(self, metrics: Mapping[str, float], step: int = 0) -> None:
        """Keep the last value of each metric, as a float."""
        self.measured.update({name: float(value) for name, value in metrics.items()})

    def log_artifact(self, name: str, path: Path) -> None:
        """Keep where it lies."""
        self.artifacts[name] = path

    def outputs(self, stages: Sequence[str] | None = None) -> Mapping[str, ArtifactRef]:
        """What the test gave."""
        del stages
        return self.given

    def metrics(self) -> Mapping[str, float]:
        """What the test gave as ``earlier``."""
        return self.earlier

    def elapsed(self) -> timedelta:
        """What the clock was advanced by."""
        return timedelta(seconds=self.clock.monotonic())
