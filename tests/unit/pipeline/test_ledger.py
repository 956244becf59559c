import subprocess
import sys
import threading
from datetime import timedelta
from pathlib import Path

import pytest

from mlops_core.exceptions import PipelineError
from mlops_core.pipeline.ledger import SNAPSHOT_EVERY, RunLedger, beginnings, read_run
from mlops_core.records import PipelineStatus, StageResult, StageStatus
from mlops_core.stack import Stack
from mlops_core.testing.clock import FakeClock
from mlops_core.testing.memory_registry import MemoryRegistry
from mlops_core.testing.stack import make_stack

HOLD = """
import sys
from pathlib import Path
from mlops_core.pipeline.presence import Presence

Presence(Path(sys.argv[1]) / ".mlops" / "locks", sys.argv[2], "acme/runs/tickets/run-1").show()
print("shown", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def stack(tmp_path: Path) -> Stack:
    return make_stack(tmp_path, registry=MemoryRegistry())


def ledger(stack: Stack, run_id: str = "run-1") -> RunLedger:
    return RunLedger(stack, "tickets", run_id)


def succeeded(stage: str, attempt: int = 1) -> StageResult:
    return StageResult(stage, StageStatus.SUCCEEDED, attempt=attempt)


def started(stack: Stack, *stages: str, run_id: str = "run-1") -> None:
    """A run that began and whose process is gone without a trace."""
    with ledger(stack, run_id) as book:
        book.start(stages, "ticket_classifier", {})


def test_every_transition_can_be_read_by_another(stack: Stack) -> None:
    with ledger(stack) as book:
        assert read_run(stack, "tickets", "run-1") is None
        book.start(("collect", "train"), "ticket_classifier", {})
        book.began("collect", 1)
        found = read_run(stack, "tickets", "run-1")
        assert found is not None
        assert found[0].results["collect"].status is StageStatus.RUNNING
        assert found[1] is False, "somebody holds the lease"
        book.ended(succeeded("collect"))
        book.finish(PipelineStatus.SUCCEEDED, None)
    found = read_run(stack, "tickets", "run-1")
    assert found is not None
    assert (found[0].status, found[1]) == (PipelineStatus.SUCCEEDED, False)
    assert found[0] == book.known


def test_a_run_without_lease_that_says_it_runs_was_interrupted(stack: Stack) -> None:
    started(stack, "collect")
    found = read_run(stack, "tickets", "run-1")
    assert found is not None
    assert found[1] is True
    assert ledger(stack).__enter__() is not None, "asking leaves no lease behind"


def test_a_second_process_is_refused(stack: Stack) -> None:
    with ledger(stack), pytest.raises(PipelineError, match="run run-1 is being run by another process"), ledger(stack):
        pytest.fail("two hold one run")


def test_a_run_that_exists_is_not_started_again(stack: Stack) -> None:
    started(stack, "collect")
    with ledger(stack) as book, pytest.raises(PipelineError, match="run run-1 exists"):
        book.start(("collect",), "m", {})


def test_resuming_takes_over_and_the_former_owner_stops(stack: Stack) -> None:
    with ledger(stack) as former:
        former.start(("collect",), "m", {})
        stack.parts.registry.lease(stack.tenant, "runs/tickets/run-1", former.owner, timedelta(0))  # held up until it passed
        with ledger(stack) as book:
            book.resume()
            with pytest.raises(PipelineError, match="was taken over by another process"):
                former.began("collect", 1)
            book.began("collect", 1)
    assert book.known.owner == book.owner


def test_a_killed_owner_is_followed_without_waiting_for_its_lease(stack: Stack, tmp_path: Path) -> None:
    """The lease of the dead process still runs for a while, and still only one of several followers gets the run."""
    started(stack, "collect")
    with ledger(stack) as book:
        book.resume()
    dead = book.owner
    stack.parts.registry.lease(stack.tenant, "runs/tickets/run-1", dead, timedelta(hours=1))
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path), dead], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        with pytest.raises(PipelineError, match="another process"):
            ledger(stack).__enter__()
        alive = read_run(stack, "tickets", "run-1")
        holder.kill()
    interrupted = read_run(stack, "tickets", "run-1")
    assert alive is not None
    assert interrupted is not None
    assert (alive[1], interrupted[1]) == (False, True)

    took, barrier = list[RunLedger](), threading.Barrier(4)

    def follow() -> None:
        barrier.wait()
        try:
            took.append(ledger(stack).__enter__())
        except PipelineError:
            return

    threads = [threading.Thread(target=follow) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(took) == 1


def test_a_lease_that_was_lost_stops_the_run(stack: Stack) -> None:
    clock = FakeClock()
    with ledger(stack) as book:
        book.start(("collect",), "m", {})
        book._lease.clock = clock  # noqa: SLF001  a process that was stopped for longer than its lease
        clock.advance(10_000_000)
        with pytest.raises(PipelineError, match=r"run run-1: lease .* lost"):
            book.began("collect", 1)


def test_a_long_run_is_read_back_from_snapshots(stack: Stack) -> None:
    names = tuple(f"s{number}" for number in range(2 * SNAPSHOT_EVERY))
    with ledger(stack) as book:
        book.start(names, "m", {})
        for name in names:
            book.began(name, 1)
            book.ended(succeeded(name))
    found = read_run(stack, "tickets", "run-1")
    assert found is not None
    assert found[0] == book.known
    entries = stack.parts.registry.read(stack.tenant, "runs/tickets/run-1")
    assert [entry.position for entry in entries if entry.state is not None] == [1, *range(SNAPSHOT_EVERY, len(entries) + 1, SNAPSHOT_EVERY)]


def test_a_ledger_of_no_run_knows_nothing(stack: Stack) -> None:
    with ledger(stack) as book, pytest.raises(PipelineError, match="there is no run run-1"):
        book.resume()


def test_runs_of_one_pipeline_and_tenant_are_listed(stack: Stack) -> None:
    for number in range(3):
        started(stack, "collect", run_id=f"run-{number}")
    with ledger(stack, "run-9") as book:
        book.start(("collect",), "m", {}, single=True)
    assert [(name, single) for name, _, single in beginnings(stack, "tickets")] == [
        ("run-0", False),
        ("run-1", False),
        ("run-2", False),
        ("run-9", True),
    ]
    assert list(beginnings(stack, "other")) == []
    assert list(beginnings(stack.for_tenant("globex"), "tickets")) == []
