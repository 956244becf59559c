"""Every test run on the columns that it takes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from mlops_core.drift.guard import calling
from mlops_core.drift.proportion import compare_shares
from mlops_core.drift.reference import TABLE, complete_rows
from mlops_core.exceptions import DriftDetectionError
from mlops_core.records import TestOutcome

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.random import Generator
    from numpy.typing import NDArray

    from mlops_core.drift.pairing import Pairing
    from mlops_core.drift.reference import Reference
    from mlops_core.roles import DriftTest

__all__ = ["MISSING", "run_tests"]

MISSING: Final = "missing"
"""The name of the comparison of missing shares, where a test's name is expected."""


def run_tests(reference: Reference, pairing: Pairing, tests: Mapping[str, DriftTest], rng: Generator) -> list[tuple[str, str, TestOutcome]]:
    """Every outcome as (column, test, outcome): by column in the reference's order, the missing shares behind the tests.

    Raises:
        DriftDetectionError: A test raised, or answered what no test may.
    """
    found: dict[tuple[str, str], TestOutcome] = {}
    for name, test in tests.items():
        if test.scope == "table":
            found.update(_run_on_table(reference, pairing, name, test, rng))
        else:
            found.update(_run_on_columns(reference, pairing, name, test, rng))
    for profile in reference.columns:
        column = pairing.columns.get(profile.name)
        if column is not None and (profile.missing or column.missing):
            found[profile.name, MISSING] = compare_shares(profile.missing, reference.rows, column.missing, pairing.rows)
    order = dict.fromkeys([TABLE, *pairing.columns])
    names = [*tests, MISSING]
    return [(column, test, found[column, test]) for column in order for test in names if (column, test) in found]


def _run_on_columns(
    reference: Reference, pairing: Pairing, name: str, test: DriftTest, rng: Generator
) -> dict[tuple[str, str], TestOutcome]:
    """Columns with the same number of values are given to the test together."""
    groups: dict[tuple[int, bool], dict[str, NDArray[Any]]] = {}
    for column, data in pairing.columns.items():
        if (name, column) in reference.prepared and data.is_comparable:
            present = data.present()
            groups.setdefault((len(present), data.is_numeric), {})[column] = present
    found: dict[tuple[str, str], TestOutcome] = {}
    for members in groups.values():
        current = np.stack(list(members.values())).T
        with calling(name, ", ".join(list(members)[:3])):
            loaded = [test.load(reference.prepared[name, column]) for column in members]
            outcomes = list(test.compare_columns(loaded, current, rng=rng))
        if len(outcomes) != len(members):
            counts = f"{len(outcomes)} outcomes for {len(members)} columns"
            raise DriftDetectionError(f"drift: test {name!r} answered {counts} - leave the test out")
        found.update({(column, name): _checked(name, column, outcome) for column, outcome in zip(members, outcomes, strict=True)})
    return found


def _run_on_table(reference: Reference, pairing: Pairing, name: str, test: DriftTest, rng: Generator) -> dict[tuple[str, str], TestOutcome]:
    if (name, TABLE) not in reference.prepared:
        return {}
    for column in reference.table:
        if column not in pairing.columns:
            raise DriftDetectionError(f"drift: test {name!r} takes the whole table, and column {column!r} is missing - leave it out")
    if not all(pairing.columns[column].is_comparable for column in reference.table):
        return {}
    current = complete_rows("current", [pairing.columns[column] for column in reference.table])
    with calling(name, TABLE):
        outcome = test.compare(test.load(reference.prepared[name, TABLE]), current, rng=rng)
    return {(TABLE, name): _checked(name, TABLE, outcome)}


def _checked(test: str, column: str, outcome: Any) -> TestOutcome:
    if isinstance(outcome, TestOutcome) and math.isfinite(outcome.statistic + outcome.effect_size) and 0 < outcome.p_value <= 1:
        return outcome
    raise DriftDetectionError(f"drift: test {test!r} answered {outcome!r:.120} on column {column!r}, where p must be in (0, 1]")
