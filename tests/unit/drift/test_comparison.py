"""Running tests: grouped columns, missing shares, tables, and tests that misbehave."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pytest
from attrs import define

from mlops_core.drift import Reference
from mlops_core.drift.comparison import MISSING, run_tests
from mlops_core.drift.pairing import pair
from mlops_core.drift.table import read_table
from mlops_core.exceptions import DriftDetectionError
from mlops_core.records import TestOutcome
from mlops_core.roles import DriftTest
from mlops_drift_ks import KolmogorovSmirnov
from mlops_drift_psi import PopulationStability

if TYPE_CHECKING:
    from numpy.typing import NDArray


@define
class Whole(DriftTest):
    """Compares tables by the largest difference of means; not a test that one would use."""

    contract: ClassVar[int] = 1
    scope = "table"

    def compare(self, reference: Any, current: NDArray[Any], *, rng: np.random.Generator) -> TestOutcome:
        moved = float(np.abs(reference.mean(axis=0) - current.mean(axis=0)).max())
        return TestOutcome(moved, 0.5, moved, "means", len(reference), len(current))


@define
class Odd(DriftTest):
    """Answers what it is told to."""

    contract: ClassVar[int] = 1
    answer: Any = None

    def compare(self, reference: Any, current: NDArray[Any], *, rng: np.random.Generator) -> Any:
        return self.answer

    def compare_columns(self, reference: Any, current: NDArray[Any], *, rng: np.random.Generator) -> Any:
        return [self.answer] if isinstance(self.answer, TestOutcome) else self.answer


def run(reference: Any, current: Any, tests: dict[str, DriftTest], seed: int = 0) -> dict[tuple[str, str], TestOutcome]:
    fitted = Reference.fit(reference, tests)
    found = run_tests(fitted, pair(fitted, read_table("current", current)), tests, np.random.default_rng(seed))
    return {(column, test): outcome for column, test, outcome in found}


def test_every_test_runs_on_the_kinds_that_it_takes() -> None:
    rng = np.random.default_rng(1)
    reference = {"delay": rng.normal(size=80), "carrier": rng.choice(["AA", "UA"], 80), "gap": [None, *range(79)]}
    current = {"delay": rng.normal(size=60), "carrier": rng.choice(["AA", "UA"], 60), "gap": np.arange(60.0)}
    found = run(reference, current, {"psi": PopulationStability(permutations=99), "ks": KolmogorovSmirnov()})
    assert list(found) == [("delay", "psi"), ("delay", "ks"), ("carrier", "psi"), ("gap", "psi"), ("gap", "ks"), ("gap", MISSING)]
    assert (found["gap", "ks"].n, found["gap", MISSING].n) == (79, 80)


def test_columns_with_gaps_are_compared_by_what_they_have() -> None:
    rng = np.random.default_rng(2)
    values, after = rng.normal(size=(4, 90)), rng.normal(0.5, size=(4, 70))
    values[1, :10] = after[2, :20] = after[3, 5:15] = np.nan
    found = run(values.T, after.T, {"ks": KolmogorovSmirnov()})
    test = KolmogorovSmirnov()
    for i in range(4):
        before, now = values[i][~np.isnan(values[i])], after[i][~np.isnan(after[i])]
        assert found[f"x{i}", "ks"] == test.compare(test.prepare(before), now, rng=rng)
    assert [column for column, name in found if name == MISSING] == ["x1", "x2", "x3"]


def test_a_table_test_sees_complete_rows_of_numbers() -> None:
    reference = {"a": [1.0, 2.0, 3.0, None], "t": ["x", "y", "x", "y"], "b": [1.0, 1.0, 1.0, 1.0]}
    found = run(reference, {**reference, "b": [3.0, 3.0, 3.0, 3.0]}, {"whole": Whole()})
    assert (found["*", "whole"].statistic, found["*", "whole"].n, found["*", "whole"].m) == (2.0, 3, 3)


def test_a_table_test_needs_every_column() -> None:
    with pytest.raises(DriftDetectionError, match="test 'whole' takes the whole table, and column 'b' is missing - leave it out"):
        run({"a": [1.0, 2.0], "b": [1.0, 2.0]}, {"a": [1.0, 2.0]}, {"whole": Whole()})


def test_without_numbers_a_table_test_has_nothing_to_do() -> None:
    tests: dict[str, DriftTest] = {"whole": Whole(), "psi": PopulationStability()}
    assert list(run({"t": ["x", "y"]}, {"t": ["x", "y"]}, tests)) == [("t", "psi")]


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (None, "test 'odd' failed on column 'a': TypeError"),
        ([], "test 'odd' answered 0 outcomes for 1 columns - leave the test out"),
        ([0.5], "test 'odd' answered 0.5 on column 'a', where p must be in (0, 1]"),
        (TestOutcome(0.0, 0.0, 0.0, "m", 2, 2), "test 'odd' answered TestOutcome(statistic=0.0, p_value=0.0"),
        (TestOutcome(0.0, 1.5, 0.0, "m", 2, 2), "test 'odd' answered TestOutcome"),
        (TestOutcome(0.0, float("nan"), 0.0, "m", 2, 2), "test 'odd' answered TestOutcome"),
        (TestOutcome(float("inf"), 0.5, 0.0, "m", 2, 2), "test 'odd' answered TestOutcome"),
    ],
)
def test_a_test_that_breaks_its_contract_is_named(answer: Any, told: str) -> None:
    with pytest.raises(DriftDetectionError) as found:
        run({"a": [1.0, 2.0]}, {"a": [1.0, 2.0]}, {"odd": Odd(answer)})
    assert found.value.message.startswith(f"drift: {told}")
    assert "\n" not in found.value.message


def test_a_seed_decides() -> None:
    rng = np.random.default_rng(3)
    reference, current = rng.normal(size=(60, 2)), rng.normal(size=(40, 2))
    tests: dict[str, DriftTest] = {"psi": PopulationStability(permutations=199)}
    assert run(reference, current, tests, 1) == run(reference, current, tests, 1)
    assert run(reference, current, tests, 1) != run(reference, current, tests, 2)
