"""How often every drift test rejects at 0.05 where nothing changed.

    python benchmarks/validity.py [ks mmd call ...] [--sizes 50x50 500x5000] [--repetitions 2000] [--permutations 99] [--jobs 2]
                                  [--long] [--small] [--json] [--check]

Both samples are drawn anew from one distribution in every repetition, a reference of n and current data of m values: normal, rounded so
that there are ties, Cauchy, for tests of the whole table three normal columns of which any two have the correlation 0.5 or 0.9 too, for
tests of categories five of them. ``call`` is ``DriftDetector.detect_data_drift`` as it is without any settings, on ten columns that are
independent or correlated: whether it raises an alarm, by correction.

``--check`` exits 1 where a rate is above 0.0625, or one of a permutation test on continuous data below 0.0375: 0.05 and 2.565 standard
errors of 2,000 repetitions (as many of theirs with fewer). Of some hundred lines a few are beyond it by chance, so such a line is measured
again with four times as many fresh repetitions, which have to be within. Tests of the whole table use at most ``max_rows`` rows of each
side (``mmd_agg`` and ``mmd_fuse`` 1,000, ``mmd`` 2,000). With more than 200 rows they take hours on one core and are left out unless
``--long`` is given or they are of the ``--sizes`` asked for; the rest takes some twenty minutes. ``--small`` tries everything in seconds,
and checks nothing.
"""

from __future__ import annotations

import math
import sys
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from _lines import Line, answer, parser
from attrs import asdict, frozen

from mlops_core.drift import DriftDetector
from mlops_core.drift.correction import CORRECTIONS, adjust
from mlops_drift_ks import CramerVonMises, Energy, KolmogorovSmirnov, Wasserstein
from mlops_drift_mmd import AggregatedDiscrepancy, ClassifierTest, FourierDiscrepancy, FusedDiscrepancy, MaximumMeanDiscrepancy
from mlops_drift_psi import ChiSquare, JensenShannon, PopulationStability

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from numpy.random import Generator
    from numpy.typing import NDArray

    from mlops_core.roles import DriftTest

RANKED: Final[Mapping[str, Callable[..., DriftTest]]] = {"ks": KolmogorovSmirnov, "cvm": CramerVonMises}
DISTANCES: Final[Mapping[str, Callable[..., DriftTest]]] = {"wasserstein": Wasserstein, "energy": Energy}
BINNED: Final[Mapping[str, Callable[..., DriftTest]]] = {"psi": PopulationStability, "js": JensenShannon, "chi2": ChiSquare}
TABLE: Final[Mapping[str, Callable[..., DriftTest]]] = {
    "mmd": MaximumMeanDiscrepancy,
    "mmd_rff": FourierDiscrepancy,
    "mmd_agg": AggregatedDiscrepancy,
    "mmd_fuse": FusedDiscrepancy,
    "c2st": ClassifierTest,
}
CALL: Final = "call"
PERMUTED: Final = {**DISTANCES, **BINNED, **TABLE}  # they take a number of permutations
TESTS: Final = (*RANKED, *PERMUTED, CALL)
SIZES: Final = ((50, 50), (50, 200), (500, 500), (5000, 500), (5000, 5000))
QUICK: Final = 200  # rows of a table test that take minutes
DISCRETE: Final = ("ties", "categories")
LEVEL: Final = 0.05
ERRORS: Final = 2.565  # standard errors: 0.0125 with 2,000 repetitions
AGAIN: Final = 4
SHARES: Final = (0.5, 0.25, 0.15, 0.09, 0.01)
DISTRIBUTIONS: Final = ("motadata-mlops-drift-ks", "motadata-mlops-drift-mmd", "motadata-mlops-drift-psi", "numpy", "scipy")


@frozen
class Cell:
    """What is measured: a test, or ``call``, on samples of n and m of one distribution."""

    test: str
    data: str
    n: int
    m: int


@frozen
class Rate:
    """The share of repetitions that were rejected, and the bounds that it has to keep."""

    test: str
    data: str
    n: int
    m: int
    rate: float
    repetitions: int
    least: float
    most: float

    @property
    def holds(self) -> bool:
        """Within its bounds."""
        return self.least <= self.rate <= self.most

    @property
    def error(self) -> float:
        """Its standard error."""
        return math.sqrt(self.rate * (1 - self.rate) / self.repetitions)


def cells(tests: Sequence[str], sizes: Sequence[tuple[int, int]] | None, *, long: bool) -> Iterator[Cell]:
    """Every combination that is asked for."""
    for test in tests:
        if test == CALL:
            yield from (Cell(test, data, 200, 200) for data in ("rho 0", "rho 0.5", "rho 0.9"))
            continue
        kinds = [
            "normal",
            "ties",
            "cauchy",
            *(("rho 0.5", "rho 0.9") if test in TABLE else ()),
            *(("categories",) if test in BINNED else ()),
        ]
        usual = [size for size in SIZES if long or test not in TABLE or max(size) <= QUICK]
        yield from (Cell(test, data, n, m) for data in kinds for n, m in sizes or usual)


def sample(rng: Generator, data: str, rows: int, columns: int) -> NDArray[Any]:
    """Values (rows, columns) of one of the distributions."""
    shape = rows, columns
    if data == "categories":
        return rng.choice(len(SHARES), p=SHARES, size=shape)
    if data == "cauchy":
        return rng.standard_cauchy(size=shape)
    if data == "ties":
        return np.round(rng.normal(size=shape) * 3)
    rho = float(data.removeprefix("rho ")) if data.startswith("rho") else 0.0
    return np.asarray(math.sqrt(rho) * rng.normal(size=(rows, 1)) + math.sqrt(1 - rho) * rng.normal(size=shape))


def rejections(cell: Cell, repetitions: int, permutations: int, rng: Generator) -> dict[str, int]:
    """How many repetitions were rejected, by what rejected them: the test, or a call with a correction."""
    if cell.test == CALL:
        return alarms(cell, repetitions, rng)
    test = RANKED[cell.test]() if cell.test in RANKED else PERMUTED[cell.test](permutations=permutations)
    found = 0
    for _ in range(repetitions):
        before, after = (sample(rng, cell.data, rows, 3 if cell.test in TABLE else 1) for rows in (cell.n, cell.m))
        if cell.test not in TABLE:
            before, after = before[:, 0], after[:, 0]
        found += test.compare(test.prepare(before), after, rng=rng).p_value <= LEVEL
    return {cell.test: found}


def alarms(cell: Cell, repetitions: int, rng: Generator) -> dict[str, int]:
    """How many whole calls raised an alarm, by correction; a correction decides by the p-values only, so one call serves all of them."""
    detector = DriftDetector()
    found = dict.fromkeys((f"{CALL} {name}" for name in CORRECTIONS if name != "none"), 0)
    for seed in range(repetitions):
        before, after = (sample(rng, cell.data, rows, 10) for rows in (cell.n, cell.m))
        p_values = [one.p_value for one in detector.detect_data_drift(before, after, LEVEL, correction="none", seed=seed).outcomes]
        for name in found:
            found[name] += min(adjust(p_values, name.removeprefix(f"{CALL} "))) <= LEVEL
    return found


def measure(cell: Cell, repetitions: int, permutations: int) -> list[Rate]:
    """The rates of one cell, measured again where one is beyond its bounds."""
    rng = np.random.default_rng(list(f"{cell.test} {cell.data} {cell.n} {cell.m}".encode()))
    width = ERRORS * math.sqrt(LEVEL * (1 - LEVEL) / repetitions)
    both_sides = cell.test in DISTANCES.keys() | TABLE.keys() and cell.data not in DISCRETE
    least, most = (LEVEL - width if both_sides else 0.0), LEVEL + width

    def rates(count: int) -> list[Rate]:
        found = rejections(cell, count, permutations, rng)
        return [Rate(name, cell.data, cell.n, cell.m, hits / count, count, least, most) for name, hits in found.items()]

    first = rates(repetitions)
    return first if all(one.holds for one in first) else rates(AGAIN * repetitions)


def line(one: Rate) -> Line:
    """A rate and its bounds."""
    figure = f"{one.rate:.4f} +- {one.error:.4f} of {one.repetitions}"
    return Line(f"{one.test}, {one.data}, {one.n} x {one.m}", figure, f"{one.least:.4f} to {one.most:.4f}", one.holds, asdict(one))


def told(rates: Iterable[Rate]) -> Iterator[Line]:
    """A line for each rate; beside the answer, which comes in the end, as soon as it is known."""
    for made in map(line, rates):
        print(f"{made.name}: {made.figure}", file=sys.stderr, flush=True)
        yield made


def size(text: str) -> tuple[int, int]:
    """``50x200`` as two numbers."""
    n, _, m = text.partition("x")
    return int(n), int(m)


def main() -> int:
    """Measure and print; 0 where every rate is within its bounds or none is asked to be."""
    options = parser(__doc__, TESTS)
    options.add_argument("--sizes", nargs="+", type=size, help="rows of reference and current data, such as 50x200, of all but calls")
    options.add_argument("--repetitions", type=int, default=2000, help="pairs of samples for each rate (2000)")
    options.add_argument("--permutations", type=int, default=99, help="of the tests that permute or simulate (99)")
    options.add_argument("--jobs", type=int, default=1, help="processes (1)")
    options.add_argument("--long", action="store_true", help=f"tests of the whole table with more than {QUICK} rows too")
    asked = options.parse_args()
    repetitions = 5 if asked.small else asked.repetitions
    chosen = cells(asked.parts, SIZES[:1] if asked.small else asked.sizes, long=asked.long)
    with ProcessPoolExecutor(asked.jobs) as pool:
        each = partial(measure, repetitions=repetitions, permutations=asked.permutations)
        lines = list(told(chain.from_iterable(pool.map(each, chosen))))
    return answer(asked, lines, DISTRIBUTIONS)


if __name__ == "__main__":
    sys.exit(main())
