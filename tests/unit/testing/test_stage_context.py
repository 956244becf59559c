from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from mlops_core.records import ArtifactRef
from mlops_core.testing.clock import FakeClock
from mlops_core.testing.stage_context import RecordingContext

if TYPE_CHECKING:
    from pathlib import Path

    from mlops_core.roles import StageContext


def test_it_is_a_stage_context_that_keeps_what_is_reported(tmp_path: Path) -> None:
    ref, clock = ArtifactRef("0" * 64, 1, "json", "data"), FakeClock()
    kept = RecordingContext(root=tmp_path, clock=clock, given={"data": ref}, earlier={"roc_auc": 0.7})
    context: StageContext = kept
    context.progress(1, 2, "half")
    context.log_params({"depth": 3})
    context.log_metrics({"loss": 2}, step=1)
    context.log_metrics({"loss": 1}, step=2)
    context.log_artifact("plot", tmp_path / "plot.png")
    clock.advance(2.5)
    assert (kept.params, kept.measured, kept.artifacts) == ({"depth": 3}, {"loss": 1.0}, {"plot": tmp_path / "plot.png"})
    assert kept.reports == [(1, 2, "half")]
    assert (context.outputs(), context.metrics()) == ({"data": ref}, {"roc_auc": 0.7})
    assert context.elapsed() == timedelta(seconds=2.5)


def test_two_contexts_draw_the_same_numbers(tmp_path: Path) -> None:
    first, second = (RecordingContext(root=tmp_path).rng.random(3).tolist() for _ in range(2))
    assert first == second
