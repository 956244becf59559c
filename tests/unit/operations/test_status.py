"""What any process can read about the control loop."""

import json
import os
from datetime import timedelta

from mlops_core.operations import ControlLoop, LoopStatus, Pass, loop_status
from mlops_core.operations.status import status_path
from mlops_core.stack import Stack
from mlops_core.testing.clock import FakeClock

SECOND = timedelta(seconds=1)


def nothing() -> None:
    """A pass with nothing to do."""


def test_a_project_without_a_loop_has_none(stack: Stack) -> None:
    assert loop_status(stack) == LoopStatus()
    assert not loop_status(stack).running


def test_a_loop_and_its_passes_are_seen(stack: Stack, clock: FakeClock) -> None:
    loop = ControlLoop(stack, [Pass("nothing", nothing, 5 * SECOND)])
    loop.turn()
    clock.advance(5)
    loop.turn()
    seen = loop_status(stack)
    assert (seen.running, seen.owner, seen.pid, seen.since, seen.seen) == (
        True,
        loop.owner,
        os.getpid(),
        clock.now() - 5 * SECOND,
        clock.now(),
    )
    assert [(one.name, one.every, one.runs, one.started) for one in seen.passes] == [("nothing", 5.0, 2, clock.now())]
    assert seen == loop.status()


def test_asking_takes_the_lease_from_nobody(stack: Stack) -> None:
    loop = ControlLoop(stack)
    loop_status(stack)
    assert loop.turn()
    loop_status(stack)
    assert loop.turn()


def test_a_dead_loop_is_not_running_but_what_it_did_is_known(stack: Stack, clock: FakeClock) -> None:
    loop = ControlLoop(stack, [Pass("nothing", nothing, SECOND)])
    loop.turn()
    clock.advance(60)
    seen = loop_status(stack)
    assert (seen.running, seen.owner, seen.passes[0].runs) == (False, loop.owner, 1)


def test_a_loop_on_another_machine_is_known_by_the_journal(stack: Stack) -> None:
    loop = ControlLoop(stack, [Pass("nothing", nothing, SECOND)])
    loop.turn()
    status_path(stack.workdir).unlink()
    seen = loop_status(stack)
    assert (seen.running, seen.owner, seen.passes) == (True, loop.owner, ())


def test_the_file_of_an_earlier_or_newer_loop_is_passed_over(stack: Stack) -> None:
    first, second = ControlLoop(stack, [Pass("nothing", nothing, SECOND)]), ControlLoop(stack)
    first.turn()
    of_first = status_path(stack.workdir).read_text()
    first.release()
    second.turn()
    status_path(stack.workdir).write_text(of_first)
    assert (loop_status(stack).owner, loop_status(stack).passes) == (second.owner, ())
    status_path(stack.workdir).write_text(json.dumps({"version": 99, "shape": "unknown"}))
    assert loop_status(stack).owner == second.owner
