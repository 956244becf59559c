"""The example meets the contract of drift tests, and is found by its name once it is installed."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from rank_sum_drift import RankSum
from scipy import stats

from mlops_core import DriftDetector
from mlops_core.testing.drift_suite import DriftTestSuite


class TestConformance(DriftTestSuite):
    symmetric: ClassVar[bool] = True
    monotone: ClassVar[bool] = True

    def drift_test(self) -> RankSum:
        return RankSum()


@pytest.mark.parametrize("decimals", [0, 1, 8])
def test_the_p_value_is_that_of_scipy(decimals: int) -> None:
    rng = np.random.default_rng(decimals)
    before, after = np.round(rng.normal(size=70), decimals), np.round(rng.normal(0.3, size=50), decimals)
    test = RankSum()
    outcome = test.compare(test.prepare(before), after, rng=rng)
    expected = stats.mannwhitneyu(after, before, method="asymptotic")
    assert outcome.p_value == pytest.approx(expected.pvalue, rel=1e-12)
    assert outcome.statistic == pytest.approx(expected.statistic - 70 * 50 / 2)


def test_it_is_named_like_any_other_test() -> None:
    rng = np.random.default_rng(5)
    before, after = rng.normal(size=(200, 2)), rng.normal([0.0, 1.0], size=(150, 2))
    found = DriftDetector(tests=["rank-sum"]).detect_data_drift(before, after, min_effect="conventional")
    assert {one.test for one in found.outcomes} == {"rank-sum"}
    assert found.drifted_columns == ("x1",)


def test_its_options_are_written_in_the_configuration() -> None:
    Path("mlops.yaml").write_text("version: 1\nproject: example\ndrift: {tests: [{use: rank-sum, continuity: false}]}\n")
    rng = np.random.default_rng(5)
    before, after = rng.normal(size=20), rng.normal(size=15)
    plain = RankSum(continuity=False)
    found = DriftDetector().detect_data_drift(before, after)
    assert found.outcomes[0].p_value == plain.compare(plain.prepare(before), after, rng=rng).p_value
