"""What the author of a plugin writes passes a strict type checker, and what they get wrong does not.

`nox -s types` reads this file with mypy --strict: an `assert_type` that is false is an error there, and so is an ignore that is not needed.
The tests below run the same code.
"""

from typing import Any, ClassVar, assert_type

import numpy as np
import pytest
from attrs import define, field
from numpy.random import Generator
from numpy.typing import NDArray

from mlops_core.exceptions import ConfigError, MLOpsError
from mlops_core.hookspecs import hookimpl
from mlops_core.records import TestOutcome
from mlops_core.roles import DriftTest


@define
class MeanShift(DriftTest):
    """Compares means by a permutation test; as short as a drift test can be."""

    contract: ClassVar[int] = 1
    permutations: int = field(default=99, metadata={"help": "Random divisions of the pooled sample."})

    def compare(self, reference: Any, current: NDArray[Any], *, rng: Generator) -> TestOutcome:
        pooled, size = np.concatenate([reference, current]), len(reference)
        seen = abs(float(np.mean(reference) - np.mean(current)))
        drawn = (rng.permutation(pooled) for _ in range(self.permutations))
        beyond = sum(abs(float(mixed[:size].mean() - mixed[size:].mean())) >= seen for mixed in drawn)
        p_value = (1 + beyond) / (1 + self.permutations)
        return TestOutcome(seen, p_value, seen, "mean shift by permutation", size, len(current))


@hookimpl
def mlops_drift_test() -> type[MeanShift]:
    return MeanShift


def test_the_marker_keeps_the_type_of_the_implementation() -> None:
    assert_type(mlops_drift_test(), type[MeanShift])
    assert mlops_drift_test() is MeanShift


def test_an_outcome_is_typed_by_attribute() -> None:
    rng = np.random.default_rng(7)
    test = MeanShift()
    outcome = test.compare(test.prepare(rng.normal(size=50)), rng.normal(3, size=50), rng=rng)

    assert_type(outcome, TestOutcome)
    assert_type(outcome.p_value, float)
    assert_type(test.permutations, int)
    assert outcome.p_value == 1 / 100
    assert outcome["p_value"] == outcome.p_value


def test_wrong_uses_are_found_before_the_program_runs() -> None:
    error = ConfigError("one", "two")
    assert_type(error.message, str)
    assert_type(error.problems, tuple[str, ...])
    assert isinstance(error, MLOpsError)

    MeanShift(permutations="many")  # type: ignore[arg-type]  # the checker says so; attrs itself takes anything
    with pytest.raises(TypeError, match="abstract"):
        DriftTest()  # type: ignore[abstract]  # the role is abstract for the checker and for Python
