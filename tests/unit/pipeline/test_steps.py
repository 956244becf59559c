import signal
import threading
from concurrent.futures import Future
from typing import Any

import pytest

from mlops_core.exceptions import StageError, StageTimeoutError
from mlops_core.mlops_pipeline import MLOpsPipeline
from mlops_core.records import PipelineStatus, RunReport, StageFailed, StageResult, StageStatus, StageTask
from mlops_core.roles import Executor, StageContext
from mlops_core.stack import Stack


def statuses(report: RunReport) -> dict[str, str]:
    return {one.stage: one.status.value for one in report.stages}


def test_a_stage_is_tried_again_after_growing_pauses(pipeline: MLOpsPipeline, stack: Stack) -> None:
    attempts: list[float] = []

    @pipeline.stage("training", retries=3)
    def train() -> int:
        attempts.append(stack.clock.monotonic())
        if len(attempts) < 4:
            raise OSError("try again")
        return 1

    report = pipeline.run_pipeline()

    assert report.status is PipelineStatus.SUCCEEDED
    assert report.stages[0].attempt == 4
    assert attempts == [0, 1, 3, 7], "pauses of 1, 2 and 4 seconds"


def test_the_last_retry_is_final(pipeline: MLOpsPipeline) -> None:
    heard: list[Any] = []

    @pipeline.stage("training", retries=1)
    def train() -> int:
        raise OSError("never")

    report = pipeline.run_pipeline(listen=heard.append)
    failures = [one for one in heard if isinstance(one, StageFailed)]
    assert [(one.result.attempt, one.final) for one in failures] == [(1, False), (2, True)]
    assert report.error == "stage 'training' failed: OSError: never"


def test_a_pause_never_grows_beyond_a_minute(pipeline: MLOpsPipeline, stack: Stack) -> None:
    @pipeline.stage("training", retries=8)
    def train() -> int:
        raise OSError("never")

    pipeline.run_pipeline()
    assert stack.clock.monotonic() == 1 + 2 + 4 + 8 + 16 + 32 + 60 + 60


@pytest.fixture
def tolerant(pipeline: MLOpsPipeline) -> MLOpsPipeline:
    """A broken stage that others need, or could use."""

    @pipeline.stage("broken", on_failure="continue")
    def broken() -> int:
        raise ValueError("no")

    @pipeline.stage("needs")
    def needs(broken: int) -> int:
        return broken

    @pipeline.stage("needs_needs")
    def needs_needs(needs: int) -> int:
        return needs

    @pipeline.stage("could_use")
    def could_use(broken: int = 7) -> int:
        return broken

    return pipeline


def test_a_failure_that_is_allowed_skips_what_depends_on_it(tolerant: MLOpsPipeline) -> None:
    report = tolerant.run_pipeline()
    assert report.status is PipelineStatus.SUCCEEDED
    assert statuses(report) == {"broken": "failed", "needs": "skipped", "needs_needs": "skipped", "could_use": "succeeded"}
    assert report.stages[1].summary == "its input 'broken' comes from stage 'broken', which failed"
    assert report.stages[2].summary == "its input 'needs' comes from stage 'needs', which was skipped"
    assert tolerant.output("could_use") == 7


def test_when_decides_by_what_was_logged(pipeline: MLOpsPipeline) -> None:
    @pipeline.stage("training")
    def train(context: StageContext) -> None:
        context.log_metrics({"roc_auc": 0.6})
        context.log_metrics({"roc_auc": 0.7}, step=1)

    @pipeline.stage("yes", when="roc_auc >= 0.7")
    def yes() -> int:
        return 1

    @pipeline.stage("no", when="training.roc_auc > 0.7")
    def no() -> int:
        return 1

    @pipeline.stage("unknown", when="roc_acu > 0.7", on_failure="continue")
    def unknown() -> int:
        return 1

    report = pipeline.run_pipeline()
    assert statuses(report) == {"training": "succeeded", "yes": "succeeded", "no": "skipped", "unknown": "failed"}
    assert report.stages[2].summary == "its condition does not hold: training.roc_auc > 0.7"
    assert (report.stages[3].error or "").startswith("stage 'unknown' failed: when: no earlier stage logged the metric 'roc_acu'")


def test_an_input_that_was_never_made_fails_the_stage(pipeline: MLOpsPipeline) -> None:
    @pipeline.stage("collect")
    def collect() -> None:
        return None

    @pipeline.stage("train")
    def train(collect: Any) -> Any:
        return collect

    report = pipeline.run_pipeline()
    assert report.error == "stage 'train' failed: input 'collect': stage 'collect' answered no value 'collect'"


def test_no_stage_writes_into_the_value_of_another(pipeline: MLOpsPipeline) -> None:
    @pipeline.stage("collect")
    def collect() -> list[int]:
        return [1]

    @pipeline.stage("spoil")
    def spoil(collect: list[int]) -> int:
        collect.append(2)
        return len(collect)

    @pipeline.stage("train")
    def train(collect: list[int]) -> int:
        return len(collect)

    pipeline.run_pipeline()
    assert (pipeline.output("spoil"), pipeline.output("train"), pipeline.output("collect")) == (2, 1, [1])


class Timid(Executor):
    """Cannot do what it is asked."""

    contract = 1
    capabilities = frozenset({"kill"})
    closed = 0

    def submit(self, work: Any, task: StageTask) -> Any:
        if task.stage == "interrupted":
            raise KeyboardInterrupt
        raise StageTimeoutError(f"stage {task.stage!r}: not done after its timeout of {task.timeout:g} s")

    def close(self) -> None:
        self.closed += 1


def test_what_the_executor_raises_is_the_stages_failure(build: Any) -> None:
    pipeline = MLOpsPipeline("tickets", stack=build(executors={"timid": Timid()}, executor="timid"))

    @pipeline.stage("training", timeout="90s")
    def train() -> int:
        return 1

    report = pipeline.run_pipeline()
    assert report.error == "stage 'training': not done after its timeout of 90 s"
    assert report.stages[0].status is StageStatus.FAILED


def test_an_interrupt_ends_the_workers_and_leaves_a_run_to_resume(build: Any) -> None:
    executor = Timid()
    pipeline = MLOpsPipeline("tickets", stack=build(executors={"timid": executor}, executor="timid"))

    @pipeline.stage("interrupted")
    def interrupted() -> int:
        return 1

    with pytest.raises(KeyboardInterrupt):
        pipeline.run_pipeline()
    assert executor.closed == 1
    report = pipeline.get_pipeline_status()
    assert report.status is PipelineStatus.INTERRUPTED
    assert report.stages == (
        StageResult("interrupted", StageStatus.FAILED, attempt=1, error="interrupted: the process that ran it has ended"),
    )


class Interrupted(Executor):
    """Its thread receives the signal of Ctrl-C, and ends when the executor is closed."""

    contract = 1
    capabilities = frozenset({"kill"})

    def __init__(self) -> None:
        self.closed = threading.Event()

    def submit(self, work: Any, task: StageTask) -> Any:
        future = Future[StageResult]()
        threading.Thread(target=self.attend, args=(future,)).start()
        return future

    def attend(self, future: "Future[StageResult]") -> None:
        signal.pthread_kill(threading.get_ident(), signal.SIGINT)
        ended = self.closed.wait(60)
        future.set_exception(StageError("closed" if ended else "nobody closed it"))

    def close(self) -> None:
        self.closed.set()


def test_an_interrupt_that_another_thread_receives_ends_the_wait(build: Any) -> None:
    pipeline = MLOpsPipeline("tickets", stack=build(executors={"interrupted": Interrupted()}, executor="interrupted"))
    pipeline.add_stage("training", lambda: 1)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a process that began in the background ignores it
    try:
        with pytest.raises(KeyboardInterrupt):
            pipeline.run_pipeline()
    finally:
        signal.signal(signal.SIGINT, before)
    assert pipeline.get_pipeline_status().status is PipelineStatus.INTERRUPTED


class Late(Future[StageResult]):
    """Ends in a timeout of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.set_exception(TimeoutError("the cluster gave up"))


class Slow(Executor):
    """Answers with such a future."""

    contract = 1

    def submit(self, work: Any, task: StageTask) -> Any:
        return Late()


def test_a_timeout_that_the_future_ends_with_is_not_waited_for(build: Any) -> None:
    pipeline = MLOpsPipeline("tickets", stack=build(executors={"slow": Slow()}, executor="slow"))
    pipeline.add_stage("training", lambda: 1)
    with pytest.raises(TimeoutError, match="the cluster gave up"):
        pipeline.run_pipeline()
