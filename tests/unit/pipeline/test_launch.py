from datetime import UTC, datetime
from typing import Any

from mlops_core.pipeline.catalog import Catalog, Registered
from mlops_core.pipeline.launch import Launch, available
from mlops_core.pipeline.state import RunState
from mlops_core.records import ArtifactRef, PipelineStatus, StageResult, StageStatus
from mlops_core.stack import Stack


def ref(digest: str) -> ArtifactRef:
    return ArtifactRef(digest * 32, 1, "json", "x")


def test_outputs_answer_to_their_name_their_stage_and_both() -> None:
    results = {
        "split": StageResult("split", StageStatus.SUCCEEDED, {"train": ref("aa"), "test": ref("bb")}),
        "model": StageResult("model", StageStatus.SUCCEEDED, {"model": ref("cc")}),
        "again": StageResult("again", StageStatus.SUCCEEDED, {"model": ref("dd")}),
        "failed": StageResult("failed", StageStatus.FAILED),
    }
    at = datetime(2024, 1, 1, tzinfo=UTC)
    state = RunState("tickets", "m", tuple(results), "owner", at, inputs={"given": ref("ee")}, results=results)
    assert available(state) == {
        "given": ref("ee"),
        "train": ref("aa"),
        "test": ref("bb"),
        "split.train": ref("aa"),
        "split.test": ref("bb"),
        "model": ref("dd"),
        "model.model": ref("cc"),
        "again": ref("dd"),
        "again.model": ref("dd"),
    }


def launch(stack: Stack, **stages: Any) -> Launch:
    return Launch(stack, "tickets", Catalog(stack, {name: Registered(one) for name, one in stages.items()}))


def test_ids_of_runs_sort_by_time_and_are_unique(stack: Stack) -> None:
    ids = []
    for _ in range(20):
        ids.append(launch(stack, one=lambda: 1).start(None, None, None).run_id)
        stack.clock.sleep(1)
    assert ids == sorted(ids)
    assert ids[0].startswith("20240101T000000Z-")
    assert len({launch(stack, one=lambda: 1).start(None, None, None).run_id for _ in range(20)}) == 20


def test_the_model_is_the_pipelines_unless_it_is_named(stack: Stack) -> None:
    def tell(context: Any) -> str:
        return str(context.model)

    running = launch(stack, tell=tell)
    running.start(None, None, None)
    assert running.output("tell", None) == "tickets"


def test_a_cause_is_kept_where_the_stage_ran_here(stack: Stack) -> None:
    def fail() -> None:
        raise ValueError("no")

    running = launch(stack, fail=fail)
    assert running.start(None, None, None).status is PipelineStatus.FAILED
    assert isinstance(running.cause, ValueError)


def test_reports_of_no_run(stack: Stack) -> None:
    assert launch(stack).report(None) is None
    assert list(launch(stack).reports(None)) == []
