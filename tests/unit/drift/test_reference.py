"""Fitting a reference: which columns are prepared for which tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import pandas as pd
import pytest
from attrs import define

from mlops_core.drift import Reference
from mlops_core.drift.reference import TABLE, complete_rows
from mlops_core.drift.table import read_table
from mlops_core.exceptions import DriftDetectionError
from mlops_core.records import TestOutcome
from mlops_core.roles import DriftTest
from mlops_drift_ks import KolmogorovSmirnov
from mlops_drift_psi import PopulationStability

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np

    from mlops_core.stack import Stack

DATA = {"delay": [1.0, 2.0, None, 4.0], "carrier": ["UA", "AA", "UA", None], "late": [True, False, True, True]}
TESTS: Mapping[str, DriftTest] = {"ks": KolmogorovSmirnov(), "psi": PopulationStability()}


@define
class Whole(DriftTest):
    """Compares tables."""

    contract: ClassVar[int] = 1
    scope = "table"

    def compare(self, reference: Any, current: Any, *, rng: np.random.Generator) -> TestOutcome:
        return TestOutcome(0.0, 1.0, 0.0, "none", len(reference), len(current))


def test_kinds_missing_values_and_categories_are_kept() -> None:
    reference = Reference.fit(DATA, TESTS)
    assert [(one.name, one.kind, one.missing, one.categories) for one in reference.columns] == [
        ("delay", "number", 1, ()),
        ("carrier", "category", 1, ("AA", "UA")),
        ("late", "boolean", 0, ("False", "True")),
    ]
    assert (reference.rows, reference.named, reference.tests) == (4, True, ("ks", "psi"))
    assert set(reference.prepared) == {("ks", "delay"), ("psi", "delay"), ("psi", "carrier"), ("psi", "late")}


def test_it_holds_plain_arrays() -> None:
    reference = Reference.fit(DATA, TESTS)
    assert reference.prepared["ks", "delay"]["reference"].tolist() == [1.0, 2.0, 4.0]
    assert reference.prepared["psi", "carrier"]["counts"].tolist() == [1, 2]
    assert "reference" not in repr(reference)[10:]


def test_tests_by_name_and_by_default(stack: Stack) -> None:
    assert Reference.fit(DATA, ["psi"], stack=stack).tests == ("psi",)
    assert Reference.fit(DATA, "ks", stack=stack).tests == ("ks",)
    assert Reference.fit(DATA, stack=stack).tests == ("ks", "psi")


def test_only_these_columns() -> None:
    fitted = Reference.fit(DATA, TESTS, columns=["late", "delay"])
    assert [one.name for one in fitted.columns] == ["late", "delay"]
    selected = Reference.fit(DATA, TESTS).select(["late"])
    assert set(selected.prepared) == {("psi", "late")}
    with pytest.raises(DriftDetectionError, match=r"reference data: column 'x' is not there \(there are: delay, carrier, late\)"):
        Reference.fit(DATA, TESTS).select(["x"])


@pytest.mark.parametrize("wrong", [5, None, object(), [], b"x", [5], [["x"]]])
def test_what_names_no_column_is_one_line(wrong: Any) -> None:
    with pytest.raises(DriftDetectionError, match="drift: columns: expected names, got"):
        Reference.fit([1.0, 2.0], {"ks": KolmogorovSmirnov()}).select(wrong)


def test_what_is_no_test_and_no_stack_is_one_line() -> None:
    with pytest.raises(DriftDetectionError, match="drift: test 'ks': 5 is no drift test - give an instance of one, or its name"):
        Reference.fit([1.0, 2.0], {"ks": 5})  # type: ignore[dict-item]  # wrong on purpose
    with pytest.raises(DriftDetectionError, match="stack"):
        Reference.fit([1.0, 2.0], ["ks"], stack=5)  # type: ignore[arg-type]  # wrong on purpose


def test_a_table_is_its_complete_rows_of_numbers() -> None:
    reference = Reference.fit({**DATA, "distance": [5, 6, 7, 8]}, {"whole": Whole()})
    assert reference.table == ("delay", "distance")
    assert reference.prepared["whole", TABLE]["reference"].tolist() == [[1.0, 5.0], [2.0, 6.0], [4.0, 8.0]]
    assert ("whole", TABLE) in reference.select(["delay", "distance"]).prepared
    assert ("whole", TABLE) not in reference.select(["delay"]).prepared


def test_too_few_complete_rows() -> None:
    table = read_table("current", {"a": [1.0, 2.0, None], "b": [None, 1.0, 2.0]})
    with pytest.raises(DriftDetectionError, match="current data: 1 rows have a value in every column, tests of the table need 2"):
        complete_rows("current", table.columns)


def test_no_test_for_any_column() -> None:
    with pytest.raises(DriftDetectionError, match=r"none of the tests \(ks\) takes any column \('carrier' is categorical\) - add one"):
        Reference.fit({"carrier": ["UA", "AA"]}, {"ks": KolmogorovSmirnov()})
    with pytest.raises(DriftDetectionError, match="none of the tests"):
        Reference.fit({"carrier": ["UA", "AA"]}, {"whole": Whole()})


def test_a_test_that_cannot_prepare_is_named() -> None:
    class Broken(KolmogorovSmirnov):
        def prepare(self, reference: Any) -> Any:
            raise RuntimeError("no room")

    with pytest.raises(DriftDetectionError, match="test 'ks' failed on column 'delay': RuntimeError: no room - leave the test"):
        Reference.fit(pd.DataFrame({"delay": [1.0, 2.0]}), {"ks": Broken()})
