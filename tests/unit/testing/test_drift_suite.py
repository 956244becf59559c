"""The suite passes a sound drift test and finds what is wrong with others."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pytest
from attrs import define, evolve, field

from mlops_core.records import TestOutcome
from mlops_core.roles import DriftTest
from mlops_core.testing.drift_suite import DriftTestSuite
from mlops_drift_ks import KolmogorovSmirnov
from mlops_drift_psi import PopulationStability

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.random import Generator
    from numpy.typing import NDArray


@define
class MeanTable(DriftTest):
    """Compares the means of tables by permutation: a sound test of the scope ``table``."""

    contract: ClassVar[int] = 1
    scope = "table"
    permutations: int = field(default=19, metadata={"help": "Random divisions of the pooled rows."})

    def compare(self, reference: Any, current: NDArray[Any], *, rng: Generator) -> TestOutcome:
        pooled, n = np.arctan(np.concatenate([reference, current])), len(reference)
        orders = [np.arange(len(pooled)), *(rng.permutation(len(pooled)) for _ in range(self.permutations))]
        moved = [float(np.abs(pooled[order[:n]].mean(axis=0) - pooled[order[n:]].mean(axis=0)).sum()) for order in orders]
        beyond = sum(one >= moved[0] - 1e-12 for one in moved[1:])
        return TestOutcome(moved[0], (1 + beyond) / (1 + self.permutations), moved[0], "means", n, len(current))


class TestOfATable(DriftTestSuite):
    repetitions: ClassVar[int] = 400

    def drift_test(self) -> DriftTest:
        return MeanTable()


@define
class Altered(KolmogorovSmirnov):
    """A sound test with one thing wrong about it."""

    contract: ClassVar[int] = 1

    def _outcome(self, reference: NDArray[np.float64], current: NDArray[np.float64]) -> TestOutcome:
        return self.alter(super()._outcome(reference, current))

    def alter(self, outcome: TestOutcome) -> TestOutcome:
        return outcome


@define
class TooEager(Altered):
    contract: ClassVar[int] = 1

    def alter(self, outcome: TestOutcome) -> TestOutcome:
        return evolve(outcome, p_value=outcome.p_value / 2)


@define
class Blind(Altered):
    contract: ClassVar[int] = 1

    def alter(self, outcome: TestOutcome) -> TestOutcome:
        return evolve(outcome, p_value=1.0)


@define
class Zero(Altered):
    contract: ClassVar[int] = 1

    def alter(self, outcome: TestOutcome) -> TestOutcome:
        return evolve(outcome, p_value=0.0 if outcome.n < 10 else outcome.p_value)


@define
class Loose(Altered):
    contract: ClassVar[int] = 1

    def compare_columns(self, reference: Any, current: NDArray[Any], *, rng: Generator) -> list[TestOutcome]:
        noise = np.random.default_rng().random()
        return [evolve(one, effect_size=noise) for one in super().compare_columns(reference, current, rng=rng)]


@define
class Objects(Altered):
    contract: ClassVar[int] = 1

    def dump(self, prepared: Any) -> Mapping[str, NDArray[Any]]:
        return {"reference": np.array([prepared, None], dtype=object)}


@define
class Scribbler(Altered):
    contract: ClassVar[int] = 1

    def prepare(self, reference: NDArray[Any]) -> NDArray[np.float64]:
        reference.sort()
        return reference


@define
class Inherits(KolmogorovSmirnov):
    pass


@define
class Silent(Altered):
    contract: ClassVar[int] = 1
    depth: int = 3


@define
class Forgets(PopulationStability):
    contract: ClassVar[int] = 1
    kinds = frozenset({"categorical"})

    def compare_columns(self, reference: Any, current: NDArray[Any], *, rng: Generator) -> list[TestOutcome]:
        known = [
            np.minimum(current[:, i], len(bins.counts) - 1) if bins.edges is None else current[:, i] for i, bins in enumerate(reference)
        ]
        return super().compare_columns(reference, np.stack(known).T, rng=rng)


def failures(test: type[DriftTest], only: str = "", **claims: bool) -> set[str]:
    """Names of the checks that a drift test fails, of all or of those that contain ``only``."""

    class Suite(DriftTestSuite):
        repetitions: ClassVar[int] = 500

        def drift_test(self) -> DriftTest:
            return test()

    suite: Any = Suite()
    for name, value in claims.items():
        setattr(Suite, name, value)
    failed = set()
    for name, check in inspect.getmembers(suite, inspect.ismethod):
        if not name.startswith("test_") or only not in name:
            continue
        sizes = [mark.args[1] for mark in getattr(check, "pytestmark", [])]
        for arguments in sizes[0] if sizes else [()]:
            try:
                check(*arguments)
            except (AssertionError, ValueError):
                failed.add(name)
    return failed


@pytest.mark.parametrize(
    ("test", "check"),
    [
        (TooEager, "test_rejects_the_null_no_more_often_than_it_says"),
        (Blind, "test_finds_a_change"),
        (Zero, "test_tiny_samples"),
        (Loose, "test_a_seed_decides_the_answer"),
        (Objects, "test_a_prepared_reference_is_plain_arrays"),
        (Scribbler, "test_a_prepared_reference_is_plain_arrays"),
        (Inherits, "test_declares_itself"),
        (Silent, "test_declares_itself"),
        (Forgets, "test_new_and_lost_categories"),
    ],
)
def test_a_test_with_one_mistake_is_found(test: type[DriftTest], check: str) -> None:
    assert failures(test, only=check) == {check}


def test_a_sound_test_passes_with_true_claims_and_fails_with_false_ones() -> None:
    assert failures(KolmogorovSmirnov, symmetric=True, monotone=True) == set()
    assert failures(PopulationStability, only="invariances", symmetric=True) == {"test_the_invariances_claimed_hold"}
