"""What a drift test need not write itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mlops_core.records import TestOutcome
from mlops_core.roles import DriftTest, StreamTest


class Means(DriftTest):
    contract = 1

    def compare(self, reference: Any, current: Any, *, rng: np.random.Generator) -> TestOutcome:
        return TestOutcome(float(current.mean() - reference.mean()), 1.0, 0.0, "means", len(reference), len(current))


def test_columns_are_compared_one_by_one() -> None:
    table = np.arange(6.0).reshape(3, 2)
    test, rng = Means(), np.random.default_rng(0)
    prepared = [test.prepare(table[:, i]) for i in range(2)]
    assert [one.statistic for one in test.compare_columns(prepared, np.add(table, (1.0, 2.0)), rng=rng)] == [1.0, 2.0]


def test_a_prepared_reference_goes_to_arrays_and_back() -> None:
    test = Means()
    assert test.load(test.dump(test.prepare(np.arange(3.0)))).tolist() == [0.0, 1.0, 2.0]


def test_both_roles_leave_the_statistics_to_the_backend() -> None:
    assert DriftTest.__abstractmethods__ == frozenset({"compare"})
    assert StreamTest.__abstractmethods__ == frozenset({"start", "update", "dump", "load"})
    with pytest.raises(TypeError, match="abstract"):
        StreamTest()  # type: ignore[abstract]
