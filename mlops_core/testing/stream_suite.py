"""What every test of a stream must do: derive from ``StreamTestSuite`` in a test, give the stream test, and pytest runs the rest."""

from __future__ import annotations

import io
import math
from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Final

import attrs
import numpy as np
import pytest

from mlops_core.exceptions import DriftDetectionError
from mlops_core.roles import StreamTest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.random import Generator
    from numpy.typing import NDArray

__all__ = ["StreamTestSuite"]

_SEED: Final = 2013
_STREAMS: Final = 20
_BEFORE: Final = 1000  # values ahead of a change
_BAD: Final = (math.nan, math.inf, -math.inf, "1", b"1", "two\nlines", None, 1j, [1.0], np.zeros((2, 2)), 10**400, 10**5000)


class StreamTestSuite:
    """Conformance of one test of a stream. Override ``stream_test``, and ``steady`` and ``changed`` where it takes other than numbers.

    ``run_length`` values must pass on average between false alarms, in ``false_alarm_values`` steady values, divided into 20 streams: fewer
    make the suite quicker and less strict. A change after 1,000 values must be found within ``longest_delay`` more, in 19 of 20 streams.
    """

    run_length: ClassVar[int] = 10_000
    false_alarm_values: ClassVar[int] = 200_000
    longest_delay: ClassVar[int] = 200

    @abstractmethod
    def stream_test(self) -> StreamTest:
        """A new instance with its defaults."""

    def steady(self, rng: Generator, length: int) -> NDArray[Any]:
        """Values without a change; by default standard normal ones."""
        return rng.normal(size=length)

    def changed(self, rng: Generator, length: int) -> NDArray[Any]:
        """Values after a change that must be found; by default normal ones that are one standard deviation higher."""
        return rng.normal(1.0, size=length)

    def test_declares_itself(self) -> None:
        """The contract stands in the class's own body, and every option explains itself."""
        kind: Any = type(self.stream_test())
        assert issubclass(kind, StreamTest)
        assert vars(kind).get("contract") == 1
        assert [one.name for one in attrs.fields(kind) if one.init and not one.metadata.get("help")] == []

    def test_equal_streams_give_equal_signals(self) -> None:
        """Nothing but the values decides: no clock, no chance, no other instance."""
        values = self._with_changes()
        first, again = (self._signals(self.stream_test(), values) for _ in range(2))
        assert first == again

    def test_states_are_independent(self) -> None:
        """Two streams that one instance watches in turn do not see each other."""
        values = self._with_changes()
        other = values[::-1]
        test = self.stream_test()
        left, right = test.start(), test.start()
        seen: list[tuple[bool, bool]] = []
        for one, two in zip(values, other, strict=True):
            left, first = test.update(left, one)
            right, second = test.update(right, two)
            seen.append((first, second))
        assert seen == list(zip(self._signals(self.stream_test(), values), self._signals(self.stream_test(), other), strict=True))

    @pytest.mark.parametrize("cut", [0, 1, 2, 3, 29, 30, 31, 32, 33, 64, 500, 1000, 1001, 1024, 1050, 1999])
    def test_a_restored_state_goes_on_as_the_other(self, cut: int) -> None:
        """A dump holds arrays without Python objects; what is loaded from it gives the same signals and the same dump at the end."""
        test, again = self.stream_test(), self.stream_test()
        values = self._with_changes()
        state = test.start()
        for value in values[:cut]:
            state, _ = test.update(state, value)
        dumped = test.dump(state)
        assert {array.dtype.kind for array in dumped.values()} <= set("biuf")
        went_on, signals = self._run(test, state, values[cut:])  # before the dump is stored: it must not follow the state
        stored = io.BytesIO()
        np.savez(stored, allow_pickle=False, **dumped)
        stored.seek(0)
        with np.load(stored, allow_pickle=False) as arrays:
            restored, again_signals = self._run(again, again.load(dict(arrays)), values[cut:])
        assert again_signals == signals
        self._same(test.dump(went_on), again.dump(restored))

    def test_a_constant_stream_has_no_change(self) -> None:
        """Whatever the constant."""
        value = float(self.steady(np.random.default_rng(_SEED), 1)[0])
        for constant in (0.0, 1.0, value):
            assert not any(self._signals(self.stream_test(), [constant] * 2000))

    def test_false_alarms_are_as_rare_as_it_says(self) -> None:
        """Steady streams give at most one signal in ``run_length`` values."""
        rng = np.random.default_rng(_SEED)
        length = self.false_alarm_values // _STREAMS
        alarms = sum(sum(self._signals(self.stream_test(), self.steady(rng, length))) for _ in range(_STREAMS))
        assert alarms * self.run_length <= length * _STREAMS

    def test_finds_a_change(self) -> None:
        """What it is for: soon after an abrupt change there is a signal."""
        rng = np.random.default_rng(_SEED)
        found = 0
        for _ in range(_STREAMS):
            test = self.stream_test()
            state, _before = self._run(test, test.start(), self.steady(rng, _BEFORE))
            found += any(self._run(test, state, self.changed(rng, self.longest_delay))[1])
        assert found >= _STREAMS - 1

    @pytest.mark.parametrize("bad", _BAD, ids=[str(place) for place in range(len(_BAD))])
    def test_a_bad_value_is_refused_and_changes_nothing(self, bad: Any) -> None:
        """One line, and the stream goes on as if it had not been given."""
        test = self.stream_test()
        values = self._with_changes()[:50]
        state, _ = self._run(test, test.start(), values)
        before = {name: array.copy() for name, array in test.dump(state).items()}
        with pytest.raises(DriftDetectionError) as refused:
            test.update(state, bad)
        assert "\n" not in str(refused.value)
        self._same(test.dump(state), before)

    def _with_changes(self) -> list[float]:
        rng = np.random.default_rng(_SEED)
        parts = self.steady(rng, _BEFORE), self.changed(rng, 400), self.steady(rng, 600)
        return [float(value) for part in parts for value in part]

    @staticmethod
    def _run(test: StreamTest, state: Any, values: Iterable[Any]) -> tuple[Any, list[bool]]:
        signals = []
        for value in values:
            state, signal = test.update(state, value)
            assert isinstance(signal, bool)
            signals.append(signal)
        return state, signals

    def _signals(self, test: StreamTest, values: Iterable[Any]) -> list[bool]:
        return self._run(test, test.start(), values)[1]

    @staticmethod
    def _same(one: Any, other: Any) -> None:
        assert set(one) == set(other)
        for name, array in one.items():
            np.testing.assert_array_equal(array, other[name])
