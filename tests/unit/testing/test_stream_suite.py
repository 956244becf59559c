"""The suite passes a sound test of a stream and finds what is wrong with others."""

from __future__ import annotations

import inspect
import random
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pytest
from attrs import define, field

from mlops_core.testing.stream_suite import StreamTestSuite
from mlops_drift_online.page_hinkley import PageHinkley, Sums

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from mlops_core.roles import StreamTest


@define
class Sound(PageHinkley):
    contract: ClassVar[int] = 1


@define
class TooEager(PageHinkley):
    contract: ClassVar[int] = 1
    threshold: float = field(default=2.0, metadata={"help": "Too low."})


@define
class Blind(PageHinkley):
    contract: ClassVar[int] = 1
    threshold: float = field(default=1e9, metadata={"help": "Too high."})


@define
class Chance(PageHinkley):
    contract: ClassVar[int] = 1

    def update(self, state: Sums, value: float) -> tuple[Sums, bool]:
        return state, random.random() < 0.5


@define
class Shared(PageHinkley):
    contract: ClassVar[int] = 1
    only: Any = field(factory=Sums, init=False)

    def start(self) -> Any:
        return self.only


@define
class Objects(PageHinkley):
    contract: ClassVar[int] = 1

    def dump(self, state: Sums) -> Mapping[str, NDArray[Any]]:
        return {"state": np.array([state, None], dtype=object)}


@define
class Forgets(PageHinkley):
    contract: ClassVar[int] = 1

    def load(self, arrays: Mapping[str, NDArray[Any]]) -> Sums:
        return Sums(count=int(arrays["count"]), mean=float(arrays["mean"]))


@define
class Nervous(PageHinkley):
    contract: ClassVar[int] = 1

    def update(self, state: Sums, value: float) -> tuple[Sums, bool]:
        state, found = super().update(state, value)
        return state, found or (state.count > 30 and state.squares == 0)


@define
class Credulous(PageHinkley):
    contract: ClassVar[int] = 1

    def update(self, state: Sums, value: Any) -> tuple[Sums, bool]:
        return super().update(state, float(value) if isinstance(value, str) else value)


@define
class Hasty(PageHinkley):
    contract: ClassVar[int] = 1

    def update(self, state: Sums, value: float) -> tuple[Sums, bool]:
        state.count += 1
        return super().update(state, value)


@define
class Inherits(PageHinkley):
    pass


@define
class Silent(PageHinkley):
    contract: ClassVar[int] = 1
    depth: int = 3


@define
class Counts(PageHinkley):
    contract: ClassVar[int] = 1

    def update(self, state: Sums, value: float) -> tuple[Sums, Any]:
        state, found = super().update(state, value)
        return state, int(found)


def failures(kind: type[StreamTest], only: str = "") -> set[str]:
    """Names of the checks that a stream test fails, of all or of those that contain ``only``."""

    class Suite(StreamTestSuite):
        false_alarm_values: ClassVar[int] = 40_000

        def stream_test(self) -> StreamTest:
            return kind()

    suite: Any = Suite()
    failed = set()
    for name, check in inspect.getmembers(suite, inspect.ismethod):
        if not name.startswith("test_") or only not in name:
            continue
        given = [mark.args[1] for mark in getattr(check, "pytestmark", [])]
        for arguments in [(one,) for one in given[0]] if given else [()]:
            try:
                check(*arguments)
            except (AssertionError, ValueError, pytest.fail.Exception):
                failed.add(name)
    return failed


@pytest.mark.parametrize(
    ("kind", "check"),
    [
        (TooEager, "test_false_alarms_are_as_rare_as_it_says"),
        (Blind, "test_finds_a_change"),
        (Chance, "test_equal_streams_give_equal_signals"),
        (Shared, "test_states_are_independent"),
        (Objects, "test_a_restored_state_goes_on_as_the_other"),
        (Forgets, "test_a_restored_state_goes_on_as_the_other"),
        (Nervous, "test_a_constant_stream_has_no_change"),
        (Credulous, "test_a_bad_value_is_refused_and_changes_nothing"),
        (Hasty, "test_a_bad_value_is_refused_and_changes_nothing"),
        (Inherits, "test_declares_itself"),
        (Silent, "test_declares_itself"),
        (Counts, "test_equal_streams_give_equal_signals"),
    ],
)
def test_a_test_with_one_mistake_is_found(kind: type[StreamTest], check: str) -> None:
    assert failures(kind, only=check) == {check}


def test_a_sound_test_passes() -> None:
    assert failures(Sound) == set()
