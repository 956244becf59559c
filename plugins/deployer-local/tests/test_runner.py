"""Queues, joined requests and deadlines of one version's threads."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops_deployer_local.runner import DeadlineError, Job, OverloadError, Pace, Runner

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    Columns = Mapping[str, NDArray[Any]]


def doubled(columns: Columns) -> Columns:
    """Twice the input; a row of -1 is too much for all of its prediction."""
    if any((values == -1).any() for values in columns.values() if values.dtype.kind in "if"):
        raise ValueError("one of these rows is bad")
    return {name: np.array([2 * value for value in values.tolist()]) for name, values in columns.items()}


class Held:
    """A model that answers once it is let go; ``begun`` counts its calls, ``sizes`` their rows."""

    def __init__(self, then: Callable[[Columns], Columns] = doubled) -> None:
        self.then, self.sizes = then, list[int]()
        self.begun, self.go = threading.Semaphore(0), threading.Event()

    def __call__(self, columns: Columns) -> Columns:
        self.sizes.append(len(next(iter(columns.values()))))
        self.begun.release()
        assert self.go.wait(60)
        return self.then(columns)


async def end_of(runner: Runner, columns: Columns, size: int = 0) -> Any:
    """What a request comes to: outputs as lists, or the error."""
    return await submitted(runner, columns, size)[1]


def submitted(runner: Runner, columns: Columns, size: int = 0) -> tuple[Job, asyncio.Future[Any]]:
    ended = asyncio.get_running_loop().create_future()
    runner.check(size)
    job = runner.submit(
        columns, lambda outputs, error: ended.set_result(error or {name: one.tolist() for name, one in (outputs or {}).items()}), size
    )
    return job, ended


async def began(model: Held) -> None:
    assert await asyncio.to_thread(model.begun.acquire, timeout=60)


def is_stuck(runner: Runner) -> bool:
    return runner.stuck


def x(*values: float) -> Columns:
    return {"x": np.array(values)}


REQUESTS = st.lists(
    st.one_of(
        st.lists(st.integers(-1, 9), min_size=1, max_size=4).map(lambda values: {"x": np.array(values, dtype=np.float64)}),
        st.lists(st.integers(-1, 9), min_size=1, max_size=4).map(lambda values: {"x": np.array(values)}),
        st.lists(st.text(max_size=2), min_size=1, max_size=3).map(lambda values: {"x": np.array(values, dtype=object)}),
        st.integers(1, 3).map(lambda rows: {"x": np.ones((rows, 2)), "y": np.zeros(rows)}),
    ),
    min_size=1,
    max_size=12,
)


@settings(deadline=None, max_examples=60)
@given(requests=REQUESTS, batch=st.integers(2, 6), threads=st.integers(1, 2), order=st.randoms(use_true_random=False))
def test_joined_requests_are_answered_as_they_would_be_alone(requests: Sequence[Columns], batch: int, threads: int, order: Any) -> None:
    async def answers(pace: Pace, model: Callable[[Columns], Columns]) -> list[Any]:
        runner = Runner("m", model, pace)
        asked = [asyncio.ensure_future(end_of(runner, one)) for one in requests]
        await asyncio.sleep(0)
        if isinstance(model, Held):
            model.go.set()
        found = await asyncio.gather(*asked)
        runner.close()
        assert not runner.busy
        return [str(one) if isinstance(one, Exception) else one for one in found]

    requests = list(requests)
    order.shuffle(requests)
    assert asyncio.run(answers(Pace(threads, batch), Held())) == asyncio.run(answers(Pace(), doubled))


def test_what_waits_while_a_version_is_busy_is_one_prediction() -> None:
    async def act() -> None:
        model = Held()
        runner = Runner("m", model, Pace(batch=3))
        first = asyncio.ensure_future(end_of(runner, x(1)))
        await began(model)
        others = [asyncio.ensure_future(end_of(runner, x(*values))) for values in ((2, 3), (4,), (5,), (6,))]
        await asyncio.sleep(0)
        model.go.set()
        assert await first == {"x": [2]}
        assert await asyncio.gather(*others) == [{"x": [4, 6]}, {"x": [8]}, {"x": [10]}, {"x": [12]}]
        assert model.sizes == [1, 4, 1], "nobody waits for others to come: the first went alone, and no more than three were joined"
        runner.close()

    asyncio.run(act())


def test_a_bad_request_fails_nobody_it_was_joined_with() -> None:
    async def act() -> None:
        model = Held()
        runner = Runner("m", model, Pace(batch=9))
        first = asyncio.ensure_future(end_of(runner, x(1)))
        await began(model)
        others = [asyncio.ensure_future(end_of(runner, x(value))) for value in (2, -1, 3)]
        await asyncio.sleep(0)
        model.go.set()
        await first
        good, bad, fine = await asyncio.gather(*others)
        assert (good, str(bad), fine) == ({"x": [4]}, "one of these rows is bad", {"x": [6]})
        runner.close()

    asyncio.run(act())


def test_what_is_late_is_told_and_what_waits_behind_it_is_not_begun() -> None:
    async def act() -> None:
        model = Held()
        runner = Runner("m", model, Pace(deadline=0.2))
        hung, waiting = await asyncio.gather(end_of(runner, x(1)), end_of(runner, x(2)))
        assert (type(hung), type(waiting)) == (DeadlineError, DeadlineError)
        assert is_stuck(runner)
        assert not runner.busy
        with pytest.raises(OverloadError, match="busy with predictions that take too long"):
            await end_of(runner, x(3))
        model.go.set()
        while is_stuck(runner):  # noqa: ASYNC110  it ends in a thread that knows of no event
            await asyncio.sleep(0.01)
        assert await end_of(runner, x(4)) == {"x": [8]}, "it is let in again once the thread is back"
        assert model.sizes == [1, 1]
        runner.close()

    asyncio.run(act())


def test_what_a_client_leaves_ends_if_it_has_begun_and_else_never_begins() -> None:
    async def act() -> None:
        model = Held()
        runner = Runner("m", model, Pace(deadline=60, backlog=2))
        begun, end = submitted(runner, x(1))
        await began(model)
        left = [submitted(runner, x(2))]
        runner.leave(left[0][0])
        left.append(submitted(runner, x(3)))
        runner.leave(left[1][0])
        assert [(job.columns, job.told) for job, _ in left] == [(None, None)] * 2, "they hold no rows and no place while their turn comes"
        runner.leave(begun)
        assert not runner.stuck, "nothing is past the deadline"
        last = asyncio.ensure_future(end_of(runner, x(7)))
        await asyncio.sleep(0)
        model.go.set()
        assert (await end, await last) == ({"x": [2]}, {"x": [14]})
        assert [nothing.done() for _, nothing in left] == [False, False]
        assert (model.sizes, runner.busy) == ([1, 1], False)
        runner.leave(begun)
        runner.close()

    asyncio.run(act())


def test_one_that_hangs_after_those_it_was_joined_with_ended_is_noticed() -> None:
    async def act() -> None:
        release = threading.Event()

        def model(columns: Columns) -> Columns:
            if len(columns["x"]) == 1 and columns["x"][0] == 9:
                assert release.wait(60)
            if len(columns["x"]) > 1:
                raise ValueError("not together")
            return doubled(columns)

        held = Held(model)
        runner = Runner("m", held, Pace(batch=8, deadline=1))
        asked = [asyncio.ensure_future(end_of(runner, x(value))) for value in (0, 1, 9)]
        await asyncio.sleep(0)
        held.go.set()
        assert type((await asyncio.gather(*asked))[-1]) is DeadlineError
        assert is_stuck(runner)
        release.set()
        while is_stuck(runner):  # noqa: ASYNC110  it ends in a thread that knows of no event
            await asyncio.sleep(0.01)
        runner.close()

    asyncio.run(act())


def test_what_waits_is_bounded_in_bytes_too_but_one_is_always_let_in() -> None:
    async def act() -> None:
        model = Held()
        runner = Runner("m", model, Pace(room=100))
        asked = [asyncio.ensure_future(end_of(runner, x(1), 1000))]
        await began(model)
        with pytest.raises(OverloadError, match="requests of 1000 bytes wait already"):
            runner.check(1)
        model.go.set()
        assert await asked[0] == {"x": [2]}
        asked = [asyncio.ensure_future(end_of(runner, x(1), 50)) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(OverloadError, match="requests of 100 bytes wait already"):
            runner.check(1)
        assert await asyncio.gather(*asked) == [{"x": [2]}] * 2
        runner.check(100)
        runner.close()

    asyncio.run(act())


def test_what_is_given_up_and_has_not_begun_holds_no_rows_and_no_room() -> None:
    async def act() -> None:
        model = Held()
        runner = Runner("m", model, Pace(deadline=0.2, backlog=2, room=100))
        running, _ = submitted(runner, x(1), 60)
        await began(model)
        waiting, end = submitted(runner, x(2), 40)
        assert type(await end) is DeadlineError
        assert (running.held, waiting.held, waiting.columns, waiting.told) == (True, False, None, None)
        model.go.set()
        runner.close()

    asyncio.run(act())


def test_no_more_wait_than_there_is_room_for() -> None:
    async def act() -> None:
        model = Held()
        runner = Runner("m", model, Pace(backlog=3))
        asked = [asyncio.ensure_future(end_of(runner, x(value))) for value in (1, 2, 3)]
        await asyncio.sleep(0)
        with pytest.raises(OverloadError, match="3 requests wait already"):
            await end_of(runner, x(4))
        model.go.set()
        assert await asyncio.gather(*asked) == [{"x": [2]}, {"x": [4]}, {"x": [6]}]
        assert await end_of(runner, x(5)) == {"x": [10]}
        runner.close()

    asyncio.run(act())


def test_an_answer_is_not_held_back_by_what_hangs_behind_it() -> None:
    async def act() -> None:
        release = threading.Event()

        def model(columns: Columns) -> Columns:
            if columns["x"][0] == 9:
                assert release.wait(60)
            return doubled(columns)

        runner = Runner("m", model, Pace())
        quick = [asyncio.ensure_future(end_of(runner, x(value))) for value in (1, 2)]
        slow = asyncio.ensure_future(end_of(runner, x(9)))
        assert await asyncio.wait_for(asyncio.gather(*quick), 30) == [{"x": [2]}, {"x": [4]}]
        assert not slow.done()
        release.set()
        assert await slow == {"x": [18]}
        runner.close()

    asyncio.run(act())


def test_whatever_a_model_raises_its_thread_goes_on() -> None:
    async def act() -> None:
        def leave(columns: Columns) -> Columns:
            if (columns["x"] == 1).any():
                raise SystemExit("out")
            return doubled(columns)

        model = Held(leave)
        runner = Runner("m", model, Pace(batch=4))
        asked = [asyncio.ensure_future(end_of(runner, x(value))) for value in (1, 2, 1, 3)]
        await asyncio.sleep(0)
        model.go.set()
        first, second, third, fourth = await asyncio.gather(*asked)
        assert (type(first), second, type(third), fourth) == (SystemExit, {"x": [4]}, SystemExit, {"x": [6]})
        runner.close()

    asyncio.run(act())


def test_a_runner_that_is_closed_leaves_no_thread() -> None:
    async def act() -> list[threading.Thread]:
        runner = Runner("gone", doubled, Pace(threads=3, batch=2))
        await end_of(runner, x(1))
        runner.close()
        return [thread for thread in threading.enumerate() if thread.name.startswith("gone-")]

    for thread in asyncio.run(act()):
        thread.join(30)
        assert not thread.is_alive()
