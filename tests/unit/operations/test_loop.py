"""The control loop: one works, the others stand by, and no pass stops another."""

import logging
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from mlops_core.exceptions import ConfigError, VersioningError
from mlops_core.journal import Journal
from mlops_core.operations import ControlLoop, Pass, loop_status
from mlops_core.stack import Stack
from mlops_core.testing.clock import FakeClock

SECOND = timedelta(seconds=1)
SOON = 30.0


class Counted:
    """A pass that counts how often it ran."""

    def __init__(self) -> None:
        self.runs = 0
        self.ran = threading.Event()

    def __call__(self) -> None:
        self.runs += 1
        self.ran.set()


def broken() -> None:
    raise ArithmeticError("a bug")


def test_passes_run_when_they_are_due(stack: Stack, clock: FakeClock) -> None:
    often, seldom = Counted(), Counted()
    loop = ControlLoop(stack, [Pass("often", often, SECOND)])
    loop.register("seldom", seldom, 10 * SECOND)
    for _ in range(11):
        assert loop.turn()
        clock.advance(1)
    assert (often.runs, seldom.runs) == (11, 2)
    loop.release()


@pytest.mark.parametrize(("name", "every"), [("taken", SECOND), ("free", timedelta(0)), ("free", -SECOND)])
def test_a_pass_that_cannot_be_registered_is_refused(stack: Stack, name: str, every: timedelta) -> None:
    loop = ControlLoop(stack, [Pass("taken", broken, SECOND)])
    with pytest.raises(ConfigError, match=f"operations: pass '{name}' cannot run every"):
        loop.register(name, broken, every)


def test_a_pass_that_raises_is_named_and_stops_no_other(stack: Stack, caplog: pytest.LogCaptureFixture) -> None:
    good = Counted()
    loop = ControlLoop(stack, [Pass("bad", broken, SECOND), Pass("good", good, SECOND)])
    assert loop.turn()
    assert good.runs == 1
    assert [(one.name, one.error, one.runs) for one in loop.status().passes] == [("bad", "ArithmeticError: a bug", 1), ("good", "", 1)]
    assert "operations: pass bad failed: ArithmeticError: a bug" in caplog.text


def test_a_second_loop_stands_by_and_takes_over_when_the_first_ends(stack: Stack) -> None:
    first, second = (ControlLoop(stack, [Pass("count", counted, SECOND)]) for counted in (Counted(), Counted()))
    assert (first.turn(), second.turn(), second.holds) == (True, False, False)
    first.release()
    first.release()
    assert (second.turn(), first.turn()) == (True, False)


def test_a_second_loop_takes_over_when_the_first_dies(stack: Stack, clock: FakeClock, caplog: pytest.LogCaptureFixture) -> None:
    first, second = ControlLoop(stack), ControlLoop(stack, ttl=5 * SECOND)
    assert first.turn()
    clock.advance(29)
    assert not second.turn()
    clock.advance(2)
    assert second.turn()
    assert (first.turn(), first.holds) == (False, False)
    assert "operations: another loop took over" in caplog.text


def test_a_pass_that_hangs_loses_the_lease(stack: Stack, clock: FakeClock) -> None:
    late = Counted()
    other = ControlLoop(stack)

    def hang() -> None:
        clock.advance(60)
        assert other.turn()

    loop = ControlLoop(stack, [Pass("hangs", hang, SECOND), Pass("late", late, SECOND)])
    assert not loop.turn()
    assert (late.runs, other.holds) == (0, True)


def test_a_pass_that_outlasts_its_loop_leaves_the_lease_to_the_next(stack: Stack) -> None:
    begun, go_on, late = threading.Event(), threading.Event(), Counted()

    def wait() -> None:
        begun.set()
        assert go_on.wait(SOON)

    loop, other = ControlLoop(stack, [Pass("waits", wait, SECOND), Pass("late", late, SECOND)]), ControlLoop(stack)
    loop.start()
    assert begun.wait(SOON)
    assert not other.turn()
    loop.close(0)
    assert other.turn()
    go_on.set()
    loop.close()
    assert (late.runs, loop.holds, other.turn()) == (0, False, True)


def test_an_outage_of_the_registry_is_outlived(
    stack: Stack, clock: FakeClock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    loop = ControlLoop(stack, [Pass("count", counted := Counted(), SECOND)])

    def away(*_: object) -> bool:
        raise VersioningError("registry: away")

    with monkeypatch.context() as outage:
        outage.setattr(type(stack.parts.registry), "lease", away)
        assert not loop.turn()
    assert "the registry does not answer, nothing is run: registry: away" in caplog.text
    assert loop.turn()
    assert counted.runs == 1
    with monkeypatch.context() as outage:
        outage.setattr(type(stack.parts.registry), "append", away)
        outage.setattr(type(stack.parts.registry), "lease", away)
        loop.release()
    assert "the change of the loop is not in the journal" in caplog.text
    assert "the lease is not released and passes by itself" in caplog.text


def test_the_journal_says_who_held_the_lease(stack: Stack) -> None:
    loop = ControlLoop(stack)
    loop.turn()
    loop.turn()
    loop.release()
    history = list(Journal(stack.parts.registry, stack.settings.tenant, "operations/loop").history())
    assert [(entry.kind, entry.change["owner"]) for entry in history] == [("taken", loop.owner), ("released", loop.owner)]


def test_a_status_that_cannot_be_written_is_said_once_a_turn(stack: Stack, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / ".mlops").write_text("in the way")
    assert ControlLoop(stack).turn()
    assert "operations: the loop's status cannot be written" in caplog.text


def in_foreground(loop: ControlLoop) -> Callable[[], None]:
    stop = threading.Event()
    thread = threading.Thread(target=loop.run, args=(stop,))
    thread.start()

    def end() -> None:
        stop.set()
        thread.join(SOON)

    return end


def in_thread(loop: ControlLoop) -> Callable[[], None]:
    loop.start()
    loop.start()
    return loop.close


@pytest.mark.parametrize("run", [in_foreground, in_thread])
def test_runs_until_it_is_stopped_and_gives_the_lease_back(
    stack: Stack, run: Callable[[ControlLoop], Callable[[], None]], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    loop = ControlLoop(stack, [Pass("count", counted := Counted(), SECOND)])
    end = run(loop)
    assert counted.ran.wait(SOON)
    assert loop_status(stack).running
    end()
    assert not loop_status(stack).running
    assert caplog.records == []


def test_closing_what_never_ran_is_allowed(stack: Stack) -> None:
    ControlLoop(stack).close()
