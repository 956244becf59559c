"""``adwin``, ``page_hinkley`` and ``ddm``: conformance, and their signals against river's and against plain formulas."""

from __future__ import annotations

import doctest
import importlib
import math
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from river import drift
from river.drift.binary import DDM

from mlops_core.exceptions import DriftDetectionError
from mlops_core.testing.stream_suite import StreamTestSuite
from mlops_drift_online import mlops_drift_test
from mlops_drift_online.adwin import AdaptiveWindow
from mlops_drift_online.ddm import ErrorRate
from mlops_drift_online.page_hinkley import PageHinkley
from mlops_drift_online.window import Window

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.random import Generator
    from numpy.typing import NDArray

    from mlops_core.roles import StreamTest

numbers = st.floats(-1e100, 1e100)
bits = st.integers(0, 1).map(float)


def signals(test: StreamTest, values: Iterable[Any]) -> list[int]:
    """Positions of the values at which there is a signal."""
    state, found = test.start(), []
    for i, value in enumerate(values):
        state, signal = test.update(state, value)
        found += [i] if signal else []
    return found


def river_signals(detector: Any, values: Iterable[float]) -> list[int]:
    found = []
    for i, value in enumerate(values):
        detector.update(value)
        found += [i] if detector.drift_detected else []
    return found


def errors(rng: Generator, rate: float, length: int) -> NDArray[np.float64]:
    return (rng.random(length) < rate).astype(float)


def numbers_with_changes(seed: int) -> list[float]:
    rng = np.random.default_rng(seed)
    return [float(value) for _ in range(4) for value in rng.normal(rng.normal(), size=rng.integers(100, 800))]


def errors_with_changes(seed: int) -> list[float]:
    rng = np.random.default_rng(seed)
    return [float(value) for _ in range(4) for value in errors(rng, rng.random() / 2, int(rng.integers(100, 800)))]


class OfErrors(StreamTestSuite):
    def steady(self, rng: Generator, length: int) -> NDArray[Any]:
        return errors(rng, 0.1, length)

    def changed(self, rng: Generator, length: int) -> NDArray[Any]:
        return errors(rng, 0.3, length)


class TestAdwin(StreamTestSuite):
    run_length: ClassVar[int] = 20_000
    longest_delay: ClassVar[int] = 100

    def stream_test(self) -> StreamTest:
        return AdaptiveWindow()


class TestAdwinOfErrors(OfErrors):
    run_length: ClassVar[int] = 20_000
    longest_delay: ClassVar[int] = 400

    def stream_test(self) -> StreamTest:
        return AdaptiveWindow()


class TestPageHinkley(StreamTestSuite):
    longest_delay: ClassVar[int] = 60

    def stream_test(self) -> StreamTest:
        return PageHinkley()


class TestPageHinkleyOfErrors(OfErrors):
    def stream_test(self) -> StreamTest:
        return PageHinkley()


class TestDdm(OfErrors):
    def stream_test(self) -> StreamTest:
        return ErrorRate()


@pytest.mark.parametrize(("name", "kind"), [("adwin", AdaptiveWindow), ("ddm", ErrorRate), ("page_hinkley", PageHinkley)])
def test_the_hook_hands_over_the_class(name: str, kind: type[StreamTest]) -> None:
    assert mlops_drift_test(name) is kind
    assert doctest.testmod(importlib.import_module(kind.__module__)).failed == 0


@given(data=st.data(), every=st.integers(1, 8))
def test_a_state_restored_at_any_point_goes_on_as_the_other(data: st.DataObject, every: int) -> None:
    """Every number of the state, so every later signal too."""
    watched: list[tuple[StreamTest, st.SearchStrategy[float]]] = [
        (AdaptiveWindow(every=every, shortest=1, buckets=2, delta=0.9, spread=1e-3), numbers),
        (PageHinkley(warm_up=1, threshold=1.0), numbers),
        (ErrorRate(warm_up=3, errors=1, level=1.0), bits),
    ]
    for test, kind in watched:
        values = data.draw(st.lists(kind, max_size=60))
        cut = data.draw(st.integers(0, len(values)))
        state = test.start()
        for value in values[:cut]:
            state, _ = test.update(state, value)
        other = test.load(test.dump(state))
        for value in values[cut:]:
            state, signal = test.update(state, value)
            other, again = test.update(other, value)
            assert signal == again
        assert state == other


@pytest.mark.parametrize("seed", range(40))
def test_adwin_gives_its_first_signal_where_river_does(seed: int) -> None:
    """Only the first: river forgets the whole window after a signal, the paper (and this) what is older than the change."""
    values = numbers_with_changes(seed) if seed % 2 else errors_with_changes(seed)
    river: Any = drift.ADWIN
    ours = signals(AdaptiveWindow(shortest=1), values)
    assert ours[:1] == river_signals(river(min_window_length=1), values)[:1]


@pytest.mark.parametrize("direction", ["both", "rise", "fall"])
@pytest.mark.parametrize("seed", range(10))
def test_page_hinkley_of_plain_deviations_is_rivers_without_forgetting(seed: int, direction: Any) -> None:
    values, mode = numbers_with_changes(seed), {"both": "both", "rise": "up", "fall": "down"}[direction]
    ours = PageHinkley(delta=0.1, threshold=30, warm_up=1, direction=direction, standardise=False)
    assert signals(ours, values) == river_signals(drift.PageHinkley(min_instances=1, delta=0.1, threshold=30, alpha=1.0, mode=mode), values)


@pytest.mark.parametrize("seed", range(20))
def test_ddm_without_a_least_number_of_errors_is_rivers(seed: int) -> None:
    values = errors_with_changes(seed)
    assert signals(ErrorRate(errors=0), values) == river_signals(DDM(), values)


@given(values=st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=300), most=st.integers(1, 5), offset=st.sampled_from([0.0, 1e9]))
def test_the_buckets_of_a_window_are_those_of_its_values(values: list[float], most: int, offset: float) -> None:
    window = Window()
    for value in values:
        window.add(value + offset, most)
    counts, means, squares = window.to_columns()
    assert counts.sum() == window.seen == len(values)
    assert all(len(row) <= most for row in window.rows)
    assert window.rows[-1]
    for part, mean, square in zip(np.split(np.array(values) + offset, np.cumsum(counts)[:-1].astype(int)), means, squares, strict=True):
        assert mean == pytest.approx(part.mean(), rel=1e-12, abs=1e-9)
        assert square == pytest.approx(((part - part.mean()) ** 2).sum(), rel=1e-6, abs=1e-3)


def test_adwin_cuts_where_the_formula_of_the_paper_says() -> None:
    """Every cut of a window of single values, from the values themselves."""
    rng = np.random.default_rng(4)
    for _ in range(50):
        values = np.concatenate([rng.normal(size=20), rng.normal(rng.uniform(0, 5), size=12)])
        log = math.log(2 * math.log(32) / 0.1)

        def differs(n: int, values: NDArray[np.float64] = values, log: float = log) -> bool:
            rate = 1 / n + 1 / (32 - n)
            return bool(abs(values[:n].mean() - values[n:].mean()) > math.sqrt(2 * rate * values.var() * log) + 2 / 3 * 0.5 * rate * log)

        expected = any(differs(n) for n in range(3, 30))
        assert signals(AdaptiveWindow(delta=0.1, shortest=3, buckets=32, spread=0.5), values) == [31] * expected


def test_adwin_keeps_what_is_newer_than_the_change_in_little_memory() -> None:
    rng, test = np.random.default_rng(3), AdaptiveWindow()
    state = test.start()
    for value in np.concatenate([rng.normal(size=20_000), rng.normal(3, size=500)]):
        state, _ = test.update(state, value)
    counts, means, _ = state.to_columns()
    assert counts.sum() <= 550
    assert counts @ means / counts.sum() == pytest.approx(3, abs=0.2)
    assert len(counts) <= 6 * 10


def test_a_large_constant_costs_adwin_no_false_alarm() -> None:
    assert signals(AdaptiveWindow(), [1e15 + 0.125] * 20_000) == []
    assert signals(AdaptiveWindow(), [1e100, -1e100] * 100) == []


@pytest.mark.parametrize("rate", [0.01, 0.03, 0.3, 0.5])
@pytest.mark.parametrize(("test", "run_length"), [(AdaptiveWindow(), 20_000), (PageHinkley(), 10_000), (ErrorRate(), 10_000)])
def test_false_alarms_are_rare_at_every_error_rate(test: StreamTest, run_length: int, rate: float) -> None:
    rng = np.random.default_rng(17)
    alarms = sum(len(signals(test, errors(rng, rate, 20_000))) for _ in range(4))
    assert alarms * run_length <= 80_000


def test_the_papers_ddm_takes_any_rare_error_for_a_change() -> None:
    """Why ``errors`` is no 0."""
    rng = np.random.default_rng(5)
    streams = [errors(rng, 0.01, 20_000) for _ in range(10)]
    paper, ours = (sum(len(signals(test, values)) for values in streams) for test in (ErrorRate(errors=0), ErrorRate()))
    assert paper > 20
    assert ours <= 5


@pytest.mark.parametrize(
    ("test", "steady", "changed", "most"),
    [
        (AdaptiveWindow(), 0.1, 0.3, 200),
        (PageHinkley(), 0.1, 0.3, 100),
        (ErrorRate(), 0.1, 0.3, 150),
    ],
)
def test_the_delay_that_is_stated_is_kept(test: StreamTest, steady: float, changed: float, most: int) -> None:
    rng = np.random.default_rng(11)
    delays = []
    for _ in range(40):
        values = np.concatenate([errors(rng, steady, 1000), errors(rng, changed, 1000)])
        delays += [next(i - 999 for i in [*signals(test, values), 1999] if i >= 1000)]
    assert np.mean(delays) <= most


@pytest.mark.parametrize(("shift", "most"), [(1.0, 40), (-1.0, 40), (0.5, 200)])
def test_page_hinkley_finds_shifts_of_values_of_any_size(shift: float, most: int) -> None:
    rng = np.random.default_rng(12)
    delays = []
    for _ in range(40):
        values = 1e6 + 1e3 * np.concatenate([rng.normal(size=1000), rng.normal(shift, size=1000)])
        delays += [next(i - 999 for i in [*signals(PageHinkley(), values), 1999] if i >= 1000)]
    assert np.mean(delays) <= most


def test_page_hinkley_takes_one_wild_value_for_none_and_one_direction_if_asked() -> None:
    assert signals(PageHinkley(), [1.0] * 1000 + [1e90] + [1.0] * 100) == []
    falls = [*np.random.default_rng(1).normal(size=500), *np.random.default_rng(2).normal(-2, size=40)]
    assert signals(PageHinkley(direction="rise"), falls) == []
    assert len(signals(PageHinkley(direction="fall"), falls)) == 1


@pytest.mark.parametrize("value", [0.5, 2, -1, True + 1])
def test_ddm_takes_bits_only(value: float) -> None:
    with pytest.raises(DriftDetectionError, match=r"drift: ddm: .* is neither 0 nor 1 - give 1 for a wrong answer"):
        ErrorRate().update(ErrorRate().start(), value)


@pytest.mark.parametrize("value", [True, np.True_, 1, np.int8(1), np.float32(1)])
def test_every_kind_of_number_is_read(value: Any) -> None:
    tests: tuple[StreamTest, ...] = (AdaptiveWindow(), PageHinkley(), ErrorRate())
    for test in tests:
        states = [test.update(test.start(), one)[0] for one in (value, 1.0)]
        assert states[0] == states[1]


@pytest.mark.parametrize(
    ("kind", "option", "value"),
    [
        (AdaptiveWindow, "delta", 0.0),
        (AdaptiveWindow, "delta", 1.0),
        (AdaptiveWindow, "every", 0),
        (AdaptiveWindow, "shortest", 0),
        (AdaptiveWindow, "buckets", 0),
        (AdaptiveWindow, "spread", 0.0),
        (PageHinkley, "delta", -0.1),
        (PageHinkley, "threshold", 0.0),
        (PageHinkley, "warm_up", 0),
        (PageHinkley, "direction", "up"),
        (ErrorRate, "level", 0.0),
        (ErrorRate, "warm_up", 0),
        (ErrorRate, "errors", -1),
    ],
)
def test_a_wrong_option_is_refused(kind: Any, option: str, value: Any) -> None:
    with pytest.raises(ValueError, match=option):
        kind(**{option: value})
