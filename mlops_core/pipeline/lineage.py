"""What a model of a run was made of, told from the results of the stages before it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlops_core.records import LineageLink, digest_of

if TYPE_CHECKING:
    from mlops_core.records import ArtifactRef, StageResult, StageTask

__all__ = ["parents_of"]


def parents_of(task: StageTask, model: ArtifactRef) -> list[LineageLink]:
    """Links to the run, to the values of the stages before the one that made the model, and to the params that were logged up to there.

    The registry adds the code and the environment.
    """
    before, maker = _up_to(task.earlier, model)
    data = [LineageLink("data", f"{one.stage}.{name}", ref.sha256) for one in before for name, ref in one.outputs.items()]
    params = {one.stage: dict(one.params) for one in [*before, *maker] if one.params}
    found = [LineageLink("run", f"{task.config.pipeline}/{task.run_id}"), *data]
    return [*found, LineageLink("params", ", ".join(params), digest_of(params))] if params else found


def _up_to(earlier: tuple[StageResult, ...], model: ArtifactRef) -> tuple[list[StageResult], list[StageResult]]:
    """The stages before the last one that answered the model, and that one; of a given model all, and none."""
    makers = [index for index, one in enumerate(earlier) if any(ref.sha256 == model.sha256 for ref in one.outputs.values())]
    index = makers[-1] if makers else len(earlier)
    return list(earlier[:index]), list(earlier[index : index + 1])
