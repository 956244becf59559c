"""One check, from its arguments to its verdict."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from attrs import evolve

from mlops_core.config.settings import DriftSettings, Settings
from mlops_core.drift import Reference
from mlops_core.drift.check import check_data
from mlops_core.exceptions import DriftDetectionError

if TYPE_CHECKING:
    from mlops_core.stack import Stack

RNG = np.random.default_rng(12)
BEFORE, AFTER = RNG.normal(size=(200, 3)), RNG.normal([0, 0.15, 1.0], size=(150, 3))


def test_settings_are_the_defaults_and_options_override_them(stack: Stack) -> None:
    strict = Settings(drift=DriftSettings(alpha=0.01, correction="bonferroni", min_effect=0.3))
    configured = check_data(evolve(stack, settings=strict), None, BEFORE, AFTER, {})
    assert (configured.threshold, configured.correction) == (0.01, "bonferroni")
    assert {one.min_effect for one in configured.outcomes} == {0.3}

    given = check_data(evolve(stack, settings=strict), None, BEFORE, AFTER, {"threshold": 0.2, "correction": "none", "min_effect": 0.0})
    assert (given.threshold, given.correction) == (0.2, "none")
    assert [one.adjusted_p_value for one in given.outcomes] == [one.p_value for one in given.outcomes]
    assert {one.min_effect for one in given.outcomes} == {0.0}


def test_tests_of_the_call_the_detector_the_configuration(stack: Stack) -> None:
    def run(names: Any, options: Any) -> list[str]:
        return list(dict.fromkeys(one.test for one in check_data(stack, names, BEFORE, AFTER, options).outcomes))

    assert run(None, {}) == ["ks", "psi"]
    assert run(["psi"], {}) == ["psi"]
    assert run(["psi"], {"tests": "ks"}) == ["ks"]


def test_a_fitted_reference_answers_the_tests_that_it_knows(stack: Stack) -> None:
    reference = Reference.fit(BEFORE, ["ks"], stack=stack)
    assert {one.test for one in check_data(stack, None, reference, AFTER, {}).outcomes} == {"ks"}
    with pytest.raises(DriftDetectionError, match="test 'psi': the reference was fitted for ks only - fit it again with 'psi'"):
        check_data(stack, ["psi"], reference, AFTER, {})


@pytest.mark.parametrize("fitted", [False, True])
def test_only_these_columns(stack: Stack, fitted: object) -> None:
    reference = Reference.fit(BEFORE, stack=stack) if fitted else BEFORE
    found = check_data(stack, None, reference, AFTER, {"columns": ["x2"]})
    assert [one.column for one in found.outcomes] == ["x2", "x2"]
    assert (found.new_columns, found.missing_columns) == ((), ())
    with pytest.raises(DriftDetectionError, match="column 'x9' is not there"):
        check_data(stack, None, reference, AFTER, {"columns": ["x9"]})


@pytest.mark.parametrize("seed", [-1, 1.5, "one", None, True])
def test_a_seed_is_a_whole_number(stack: Stack, seed: Any) -> None:
    with pytest.raises(DriftDetectionError, match=r"seed: .* is no seed - give a whole number from 0 on"):
        check_data(stack, None, BEFORE, AFTER, {"seed": seed})


@pytest.mark.simulation
def test_false_alarms_of_whole_checks_on_correlated_columns(stack: Stack) -> None:
    """1,000 checks of 10 columns with correlation 0.5 and two tests each: any alarm at all in at most 5 % of them."""
    rng = np.random.default_rng(44)

    def draw(rows: int) -> Any:
        return np.sqrt(0.5) * rng.normal(size=(rows, 1)) + np.sqrt(0.5) * rng.normal(size=(rows, 10))

    alarms = [check_data(stack, ["ks"], draw(120), draw(120), {}).drift_detected for _ in range(1000)]
    assert np.mean(alarms) <= 0.0625


def test_an_option_that_is_none_is_refused_with_the_nearest(stack: Stack) -> None:
    with pytest.raises(DriftDetectionError, match="a check has no option 'treshold' - did you mean 'threshold'"):
        check_data(stack, None, [1.0, 2.0], [1.0, 2.0], {"treshold": 0.9})  # type: ignore[typeddict-unknown-key]  # wrong on purpose
