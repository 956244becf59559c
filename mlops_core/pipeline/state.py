"""A run as its journal tells it: entries are merge patches of this state (see ``mlops_core.journal``)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from attrs import evolve, field, frozen

from mlops_core.exceptions import PipelineError
from mlops_core.records import ArtifactRef, PipelineStatus, Record, RunReport, StageResult, StageStatus

__all__ = ["FORMAT", "RunState", "effect_key", "journal_of", "kept_of", "patch_of", "result_of"]

FORMAT: Final = 1
_MAPPINGS: Final = ("outputs", "metrics", "params")


@frozen
class RunState(Record):
    """``stages`` in the order of the plan; ``results`` of those that have begun. ``owner`` is the lease of the process that runs it.

    ``single``: the run of one stage on what another run made. ``rollback``: why what it deployed has to be taken back, which is all that
    is left to do once it is set; ``final``: that is done, and the run cannot be resumed.
    """

    pipeline: str
    model: str
    stages: tuple[str, ...]
    owner: str
    started: datetime
    status: PipelineStatus = PipelineStatus.RUNNING
    format: int = FORMAT
    inputs: Mapping[str, ArtifactRef] = field(factory=dict)
    results: Mapping[str, StageResult] = field(factory=dict)
    ended: datetime | None = None
    error: str | None = None
    single: bool = False
    rollback: str = ""
    final: bool = False

    @classmethod
    def read(cls, state: Mapping[str, Any], run_id: str) -> RunState:
        """Decode the state of a journal.

        Raises:
            PipelineError: A newer release wrote it, or it is no run.
        """
        if (found := state.get("format", FORMAT)) != FORMAT:
            raise PipelineError(f"run {run_id}: a newer release wrote it (format {found}) - upgrade motadata-mlops-core")
        try:
            results = {name: result_of(patch) for name, patch in state.get("results", {}).items()}
            return evolve(cls.from_dict({**state, "results": {}}), results=results)
        except (TypeError, ValueError) as error:
            raise PipelineError(f"run {run_id}: its journal holds no run: {error}") from error

    def patch(self) -> dict[str, Any]:
        """The whole state as a merge patch."""
        return {**evolve(self, results={}).to_dict(), "results": {name: patch_of(result) for name, result in self.results.items()}}

    def done(self) -> tuple[StageResult, ...]:
        """Results of the stages that succeeded, in the order of the plan."""
        found = (self.results.get(name) for name in self.stages)
        return tuple(result for result in found if result is not None and result.status is StageStatus.SUCCEEDED)

    def having(self, result: StageResult) -> RunState:
        """This state with one more result, or a newer one."""
        return evolve(self, results={**self.results, result.stage: result})

    def next_attempt(self, stage: str) -> int:
        """The number of the stage's next attempt, from 1 and across resumptions."""
        return self.results[stage].attempt + 1 if stage in self.results else 1

    def report(self, tenant: str, run_id: str, *, interrupted: bool = False) -> RunReport:
        """The run as a person is shown it; stages that have not begun are pending."""
        return RunReport(
            pipeline=self.pipeline,
            tenant=tenant,
            run_id=run_id,
            status=PipelineStatus.INTERRUPTED if interrupted else self.status,
            stages=tuple(self._shown(name, interrupted) for name in self.stages),
            started=self.started,
            ended=self.ended,
            error=self.error,
        )

    def _shown(self, name: str, interrupted: bool) -> StageResult:  # noqa: FBT001  a private step of report
        result = self.results.get(name) or StageResult(name, StageStatus.PENDING, attempt=0)
        if interrupted and result.status is StageStatus.RUNNING:
            return evolve(result, status=StageStatus.FAILED, error="interrupted: the process that ran it has ended")
        return result


def kept_of(result: StageResult) -> StageResult:
    """What the journal keeps of a result. What was logged is in the tracker; and a failed attempt leaves nothing but its error, so that
    the next attempt's result, merged over it, is complete.
    """  # noqa: D205  one thought
    kept = evolve(result, history=(), logged={}, looked_back=False)
    if result.status in {StageStatus.SUCCEEDED, StageStatus.HELD}:
        return kept
    return evolve(kept, outputs={}, metrics={}, params={})


def patch_of(result: StageResult) -> dict[str, Any]:
    """A result, of which the journal keeps all, as plain values.

    Its mappings become lists of pairs: a merge patch replaces a list, but mixes a mapping with that of the attempt before. JSON has
    no NaN, so such a metric goes as text.
    """
    patch = result.to_dict()
    del patch["history"], patch["logged"], patch["looked_back"]
    patch["metrics"] = {name: value if math.isfinite(value) else str(value) for name, value in result.metrics.items()}
    return patch | {name: [list(pair) for pair in patch[name].items()] for name in _MAPPINGS}


def result_of(patch: Mapping[str, Any]) -> StageResult:
    """What ``patch_of`` made plain; raises ``ValueError``."""
    plain = {**patch, **{name: dict(patch.get(name, ())) for name in _MAPPINGS}}
    return StageResult.from_dict({**plain, "metrics": {name: float(value) for name, value in plain["metrics"].items()}})


def journal_of(pipeline: str, run_id: str) -> str:
    """The journal of a run, and the name of its lease."""
    return f"runs/{pipeline}/{run_id}"


def effect_key(pipeline: str, run_id: str, stage: str) -> str:
    """What names the effects of a stage, the same for every attempt; with an empty stage, what those of the whole run begin with."""
    return f"{pipeline}/{run_id}/{stage}"
