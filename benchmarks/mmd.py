"""The tests of a whole table: MMD beside what people use for it, how long all take, and what memory a kernel test adds.

    python benchmarks/mmd.py [peer] [tests] [memory] [--repeats 5] [--small] [--json] [--check] [--peer PYTHON]

Normal data of 32 columns, no change; preparing the reference counts. ``peer``: ``mmd`` and the permutation test of alibi-detect, in turn,
medians and their ratio. It needs older versions of numpy and scipy, so that it runs in an environment of its own, made for the occasion
unless ``--peer`` names its interpreter: of two gigabytes with a torch for CPUs only, of more with the usual one. Where other programs are
busy, ``OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1`` compares one thread with one, as neither waits for threads that do not run. ``tests``:
the best of the repeats, in which all tests take turns. ``memory``: the peak that Python and numpy allocate to compare 5,000 rows with as
many. ``--check`` exits 1 where a goal is missed. ``--small`` tries everything in seconds, and checks nothing.
"""

from __future__ import annotations

import sys
import tracemalloc
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final

import numpy as np
from _lines import Line, answer, at_most, faster, parser
from _turns import in_turn, interpreter, peer, seconds
from attrs import evolve
from numpy.typing import NDArray

from mlops_drift_mmd import AggregatedDiscrepancy, ClassifierTest, FourierDiscrepancy, FusedDiscrepancy, MaximumMeanDiscrepancy

if TYPE_CHECKING:
    from mlops_core.roles import DriftTest

PARTS: Final = ("peer", "tests", "memory")
COLUMNS: Final = 32
FASTER: Final = 80.0  # times
PEER: Final = ("alibi-detect[torch]==0.13.0",)
SIZES: Final = ((1000, 100), (1000, 1000), (2000, 100), (2000, 1000))  # rows of each side, permutations
SECONDS: Final = {("mmd", 1000, 100): 0.15, ("mmd", 2000, 100): 0.4, ("mmd", 2000, 1000): 1.2}  # goals on two cores
MEGABYTES: Final = 100.0
DISTRIBUTIONS: Final = ("motadata-mlops-drift-mmd", "numpy", "scipy")

Side = Callable[[NDArray[np.float64], NDArray[np.float64], int], object]
"""A test of (reference, current, permutations)."""


def side(kind: Callable[..., DriftTest]) -> Side:
    """A test of this project, on all rows."""

    def run(reference: NDArray[np.float64], current: NDArray[np.float64], permutations: int) -> object:
        test = kind(permutations=permutations, max_rows=len(reference))
        return test.compare(test.prepare(reference), current, rng=np.random.default_rng(0))

    return run


SIDES: Final[Mapping[str, Side]] = {
    "mmd": side(MaximumMeanDiscrepancy),
    "mmd_rff": side(FourierDiscrepancy),
    "c2st": side(ClassifierTest),
    "mmd_agg": side(AggregatedDiscrepancy),
    "mmd_fuse": side(FusedDiscrepancy),
}


def samples(rows: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Two samples of one distribution."""
    rng = np.random.default_rng(rows)
    return rng.normal(size=(rows, COLUMNS)), rng.normal(size=(rows, COLUMNS))


def beside(sizes: Sequence[tuple[int, int]], repeats: int, given: str | None) -> list[Line]:
    """``mmd`` and the peer on the same rows, with p-values."""
    lines = []
    with interpreter(given, *PEER) as python:
        for rows, permutations in sizes:
            reference, current = samples(rows)
            mine = partial(seconds, partial(SIDES["mmd"], reference, current, permutations))
            with peer("mmd", python, reference=reference, current=current, permutations=permutations) as other:
                took = in_turn({"mmd": mine, "peer": other.a_round}, repeats)
            line = faster(_name("mmd", rows, permutations), took["mmd"], "alibi-detect", took["peer"], FASTER, found=other.found)
            lines.append(evolve(line, peer=other.told))
    return lines


def _name(test: str, rows: int, permutations: int) -> str:
    return f"{test}, {rows:,} x {rows:,} rows, {permutations:,} permutations"


def durations(rows: int, permutations: int, repeats: int) -> list[Line]:
    """The shortest time of each test, of this many turns after one that warms up."""
    reference, current = samples(rows)
    sides = {name: partial(seconds, partial(run, reference, current, permutations)) for name, run in SIDES.items()}
    took = in_turn(sides, repeats, middle=min)
    return [at_most(_name(name, rows, permutations), best, "s", SECONDS.get((name, rows, permutations), 0)) for name, best in took.items()]


def memory(rows: int) -> Line:
    """What ``mmd`` allocates at most, with its default number of permutations."""
    reference, current = samples(rows)
    test = MaximumMeanDiscrepancy(max_rows=rows)
    prepared, rng = test.prepare(reference), np.random.default_rng(0)
    tracemalloc.start()
    test.compare(prepared, current, rng=rng)
    peak = tracemalloc.get_traced_memory()[1] / 1e6
    tracemalloc.stop()
    return at_most(_name("mmd", rows, test.permutations), peak, "MB", MEGABYTES)


def measure(parts: Sequence[str], repeats: int, *, small: bool, given: str | None) -> list[Line]:
    """All lines of these parts."""
    sizes = ((100, 39), (200, 39)) if small else SIZES
    lines: list[Line] = []
    if "peer" in parts:
        lines += beside(sizes[:3], repeats, given)
    if "tests" in parts:
        lines += [line for rows, permutations in sizes for line in durations(rows, permutations, repeats)]
    if "memory" in parts:
        lines.append(memory(500 if small else 5000))
    return lines


def main() -> int:
    """Measure and print; 0 where every goal holds or none is asked for."""
    options = parser(__doc__, PARTS)
    options.add_argument("--repeats", type=int, default=5, help="turns of each size (5)")
    options.add_argument(
        "--peer", metavar="PYTHON", help="an interpreter that has alibi-detect and torch; without it an environment is made"
    )
    asked = options.parse_args()
    repeats = 1 if asked.small else asked.repeats
    return answer(asked, measure(asked.parts, repeats, small=asked.small, given=asked.peer), DISTRIBUTIONS)


if __name__ == "__main__":
    sys.exit(main())
