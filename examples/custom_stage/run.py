"""Run the pipeline of this folder, then a stage that only Python knows."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops_core.mlops_pipeline import MLOpsPipeline, PipelineStage
from mlops_core.stack import locate

if TYPE_CHECKING:
    from mlops_core.roles import StageContext


class CustomPipelineStage(PipelineStage):
    """The specification's names, and one more."""

    CUSTOM_STAGE = "custom_stage"


def main(folder: Path) -> None:
    """Run and tell."""
    pipeline = MLOpsPipeline("ticket_classifier_pipeline", stack=locate(folder))

    @pipeline.stage(CustomPipelineStage.CUSTOM_STAGE)
    def typical_words(context: StageContext, training: Any, *, count: int = 3) -> dict[str, list[str]]:
        """The words that a team's tickets use and no other team's do."""
        context.log_params({"count": count})
        found = {}
        for team, words in training.items():
            others = {word for other, counted in training.items() if other != team for word in counted}
            own = sorted((word for word in words if word not in others), key=lambda word: (-words[word], word))
            found[team] = own[:count]
        return found

    stages = [stage for stage in pipeline.stages if stage != CustomPipelineStage.CUSTOM_STAGE]
    report = pipeline.run_pipeline(stages)
    for stage in report.stages:
        figures = ", ".join(f"{name}={value:g}" for name, value in stage.metrics.items())
        print(f"{stage.stage:<16} {stage.status:<10} {stage.error or stage.summary or figures}")
    if report.status != "succeeded":
        raise SystemExit(1)

    pipeline.run_stage(CustomPipelineStage.CUSTOM_STAGE)
    newest = pipeline.runs(limit=1)[0]
    for team, words in pipeline.output(CustomPipelineStage.CUSTOM_STAGE, newest.run_id).items():
        print(f"words of {team}: {', '.join(words)}")
    print(f"pipeline status: {pipeline.get_pipeline_status()['status']}")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
