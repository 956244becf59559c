"""What every drift test must do: derive from ``DriftTestSuite`` in a test, give the drift test, and pytest runs the rest."""

from __future__ import annotations

import io
import math
from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Final

import attrs
import numpy as np
import pytest

from mlops_core.roles import DriftTest

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.random import Generator
    from numpy.typing import NDArray

    from mlops_core.records import TestOutcome

    Draw = Callable[[Generator, int, int], NDArray[Any]]

__all__ = ["DriftTestSuite"]

_SEED: Final = 2013
_LEVEL: Final = 0.05
_ERRORS: Final = 2.565  # standard errors that a rate may exceed its level by: 0.0625 at 2,000 repetitions
_WIDTH: Final = 3


class DriftTestSuite:
    """Conformance of one drift test. Override ``drift_test``, and ``shifted`` where a shift of the mean is not what it looks for.

    ``repetitions`` of the null are drawn, each of which may reject at 0.05 in at most 5 % of them and 2.6 standard errors: fewer make the
    suite quicker and less strict. ``least_power`` is the share of changes (one standard deviation, 100 against 100 values) that it must
    find. ``symmetric``: exchanging the samples gives the same p-value. ``monotone``: an increasing transformation of both changes nothing.
    """

    repetitions: ClassVar[int] = 2000
    least_power: ClassVar[float] = 0.9
    symmetric: ClassVar[bool] = False
    monotone: ClassVar[bool] = False

    @abstractmethod
    def drift_test(self) -> DriftTest:
        """A new instance with its defaults."""

    def shifted(self, rng: Generator, rows: int, columns: int) -> NDArray[Any]:
        """Values of shape (rows, columns) after a change that the test must find; before it they are standard normal."""
        return rng.normal(1.0, size=(rows, columns))

    def test_declares_itself(self) -> None:
        """The contract stands in the class's own body, every option explains itself, and the kinds are known."""
        kind: Any = type(self.drift_test())
        assert issubclass(kind, DriftTest)
        assert vars(kind).get("contract") == 1
        assert [one.name for one in attrs.fields(kind) if one.init and not one.metadata.get("help")] == []
        assert kind.scope in {"column", "table"}
        assert kind.kinds
        assert kind.kinds <= {"numeric", "categorical"}
        assert kind.effect_threshold >= 0

    @pytest.mark.parametrize(("n", "m"), [(50, 50), (100, 300), (1000, 60)])
    def test_rejects_the_null_no_more_often_than_it_says(self, n: int, m: int) -> None:
        """Two samples of one distribution are told apart at 0.05 in at most one case of twenty."""
        for name, draw in self._populations().items():
            rate = self._rejections(draw, draw, n, m, self.repetitions)
            assert rate <= _LEVEL + _ERRORS * math.sqrt(_LEVEL * (1 - _LEVEL) / self.repetitions), name

    def test_finds_a_change(self) -> None:
        """What it is for."""
        if "numeric" in self.drift_test().kinds:
            assert self._rejections(_normal, self.shifted, 100, 100, 100) >= self.least_power
        if "categorical" in self.drift_test().kinds:
            assert self._rejections(_categories, _other_categories, 100, 100, 100) >= self.least_power

    @pytest.mark.parametrize(("n", "m"), [(2, 2), (2, 5), (5, 2), (3, 100), (100, 3)])
    def test_tiny_samples(self, n: int, m: int) -> None:
        """From two values on there is an answer."""
        rng = np.random.default_rng(_SEED)
        for draw in self._populations().values():
            for outcome in self._outcomes(self.drift_test(), draw(rng, n, _WIDTH), draw(rng, m, _WIDTH)):
                self.check(outcome, n, m)

    def test_constants_and_extremes(self) -> None:
        """Constants and large or small values give finite figures, and equal constants are no change."""
        if "numeric" not in self.drift_test().kinds:
            return
        one, two = np.ones((40, _WIDTH)), np.full((30, _WIDTH), 2.0)
        for outcome in self._outcomes(self.drift_test(), one, one[:30]):
            self.check(outcome, 40, 30)
            assert outcome.p_value > _LEVEL
        rng = np.random.default_rng(_SEED)
        wide = np.where(rng.random((40, _WIDTH)) < 0.5, -1e150, 1e150) * rng.random((40, _WIDTH))
        for before, after in ((one, two), (one, wide), (wide, two), (wide, wide * 1e-300), (one * 5e-324, wide[:30])):
            for outcome in self._outcomes(self.drift_test(), before, after):
                self.check(outcome, 40, len(after))

    def test_new_and_lost_categories(self) -> None:
        """Codes that only one side has are a change like any other."""
        if "categorical" not in self.drift_test().kinds:
            return
        before, after = np.repeat([0, 1], 50), np.repeat([1, 2, 7], 30)
        for reference, current in ((before, after), (np.zeros(50, dtype=np.int64), np.full(50, 3))):
            (outcome,) = self._outcomes(self.drift_test(), reference[:, None], current[:, None])
            self.check(outcome, len(reference), len(current))
            assert outcome.p_value <= _LEVEL

    def test_a_seed_decides_the_answer(self) -> None:
        """Equal input and equal seed give equal figures, whatever ran before; the given generator is the only source of chance."""
        for draw in self._populations().values():
            rng = np.random.default_rng(_SEED)
            before, after = draw(rng, 60, _WIDTH), draw(rng, 40, _WIDTH)
            first, again = (self._outcomes(test, before, after) for test in (self.drift_test(), self.drift_test()))
            assert first == again

    def test_a_prepared_reference_is_plain_arrays(self) -> None:
        """A dump holds arrays without Python objects, and loading it gives the same answers; preparing and comparing change no input."""
        for draw in self._populations().values():
            rng = np.random.default_rng(_SEED)
            before, after = draw(rng, 60, _WIDTH), draw(rng, 40, _WIDTH)
            before.flags.writeable = after.flags.writeable = False
            test = self.drift_test()
            prepared = test.prepare(before if test.scope == "table" else before[:, 0])
            current = after if test.scope == "table" else after[:, 0]
            stored = io.BytesIO()
            np.savez(stored, allow_pickle=False, **test.dump(prepared))
            stored.seek(0)
            with np.load(stored, allow_pickle=False) as arrays:
                loaded = self.drift_test().load(dict(arrays))
            first = test.compare(prepared, current, rng=np.random.default_rng(1))
            assert test.compare(prepared, current, rng=np.random.default_rng(1)) == first
            assert self.drift_test().compare(loaded, current, rng=np.random.default_rng(1)) == first

    def test_columns_together_are_columns_alone(self) -> None:
        """``compare_columns`` answers the statistic and effect of each column in turn."""
        test = self.drift_test()
        if test.scope == "table":
            return
        for draw in self._populations().values():
            rng = np.random.default_rng(_SEED)
            before, after = draw(rng, 60, _WIDTH), draw(rng, 40, _WIDTH)
            prepared = [test.prepare(before[:, i]) for i in range(_WIDTH)]
            together = test.compare_columns(prepared, after, rng=rng)
            alone = [test.compare(prepared[i], after[:, i], rng=rng) for i in range(_WIDTH)]
            assert [(one.statistic, one.effect_size) for one in together] == [(one.statistic, one.effect_size) for one in alone]

    def test_the_invariances_claimed_hold(self) -> None:
        """Exchanged samples and transformed values, where the suite's class claims them."""
        rng = np.random.default_rng(_SEED)
        before, after = _normal(rng, 80, _WIDTH), self.shifted(rng, 50, _WIDTH) / 2
        seen = self._outcomes(self.drift_test(), before, after)
        if self.symmetric:
            exchanged = self._outcomes(self.drift_test(), after, before)
            assert [one.p_value for one in exchanged] == [one.p_value for one in seen]
        if self.monotone:
            assert self._outcomes(self.drift_test(), np.exp(before), np.exp(after)) == seen

    def check(self, outcome: TestOutcome, n: int, m: int) -> None:
        """An outcome is whole: finite figures, p in (0, 1], the sizes that were given."""
        assert 0 < outcome.p_value <= 1
        assert math.isfinite(outcome.statistic)
        assert math.isfinite(outcome.effect_size)
        assert (outcome.n, outcome.m) == (n, m)
        assert outcome.method

    def _populations(self) -> dict[str, Draw]:
        kinds = self.drift_test().kinds
        numeric: dict[str, Draw] = {"continuous": _normal, "heavy tails": _cauchy, "ties": _rounded}
        return {**(numeric if "numeric" in kinds else {}), **({"categories": _categories} if "categorical" in kinds else {})}

    def _rejections(self, before: Draw, after: Draw, n: int, m: int, repetitions: int) -> float:
        rng = np.random.default_rng(_SEED)
        test = self.drift_test()
        if test.scope == "table":
            pairs = ((before(rng, n, _WIDTH), after(rng, m, _WIDTH)) for _ in range(repetitions))
            outcomes = [test.compare(test.prepare(left), right, rng=rng) for left, right in pairs]
        else:
            outcomes = self._outcomes(test, before(rng, n, repetitions), after(rng, m, repetitions))
        return sum(outcome.p_value <= _LEVEL for outcome in outcomes) / len(outcomes)

    @staticmethod
    def _outcomes(test: DriftTest, before: NDArray[Any], after: NDArray[Any]) -> list[TestOutcome]:
        rng = np.random.default_rng(_SEED)
        if test.scope == "table":
            return [test.compare(test.prepare(before), after, rng=rng)]
        return test.compare_columns([test.prepare(before[:, i]) for i in range(before.shape[1])], after, rng=rng)


def _normal(rng: Generator, rows: int, columns: int) -> NDArray[Any]:
    return rng.normal(size=(rows, columns))


def _cauchy(rng: Generator, rows: int, columns: int) -> NDArray[Any]:
    return rng.standard_cauchy(size=(rows, columns))


def _rounded(rng: Generator, rows: int, columns: int) -> NDArray[Any]:
    return np.round(rng.normal(size=(rows, columns)) * 3)


def _categories(rng: Generator, rows: int, columns: int) -> NDArray[Any]:
    return rng.choice(5, p=[0.5, 0.25, 0.15, 0.09, 0.01], size=(rows, columns)).astype(np.int64)


def _other_categories(rng: Generator, rows: int, columns: int) -> NDArray[Any]:
    return rng.choice(5, p=[0.2, 0.2, 0.2, 0.2, 0.2], size=(rows, columns)).astype(np.int64)
