"""How often a whole call raises an alarm where nothing changed: the promise of each correction, on columns that hang together."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np
import pytest

from mlops_core.drift import DriftDetector
from mlops_core.drift.correction import CORRECTIONS, adjust
from mlops_core.testing.stack import make_stack
from mlops_drift_ks import KolmogorovSmirnov
from mlops_drift_psi import PopulationStability

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.random import Generator
    from numpy.typing import NDArray

ALPHA: Final = 0.05
REPETITIONS: Final = 200
LARGEST: Final = ALPHA + 3 * math.sqrt(ALPHA * (1 - ALPHA) / REPETITIONS)
FINEST: Final = 1999  # permutations: the strictest correction of 20 p-values asks for one of 0.0007


@pytest.fixture
def detector(tmp_path: Path) -> DriftDetector:
    tests = {"ks": KolmogorovSmirnov(), "psi": PopulationStability(permutations=FINEST)}
    return DriftDetector(stack=make_stack(tmp_path / "project", drift_tests=tests))


def correlated(rng: Generator, rho: float) -> NDArray[np.float64]:
    """200 rows of ten columns, any two of which have the correlation ``rho``."""
    return np.asarray(math.sqrt(rho) * rng.normal(size=(200, 1)) + math.sqrt(1 - rho) * rng.normal(size=(200, 10)))


@pytest.mark.parametrize("rho", [0.0, 0.5, 0.9])
def test_a_call_raises_no_more_false_alarms_than_its_correction_allows(detector: DriftDetector, rho: float) -> None:
    """Each repetition draws both sides anew; as a correction decides by the p-values only, all are asked of one call's."""
    rng = np.random.default_rng(41)
    alarms = dict.fromkeys(CORRECTIONS, 0)
    for seed in range(REPETITIONS):
        before, after = correlated(rng, rho), correlated(rng, rho)
        uncorrected = detector.detect_data_drift(before, after, ALPHA, correction="none", seed=seed)
        p_values = [one.p_value for one in uncorrected.outcomes]
        verdicts = {name: min(adjust(p_values, name)) <= ALPHA for name in CORRECTIONS}
        assert len(p_values) == 20
        if verdicts["holm"]:
            told = {name: detector.detect_data_drift(before, after, ALPHA, correction=name, seed=seed) for name in CORRECTIONS}
            assert {name: found.drift_detected for name, found in told.items()} == verdicts
        for name, alarm in verdicts.items():
            alarms[name] += alarm

    rates = {name: count / REPETITIONS for name, count in alarms.items()}
    assert rates.pop("none") > 0.3
    assert {name: rate for name, rate in rates.items() if rate > LARGEST} == {}
    assert min(rates.values()) > 0, "an alarm is possible at all"
