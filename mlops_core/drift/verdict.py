"""From outcomes to a verdict: correction, thresholds, practical size."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from mlops_core.drift.comparison import MISSING
from mlops_core.drift.correction import adjust
from mlops_core.drift.reference import TABLE
from mlops_core.drift.results import ColumnOutcome, DataDrift
from mlops_core.exceptions import DriftDetectionError, checks_input

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlops_core.drift.pairing import Pairing
    from mlops_core.drift.reference import Reference
    from mlops_core.records import TestOutcome
    from mlops_core.roles import DriftTest

__all__ = ["CONVENTIONAL", "check_level", "effect_thresholds", "judge"]

CONVENTIONAL: Final = "conventional"
"""As ``min_effect``: each test's own ``effect_threshold``."""


@checks_input
def check_level(value: Any, what: str = "threshold") -> float:
    """A level of significance.

    Raises:
        DriftDetectionError: It is no number in (0, 1).
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1:
        raise DriftDetectionError(f"drift: {what}: {value!r:.40} is not a level - give a number between 0 and 1, such as 0.05")
    return float(value)


@checks_input
def effect_thresholds(min_effect: Any, tests: Mapping[str, DriftTest]) -> dict[str, float]:
    """The least effect size of each test, and of the comparison of missing shares.

    Args:
        min_effect: One number for all; a mapping by test (0 for those it leaves out); or ``conventional``.
        tests: The tests of the check.

    Raises:
        DriftDetectionError: It is negative, no number, or names a test that is not run.
    """
    if isinstance(min_effect, str) and min_effect == CONVENTIONAL:
        return {MISSING: 0.0, **{name: test.effect_threshold for name, test in tests.items()}}
    given = min_effect if isinstance(min_effect, Mapping) else dict.fromkeys([*tests, MISSING], min_effect)
    for name, value in given.items():
        if name not in tests and name != MISSING:
            raise DriftDetectionError(f"drift: min_effect: test {name!r} is not run (only: {', '.join(tests)}) - leave it out")
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
            raise DriftDetectionError(f"drift: min_effect: {value!r:.40} is no effect size - give a number from 0 on, or {CONVENTIONAL!r}")
    return {name: float(given.get(name, 0.0)) for name in [*tests, MISSING]}


def judge(
    reference: Reference,
    pairing: Pairing,
    found: Sequence[tuple[str, str, TestOutcome]],
    *,
    threshold: float,
    correction: str,
    least: Mapping[str, float],
) -> DataDrift:
    """Correct for every p-value of the check, and call a column drifted where the adjusted one and the effect size say so.

    Raises:
        DriftDetectionError: Nothing was tested, or the correction is unknown.
    """
    if not found:
        names = ", ".join(repr(name) for name in list(pairing.columns)[:3])
        raise DriftDetectionError(f"drift: none of the tests takes any of the columns (such as {names}) - add a test that does")
    adjusted = adjust([outcome.p_value for _, _, outcome in found], correction)
    outcomes = tuple(
        _outcome(column, test, outcome, value, threshold, least[test], _shares(reference, pairing, column))
        for (column, test, outcome), value in zip(found, adjusted, strict=True)
    )
    return DataDrift(
        drift_detected=any(one.drifted for one in outcomes),
        p_value=min(adjusted),
        threshold=threshold,
        correction=correction,
        outcomes=outcomes,
        reference_rows=reference.rows,
        current_rows=pairing.rows,
        new_columns=pairing.new_columns,
        missing_columns=pairing.missing_columns,
        untested_columns=_untested(pairing, outcomes, reference),
        new_categories=pairing.new_categories,
        missing_categories=pairing.missing_categories,
    )


def _outcome(
    column: str, test: str, outcome: TestOutcome, adjusted: float, threshold: float, least: float, missing: tuple[float, float]
) -> ColumnOutcome:
    return ColumnOutcome(
        column=column,
        test=test,
        method=outcome.method,
        statistic=outcome.statistic,
        p_value=outcome.p_value,
        adjusted_p_value=adjusted,
        effect_size=outcome.effect_size,
        threshold=threshold,
        min_effect=least,
        drifted=adjusted <= threshold and outcome.effect_size >= least,
        n=outcome.n,
        m=outcome.m,
        reference_missing=missing[0],
        current_missing=missing[1],
    )


def _shares(reference: Reference, pairing: Pairing, column: str) -> tuple[float, float]:
    """The missing shares of both sides; none for the whole table."""
    if column not in pairing.columns:
        return 0.0, 0.0
    missing = {profile.name: profile.missing for profile in reference.columns}[column]
    return missing / reference.rows, pairing.columns[column].missing / pairing.rows


def _untested(pairing: Pairing, outcomes: Sequence[ColumnOutcome], reference: Reference) -> tuple[str, ...]:
    """Columns without a test of their values; a comparison of missing shares is none."""
    tested = {one.column for one in outcomes if one.test != MISSING}
    tested |= set(reference.table) if TABLE in tested else set()
    return tuple(name for name in pairing.columns if name not in tested)
