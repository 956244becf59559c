"""A function as a drift test."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import attrs
import numpy as np
import pytest

from mlops_core.drift import DriftDetector
from mlops_core.exceptions import DriftDetectionError, PluginError
from mlops_core.plugins.function_test import drift_test_class
from mlops_core.records import TestOutcome
from mlops_core.roles import DriftTest, Help, drift_test
from mlops_core.testing.drift_suite import DriftTestSuite

if TYPE_CHECKING:
    from pathlib import Path


def median_shift(reference: Any, current: Any, *, rng: Any, rounds: Annotated[int, Help("random divisions")] = 39) -> tuple[float, float]:
    """Whether the median moved."""
    pooled, n = np.concatenate([reference, current]), len(reference)
    shuffled = rng.permuted(np.tile(pooled, (rounds, 1)), axis=1)
    seen = np.median(current) - np.median(reference)
    apart = np.abs(np.median(shuffled[:, :n], axis=1) - np.median(shuffled[:, n:], axis=1))
    return seen, (1 + (apart >= abs(seen)).sum()) / (1 + rounds)


class TestMedianShift(DriftTestSuite):
    """What a function becomes keeps every promise of a drift test."""

    repetitions = 100

    def drift_test(self) -> DriftTest:
        return drift_test_class(median_shift, "here")()


def test_options_and_text_are_those_of_the_function() -> None:
    made = drift_test_class(median_shift, "here")
    (option,) = attrs.fields(made)  # type: ignore[arg-type]  # an attrs class made while the program runs
    assert (option.name, option.default, option.metadata["help"]) == ("rounds", 39, "random divisions")
    assert (made.__name__, made.__doc__) == ("median_shift", "Whether the median moved.")
    assert (made.scope, sorted(made.kinds), made.effect_threshold) == ("column", ["numeric"], 0.0)


@pytest.mark.parametrize("answer", [(-0.5, 0.25), (-0.5, 0.25, 0.5), TestOutcome(-0.5, 0.25, 0.5, "same size", 3, 2)])
def test_answers_in_each_form(answer: Any) -> None:
    def same_size(reference: Any, current: Any) -> Any:
        return answer

    made = drift_test_class(same_size, "here")()
    assert made.compare(np.zeros(3), np.zeros(2), rng=np.random.default_rng(1)) == TestOutcome(-0.5, 0.25, 0.5, "same size", 3, 2)


def test_what_the_decorator_says_the_class_has() -> None:
    @drift_test(scope="table", kinds=["numeric", "categorical"], effect_threshold=0.1)
    def whole(reference: Any, current: Any) -> tuple[float, float]:
        return 0.0, 1.0

    made = drift_test_class(whole, "here")
    assert (made.scope, sorted(made.kinds), made.effect_threshold) == ("table", ["categorical", "numeric"], 0.1)
    assert whole(None, None) == (0.0, 1.0)


def test_a_function_of_other_parameters_is_refused() -> None:
    with pytest.raises(PluginError, match=r"here: one takes other than two samples - begin with \(reference, current, \*, \.\.\.\)"):
        drift_test_class(_one, "here")


def _one(sample: Any) -> tuple[float, float]:
    return 0.0, 1.0


_one.__name__ = "one"


def test_the_configuration_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "detectors.py").write_text(
        "def gap(reference, current, *, least: float = 0.0):\n    return current.mean() - reference.mean() - least, 0.01\n"
        "def broken(reference, current):\n    return 'x'\n"
    )
    (tmp_path / "mlops.yaml").write_text(
        "version: 1\nproject: demo\nregistry: {use: sqlite, path: registry.db}\ndrift: {tests: [{use: './detectors.py:gap', least: 1.0}]}\n"
    )
    monkeypatch.chdir(tmp_path)
    (found,) = DriftDetector().detect_data_drift([1.0, 2.0], [3.0, 4.0]).outcomes
    assert (found.test, found.statistic, found.p_value, found.method) == ("gap", 1.0, 0.01, "gap")
    with pytest.raises(DriftDetectionError, match="failed on column 'x0'"):
        DriftDetector(tests=["./detectors.py:broken"]).detect_data_drift([1.0, 2.0], [3.0, 4.0])
