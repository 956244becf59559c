"""From outcomes to a verdict."""

from __future__ import annotations

from typing import Any

import pytest

from mlops_core.drift import Reference
from mlops_core.drift.comparison import MISSING
from mlops_core.drift.pairing import pair
from mlops_core.drift.results import DataDrift
from mlops_core.drift.table import read_table
from mlops_core.drift.verdict import check_level, effect_thresholds, judge
from mlops_core.exceptions import DriftDetectionError
from mlops_core.records import TestOutcome
from mlops_drift_ks import KolmogorovSmirnov
from mlops_drift_psi import PopulationStability

TESTS = {"ks": KolmogorovSmirnov(), "psi": PopulationStability()}
DATA: dict[str, Any] = {"a": [1.0, 2.0, None, 4.0], "b": [1.0, 2.0, 3.0, 4.0], "t": ["x", "y", "x", "y"]}


def verdict(*found: tuple[str, str, float, float], correction: str = "bonferroni", least: Any = 0.0) -> DataDrift:
    """Judge outcomes of (column, test, p, effect)."""
    reference = Reference.fit(DATA, TESTS)
    outcomes = [(column, test, TestOutcome(effect, p, effect, "m", 4, 4)) for column, test, p, effect in found]
    pairing = pair(reference, read_table("current", {**DATA, "a": [None, 2.0, None, 4.0]}))
    return judge(reference, pairing, outcomes, threshold=0.05, correction=correction, least=effect_thresholds(least, TESTS))


def test_the_family_is_every_p_value() -> None:
    found = verdict(("a", "ks", 0.02, 0.3), ("a", "psi", 0.4, 0.1), ("a", MISSING, 0.9, 0.25), ("b", "ks", 0.01, 0.5))
    assert [one.adjusted_p_value for one in found.outcomes] == [0.08, 1.0, 1.0, 0.04]
    assert [one.drifted for one in found.outcomes] == [False, False, False, True]
    assert (found.drift_detected, found.p_value, found["p_value"], found.drifted_columns) == (True, 0.04, 0.04, ("b",))
    assert found.of("a") == found.outcomes[:3]


def test_at_most_and_at_least_include_the_bounds() -> None:
    assert verdict(("a", "ks", 0.05, 0.1), least=0.1).drift_detected
    assert not verdict(("a", "ks", 0.0501, 0.1), least=0.1).drift_detected
    assert not verdict(("a", "ks", 0.05, 0.0999), least=0.1).drift_detected


def test_a_small_effect_is_no_drift() -> None:
    found = verdict(("a", "ks", 1e-9, 0.02), ("b", "ks", 0.5, 0.9), least=0.1)
    assert (found.drift_detected, found.p_value, found.drifted_columns) == (False, 2e-9, ())
    assert verdict(("a", "ks", 1e-9, 0.02), least={"psi": 0.1}).drift_detected
    assert not verdict(("a", "psi", 1e-9, 0.09), least="conventional").drift_detected
    assert verdict(("a", "ks", 1e-9, 0.01), least="conventional").drift_detected


def test_the_least_p_value_with_a_small_effect_does_not_hide_another() -> None:
    found = verdict(("a", "ks", 1e-9, 0.02), ("b", "ks", 1e-8, 0.3), least=0.1)
    assert (found.drift_detected, found.drifted_columns) == (True, ("b",))


def test_shares_and_untested_columns() -> None:
    found = verdict(("a", "ks", 0.5, 0.1), ("a", MISSING, 0.5, 0.1), ("*", "ks", 0.5, 0.1))
    assert [(one.reference_missing, one.current_missing) for one in found.outcomes] == [(0.25, 0.5), (0.25, 0.5), (0.0, 0.0)]
    assert found.untested_columns == ("t",)  # b belongs to the whole table
    assert verdict(("a", "ks", 0.5, 0.1)).untested_columns == ("b", "t")


def test_figures_for_monitoring() -> None:
    found = verdict(("a", "ks", 0.001, 0.3), ("b", "ks", 0.4, 0.1))
    assert found.figures() == {"drift.detected": 1.0, "drift.p_value": 0.002, "drift.columns": 1.0}


def test_the_record_goes_to_json_and_back() -> None:
    found = verdict(("a", "ks", 0.001, 0.3), ("b", "ks", 0.4, 0.1))
    assert DataDrift.from_dict(found.to_dict()) == found


def test_nothing_tested_is_no_answer() -> None:
    with pytest.raises(DriftDetectionError, match=r"none of the tests takes any of the columns \(such as 'a', 'b', 't'\) - add a test"):
        verdict()


@pytest.mark.parametrize("level", [0, 1, -0.1, 1.5, float("nan"), "0.05", None, True])
def test_a_level_is_between_zero_and_one(level: Any) -> None:
    with pytest.raises(DriftDetectionError, match=r"threshold: .* is not a level - give a number between 0 and 1"):
        check_level(level)
    assert check_level(0.05) == 0.05


@pytest.mark.parametrize(
    ("least", "told"),
    [
        (-0.1, "-0.1 is no effect size"),
        ("large", "'large' is no effect size - give a number from 0 on, or 'conventional'"),
        (float("inf"), "inf is no effect size"),
        (True, "True is no effect size"),
        ({"mmd": 0.1}, r"test 'mmd' is not run \(only: ks, psi\)"),
    ],
)
def test_an_effect_size_is_a_number_from_zero_on(least: Any, told: str) -> None:
    with pytest.raises(DriftDetectionError, match=f"min_effect: {told}"):
        effect_thresholds(least, TESTS)
