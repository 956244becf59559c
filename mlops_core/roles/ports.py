"""Ports: what the core hands to a plugin. A plugin types against these and imports nothing else of the core."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime, timedelta
    from pathlib import Path

    from numpy.random import Generator
    from numpy.typing import NDArray

    from mlops_core.records import ArtifactRef, ModelVersion, SeriesKey

__all__ = [
    "ArtifactStore",
    "Clock",
    "DeployContext",
    "Predictor",
    "Progress",
    "Recorder",
    "ServingHost",
    "StageContext",
]


class Clock(Protocol):
    """Time, injected so that tests own it."""

    def now(self) -> datetime:
        """The current time, aware UTC."""

    def monotonic(self) -> float:
        """Seconds from an arbitrary start that never go back: for durations."""

    def sleep(self, seconds: float) -> None:
        """Wait."""


class Progress(Protocol):
    """Where long work says how far it is."""

    def __call__(self, done: float, total: float | None = None, note: str = "") -> None:
        """``done`` of ``total`` units; total None while it is unknown."""


class Predictor(Protocol):
    """A loaded model. Arrays are one per column, with the rows along the first axis and equal lengths."""

    def predict(self, columns: Mapping[str, NDArray[Any]]) -> Mapping[str, NDArray[Any]]:
        """Outputs by name, one row per input row."""


class Recorder(Protocol):
    """The hot path of monitoring: one per variant and routing revision, safe from many threads."""

    def count(self, seconds: float, success: bool, error: str | None = None, repeated: bool = False) -> None:  # noqa: FBT001, FBT002  the hot path: keywords cost
        """Count one prediction; ``error`` is the type of the failure, ``repeated`` one of a unit that had failed before in the rollout."""

    def drop(self) -> None:
        """Count a copy of a request for which a shadow had no time."""

    def wants(self, prediction_id: str, rows: int = 1) -> bool:
        """Whether a row of this prediction belongs to the uniform sample or the prediction log."""

    def sample(self, prediction_id: str, features: Mapping[str, Any], output: Mapping[str, Any]) -> None:
        """Keep the rows of a prediction that belong there: arrays or lists by column, one value per row. Raises nothing."""

    def failed(self, prediction_id: str, features: Mapping[str, Any], error: str) -> None:
        """Keep some of the predictions that failed, for debugging. Raises nothing."""


class ArtifactStore(Protocol):
    """Verified files of registered versions and stage outputs."""

    def fetch(self, version: ModelVersion, into: Path) -> Path:
        """Stream a version's files into a private directory while they are hashed; raises ``CorruptArtifactError``."""

    def fetch_artifact(self, tenant: str, artifact: ArtifactRef, into: Path) -> Path:
        """The same for a single artifact."""


class DeployContext(Protocol):
    """What a deployer is handed: the ports of its environment.

    ``timeout``: seconds that one load may take. ``guarded``: requests need a token; without one a server binds the loopback interface only.
    """

    timeout: float
    guarded: bool

    @property
    def artifacts(self) -> ArtifactStore:
        """Verified files of registered versions."""

    @property
    def workdir(self) -> Path:
        """A folder of this environment's own (not yet created)."""

    @property
    def clock(self) -> Clock:
        """Time."""

    @property
    def progress(self) -> Progress:
        """Where a long load says how far it is."""

    @property
    def command(self) -> tuple[str, ...]:
        """Starts a serving process of this stack; the deployer appends its args.

        Raises:
            ConfigError: No other process can compose the stack.
        """

    def load(self, version: ModelVersion) -> Predictor:
        """Fetch, verify and load a model in this process, for deployers that answer here; raises ``MLOpsError``."""

    def bundle(self, version: ModelVersion, into: Path) -> Path:
        """Write what ``python -m mlops_core.serve --bundle`` serves into a new or empty folder, and answer it; raises ``MLOpsError``.

        The same version makes the same files.
        """


class ServingHost(Protocol):
    """What a serving process is handed: the same stack, recomposed there."""

    @property
    def workdir(self) -> Path:
        """The environment's folder."""

    @property
    def clock(self) -> Clock:
        """Time."""

    @property
    def tenant(self) -> str:
        """Whose requests they are where neither token nor header says so."""

    def version(self, tenant: str, model: str, version: str) -> ModelVersion:
        """The registered version, from the registry or this server's own cache; raises ``VersioningError``."""

    def load(self, version: ModelVersion) -> Predictor:
        """Fetch, verify and load a model; raises ``MLOpsError``."""

    def recorder(self, series: SeriesKey, revision: int, *, shadow: bool = False) -> Recorder:
        """The hot path for one variant, or for a shadow, whose predictions count in no figure over all versions."""

    def authenticate(self, token: str | None) -> str | None:
        """The tenant of a token; None where no tokens are configured. Raises ``DeploymentError`` for a wrong or missing one."""


class StageContext(Protocol):
    """What a stage is handed: who it runs for, and where to report.

    ``key`` names the stage's effects, ``pipeline/run_id/stage``: it is the same for every attempt, and for no other run.
    """

    tenant: str
    run_id: str
    stage: str
    model: str
    key: str
    clock: Clock
    rng: Generator
    root: Path

    def progress(self, done: float, total: float | None = None, note: str = "") -> None:
        """Report how far the stage is."""

    def log_params(self, params: Mapping[str, Any]) -> None:
        """Record parameters in the run's tracker."""

    def log_metrics(self, metrics: Mapping[str, float], step: int = 0) -> None:
        """Record metrics in the run's tracker and for later stages' ``when``."""

    def log_artifact(self, name: str, path: Path) -> None:
        """Record a file in the run's tracker."""

    def outputs(self, stages: Sequence[str] | None = None) -> Mapping[str, ArtifactRef]:
        """Artifacts of stages that have finished, by output name."""

    def metrics(self) -> Mapping[str, float]:
        """Metrics that finished stages logged, by name; of a name logged twice, the later stage's."""

    def elapsed(self) -> timedelta:
        """Monotonic time since the attempt began."""
