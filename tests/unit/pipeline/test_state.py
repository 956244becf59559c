import math
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops_core.exceptions import PipelineError
from mlops_core.journal import merged
from mlops_core.pipeline.state import RunState, journal_of, kept_of, patch_of
from mlops_core.records import ArtifactRef, Blob, File, Metric, PipelineStatus, StageResult, StageStatus

AT = datetime(2024, 1, 1, tzinfo=UTC)
REF = ArtifactRef("ab" * 32, 3, "json", "data", (File("data.json", Blob("ab" * 32, 3)),))
STATUSES = st.sampled_from(list(StageStatus))
RESULTS = st.builds(
    StageResult,
    stage=st.sampled_from(["collect", "train"]),
    status=STATUSES,
    outputs=st.dictionaries(st.sampled_from(["data", "model"]), st.just(REF), max_size=2),
    seconds=st.floats(0, 10),
    attempt=st.integers(0, 5),
    error=st.none() | st.text(max_size=5),
    metrics=st.dictionaries(st.sampled_from(["rows", "loss"]), st.floats(allow_nan=False), max_size=2),
    params=st.dictionaries(st.sampled_from(["depth"]), st.text(max_size=3), max_size=1),
    summary=st.text(max_size=5),
    history=st.just((Metric("rows", 1.0, 0, AT),)),
    logged=st.just({"plot": REF}),
)


def state(**fields: Any) -> RunState:
    return RunState("tickets", "ticket_classifier", ("collect", "train"), "owner", AT, **fields)


@given(st.lists(RESULTS))
def test_entries_merged_one_by_one_are_the_state_in_memory(results: list[StageResult]) -> None:
    """What another process reads from the journal is what the runner knows, whatever happened in whichever order."""
    known, journaled = state(), state().patch()
    for result in results:
        known = known.having(kept_of(result))
        journaled = merged(journaled, {"results": {result.stage: patch_of(kept_of(result))}})
        assert RunState.read(journaled, "r") == known


def test_a_failed_attempt_leaves_nothing_but_its_error() -> None:
    failed = StageResult("train", StageStatus.FAILED, {"model": REF}, error="no", metrics={"loss": 1.0}, params={"depth": "3"})
    assert kept_of(failed) == StageResult("train", StageStatus.FAILED, error="no")


def test_a_metric_that_json_cannot_hold_survives() -> None:
    result = StageResult("train", StageStatus.SUCCEEDED, metrics={"loss": math.nan, "best": -math.inf})
    told = RunState.read(merged(state().patch(), {"results": {"train": patch_of(result)}}), "r").results["train"]
    assert math.isnan(told.metrics["loss"])
    assert told.metrics["best"] == -math.inf


def test_a_report_shows_every_stage() -> None:
    running = state().having(StageResult("collect", StageStatus.RUNNING, attempt=2))
    report = running.report("acme", "run-1")
    assert [(one.stage, one.status, one.attempt) for one in report.stages] == [
        ("collect", StageStatus.RUNNING, 2),
        ("train", StageStatus.PENDING, 0),
    ]
    assert (report.status, report.tenant, report.run_id) == (PipelineStatus.RUNNING, "acme", "run-1")


def test_an_interrupted_run_has_no_running_stage() -> None:
    running = state().having(StageResult("collect", StageStatus.RUNNING))
    report = running.report("acme", "run-1", interrupted=True)
    assert report.status is PipelineStatus.INTERRUPTED
    assert report.stages[0].status is StageStatus.FAILED
    assert report.stages[0].error == "interrupted: the process that ran it has ended"


def test_done_and_the_next_attempt() -> None:
    train = StageResult("train", StageStatus.SUCCEEDED, attempt=3)
    known = state().having(train).having(StageResult("collect", StageStatus.SKIPPED))
    assert known.done() == (train,)
    assert (known.next_attempt("train"), known.next_attempt("deploy")) == (4, 1)


@pytest.mark.parametrize(
    ("journaled", "said"),
    [
        ({"format": 2}, "a newer release wrote it"),
        ({"pipeline": "tickets"}, "its journal holds no run"),
        ({**state().patch(), "x": 1}, "no run"),
    ],
)
def test_what_is_no_run_of_this_release_is_refused(journaled: dict[str, Any], said: str) -> None:
    with pytest.raises(PipelineError, match=said):
        RunState.read(journaled, "run-1")


def test_the_journal_names_pipeline_and_run() -> None:
    assert journal_of("tickets", "run-1") == "runs/tickets/run-1"
