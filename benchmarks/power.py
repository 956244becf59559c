"""How often the kernel tests see a change of known size, beside the rates of the MMD-FUSE paper.

    python benchmarks/power.py [1 1.4 1.6 1.8 2] [--tests mmd_fuse] [--repetitions 400] [--permutations 2000] [--small] [--json] [--check]

Two samples of 500 rows of an equal mixture of four normal distributions N((+-20, +-20), I); in the second sample one of the four has the
standard deviation that is named, 1 being no change. Biggs, Schrab and Gretton (2023, MMD-FUSE, NeurIPS 36, figure 1) report the shares of
200 such pairs that each test tells apart at 0.05. ``--check`` exits 1 where a rate lies more than three standard errors of the difference
from theirs. Without a deviation only that of 1.6 is measured: all take more than an hour on one core. ``--small`` tries everything in
seconds, and checks nothing.
"""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING, Final

import numpy as np
from _lines import Line, answer, parser

from mlops_drift_mmd import AggregatedDiscrepancy, FusedDiscrepancy, MaximumMeanDiscrepancy

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.random import Generator
    from numpy.typing import NDArray

    from mlops_core.roles import DriftTest

PUBLISHED: Final = {  # by test and standard deviation, of 200 repetitions
    "mmd_fuse": {1.0: 0.035, 1.4: 0.235, 1.6: 0.635, 1.8: 0.84, 2.0: 0.905},
    "mmd_agg": {1.0: 0.05, 1.4: 0.25, 1.6: 0.675, 1.8: 0.91, 2.0: 0.945},
    "mmd": {1.0: 0.035, 1.4: 0.04, 1.6: 0.03, 1.8: 0.035, 2.0: 0.05},
}
TESTS: Final[Mapping[str, Callable[[int], DriftTest]]] = {  # of so many permutations
    "mmd_fuse": lambda permutations: FusedDiscrepancy(permutations=permutations, standardise=False),
    "mmd_agg": lambda permutations: AggregatedDiscrepancy(permutations=permutations, standardise=False),
    "mmd": lambda permutations: MaximumMeanDiscrepancy(permutations=permutations, standardise=False),
}
THEIRS: Final = 200
ROWS: Final = 500
USUAL: Final = "1.6"  # where the tests differ most
LEVEL: Final = 0.05
ERRORS: Final = 3.0
CENTRES: Final = np.array([[20.0, 20.0], [20.0, -20.0], [-20.0, 20.0], [-20.0, -20.0]])
DISTRIBUTIONS: Final = ("motadata-mlops-drift-mmd", "numpy", "scipy")


def mixture(rng: Generator, rows: int, deviation: float) -> NDArray[np.float64]:
    """Rows of the mixture, whose first component has this standard deviation."""
    component = rng.integers(len(CENTRES), size=rows)
    spread = np.where(component == 0, deviation, 1.0)[:, None]
    return CENTRES[component] + rng.normal(size=(rows, 2)) * spread


def measure(name: str, deviation: float, repetitions: int, permutations: int) -> Line:
    """One cell of the paper's figure: the share of pairs of samples that a test told apart, and the published one."""
    rng, test, published = np.random.default_rng(round(deviation * 10)), TESTS[name](permutations), PUBLISHED[name][deviation]
    told_apart = 0
    for _ in range(repetitions):
        reference = test.prepare(mixture(rng, ROWS, 1.0))
        told_apart += test.compare(reference, mixture(rng, ROWS, deviation), rng=rng).p_value <= LEVEL
    shared = (told_apart + published * THEIRS) / (repetitions + THEIRS)
    error = math.sqrt(max(shared * (1 - shared), 1e-9) * (1 / repetitions + 1 / THEIRS))
    rate = told_apart / repetitions
    errors = (rate - published) / error
    figure = f"{rate:6.3f}  published {published:5.3f}  {errors:+5.1f} standard errors"
    data = {"test": name, "deviation": deviation, "rate": rate, "published": published, "errors": errors}
    told = {"repetitions": repetitions, "permutations": permutations}
    return Line(f"{name} deviation {deviation:g}", figure, f"within {ERRORS:g}", abs(errors) <= ERRORS, {**data, **told})


def main() -> int:
    """Measure and print; 0 where every rate is as published or none is asked to be."""
    options = parser(__doc__, [f"{one:g}" for one in PUBLISHED["mmd"]], [USUAL])
    options.add_argument("--tests", nargs="+", choices=list(TESTS), default=list(TESTS), help="only these tests")
    options.add_argument("--repetitions", type=int, default=400, help="pairs of samples for each (400)")
    options.add_argument("--permutations", type=int, default=2000, help="permutations of each test (2000, as in the paper)")
    asked = options.parse_args()
    repetitions, permutations = (5, 99) if asked.small else (asked.repetitions, asked.permutations)
    lines = [measure(name, float(deviation), repetitions, permutations) for deviation in asked.parts for name in asked.tests]
    return answer(asked, lines, DISTRIBUTIONS)


if __name__ == "__main__":
    sys.exit(main())
