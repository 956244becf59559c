from typing import Any

import pytest
from attrs import define

from mlops_core.exceptions import PipelineError, VersioningError
from mlops_core.mlops_pipeline import MLOpsPipeline
from mlops_core.pipeline.context import RunContext
from mlops_core.records import Entry, NewEntry, PipelineStatus, RunFinished, RunStarted, StageFinished, StageStarted, StageStatus
from mlops_core.roles import Stage, StageContext
from mlops_core.stack import Stack
from mlops_core.testing.memory_registry import MemoryRegistry


@define(eq=False)
class Cautious(Stage):
    """Holds the run until it may go on."""

    contract = 1
    may: list[bool]

    def run(self, context: StageContext) -> Any:
        if not self.may:
            RunContext.of(context).held = "the rollout is paused - look at it"
        return len(self.may)


def test_observers_hear_every_transition(pipeline: MLOpsPipeline, stack: Stack) -> None:
    @pipeline.stage("training")
    def train() -> int:
        return 1

    report = pipeline.run_pipeline()
    events: list[Any] = stack.parts.events  # type: ignore[attr-defined]  # parts that were given keep what was emitted
    assert [type(one) for one in events] == [RunStarted, StageStarted, StageFinished, RunFinished]
    assert {(one.tenant, one.pipeline, one.run_id) for one in events} == {("acme", "tickets", report.run_id)}
    assert (events[0].stages, events[0].resumed) == (("training",), False)
    assert events[2].result.status is StageStatus.SUCCEEDED
    assert (events[3].status, events[3].error) == (PipelineStatus.SUCCEEDED, None)


def test_a_held_stage_stops_the_run_until_it_is_resumed(pipeline: MLOpsPipeline) -> None:
    stage = Cautious([])
    pipeline.add_stage("deployment", stage)

    @pipeline.stage("monitoring")
    def monitor(deployment: int) -> int:
        return deployment

    held = pipeline.run_pipeline()
    assert (held.status, held.error) == (PipelineStatus.HELD, "the rollout is paused - look at it")
    assert [one.status for one in held.stages] == [StageStatus.HELD, StageStatus.PENDING]
    assert pipeline.run_pipeline(resume=True).status is PipelineStatus.HELD

    stage.may.append(True)
    done = pipeline.run_pipeline(resume=True)
    assert done.status is PipelineStatus.SUCCEEDED
    assert [one.attempt for one in done.stages] == [3, 1]
    assert pipeline.output("monitoring") == 1


class Failing(MemoryRegistry):
    """Refuses entries of one kind."""

    contract = 1
    refused = ""

    def append(self, tenant: str, journal: str, expected: int, entry: NewEntry) -> Entry:
        if entry.kind == self.refused:
            raise VersioningError("registry: the disk is full")
        return super().append(tenant, journal, expected, entry)


@pytest.mark.parametrize("kind", ["started", "stage_started", "stage_succeeded", "finished"])
def test_a_registry_that_fails_is_one_error_and_the_run_can_be_resumed(build: Any, kind: str) -> None:
    registry = Failing()
    pipeline = MLOpsPipeline("tickets", stack=build(registry=registry))
    calls: list[int] = []

    @pipeline.stage("training")
    def train() -> int:
        calls.append(1)
        return 1

    registry.refused = kind
    with pytest.raises(PipelineError, match="the disk is full"):
        pipeline.run_pipeline()
    registry.refused = ""
    report = pipeline.run_pipeline(resume=True)
    assert report.status is PipelineStatus.SUCCEEDED
    assert len(calls) == (2 if kind == "stage_succeeded" else 1)
    assert len(pipeline.runs()) == 1


def test_a_resumed_run_says_so(pipeline: MLOpsPipeline) -> None:
    stage = Cautious([])
    pipeline.add_stage("deployment", stage)
    pipeline.run_pipeline()
    heard: list[Any] = []
    pipeline.run_pipeline(resume=True, listen=heard.append)
    assert isinstance(heard[0], RunStarted)
    assert heard[0].resumed
