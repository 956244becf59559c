"""What a running stage is handed: who it runs for, and where to report."""

from __future__ import annotations

import contextlib
import hashlib
import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from mlops_core.artifacts import Artifacts
from mlops_core.exceptions import ExperimentError, PipelineError
from mlops_core.names import check_name
from mlops_core.pipeline.condition import metrics_of
from mlops_core.pipeline.state import effect_key
from mlops_core.records import Metric, StageProgress
from mlops_core.tracking.values import check_key, check_params, check_step

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.random import Generator

    from mlops_core.records import ArtifactRef, StageTask
    from mlops_core.roles import Clock, StageContext
    from mlops_core.stack import Stack

__all__ = ["RunContext", "rng_of", "tracked_name"]

_LOG = logging.getLogger(__name__)


class RunContext:
    """The ``StageContext`` of one attempt. What is logged is kept here until the attempt ends; the runner writes it to the tracker.

    Beyond the port, for the built-in stages: ``stack``, a ``summary`` of one line, and ``held``, why the run has to wait for a person.
    For the cache, ``looked_back``: whether the stage asked for what earlier ones left. No attrs class: the annotation of ``rng`` would load
    numpy with the module.
    """

    def __init__(self, stack: Stack, task: StageTask, listen: Callable[[StageProgress], None] | None = None) -> None:
        settings = stack.settings.pipeline
        self.stack = stack
        self.task = task
        self.tenant: str = stack.tenant
        self.run_id: str = task.run_id
        self.stage: str = task.stage
        self.model: str = task.model
        self.key: str = effect_key(task.config.pipeline, task.run_id, task.stage)
        self.root: Path = stack.root
        self.clock: Clock = stack.clock
        self.rng: Generator = rng_of(settings.seed if settings is not None else 0, task.stage)
        self.params: dict[str, str] = {}
        self.history: list[Metric] = []
        self.logged: dict[str, ArtifactRef] = {}
        self.summary: str = ""
        self.held: str = ""
        self.looked_back: bool = False
        self._listen = listen
        self._began = stack.clock.monotonic()

    @classmethod
    def of(cls, context: StageContext) -> RunContext:
        """The context of a built-in stage, which needs more than the port.

        Raises:
            PipelineError: It was made by somebody else.
        """
        if not isinstance(context, cls):
            raise PipelineError("a built-in stage runs in a pipeline only - run it with MLOpsPipeline")
        return context

    def progress(self, done: float, total: float | None = None, note: str = "") -> None:
        """Tell whoever listens to the run, and the log."""
        _LOG.debug("stage %s: %s of %s %s", self.stage, done, total, note, extra={"run_id": self.run_id, "tenant": self.tenant})
        if self._listen is not None:
            self._listen(StageProgress(self.run_id, self.stage, float(done), None if total is None else float(total), note))

    def log_params(self, params: Mapping[str, Any]) -> None:
        """Keep parameters as text, for the run's tracker under ``stage.name``.

        Raises:
            PipelineError: A tracker would refuse a name or a value.
        """
        with _as_a_mistake_of_the_stage():
            checked = check_params(params)
            for name in checked:
                check_key(tracked_name(self.stage, self.task.attempt, name), "param")
        self.params.update(checked)

    def log_metrics(self, metrics: Mapping[str, float], step: int = 0) -> None:
        """Keep metrics for the run's tracker and for later stages.

        Raises:
            PipelineError: A value is no number, or a tracker would refuse a name.
        """
        now = self.clock.now()
        for name, value in metrics.items():
            with _as_a_mistake_of_the_stage():
                check_key(name, "metric")
                check_key(tracked_name(self.stage, self.task.attempt, name), "metric")
            try:
                self.history.append(Metric(name, float(value), check_step(int(step)), now))
            except (TypeError, ValueError, ExperimentError):
                raise PipelineError(f"metric {name!r}: {value!r} at step {step!r} is no number - log a number at a whole step") from None

    def log_artifact(self, name: str, path: Path) -> None:
        """Store a file or folder, for the run's tracker.

        Raises:
            ArtifactError: It cannot be read.
        """
        self.logged[name] = Artifacts(self.stack).save_file(path, check_name(name, "artifact", PipelineError))

    def outputs(self, stages: Sequence[str] | None = None) -> Mapping[str, ArtifactRef]:
        """Artifacts of finished stages, by output name; of a name given twice, the later stage's."""
        self.looked_back = True
        wanted = [result for result in self.task.earlier if stages is None or result.stage in stages]
        return {name: ref for result in wanted for name, ref in result.outputs.items()}

    def metrics(self) -> Mapping[str, float]:
        """Metrics of finished stages: by name, where the later stage's counts, and by ``stage.name``."""
        self.looked_back = True
        return metrics_of(self.task.earlier)

    def last(self) -> dict[str, float]:
        """The last value of each metric that this stage logged."""
        return {one.name: one.value for one in self.history}

    def elapsed(self) -> timedelta:
        """Monotonic time since the attempt began."""
        return timedelta(seconds=self.clock.monotonic() - self._began)


def tracked_name(stage: str, attempt: int, name: str) -> str:
    """The name under which the trackers know what an attempt logged that failed."""
    return f"{stage}.attempt-{attempt}.{name}"


@contextlib.contextmanager
def _as_a_mistake_of_the_stage() -> Iterator[None]:
    """What every tracker would refuse later is refused where it is logged: there it is one line that names the stage."""
    try:
        yield
    except ExperimentError as error:
        raise PipelineError(error.message.removeprefix("tracker: ")) from error


def rng_of(seed: int, stage: str) -> Generator:
    """The stage's own generator: it depends on the pipeline's seed and the stage's name only, not on what ran before."""
    import numpy as np

    name = int.from_bytes(hashlib.sha256(stage.encode()).digest()[:8], "big")
    return np.random.default_rng([int(seed < 0), abs(seed), name])
