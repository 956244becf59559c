"""How long the tests of a whole table take, and what memory a kernel test of 5,000 rows on each side adds.

    python benchmarks/mmd.py [--repeats 5] [--small] [--json] [--check]

Normal data of 32 columns, no change; the best of the repeats, in which the sides of a size take turns, so that a machine that is busy for a
while slows all alike. Preparing the reference counts. Memory is the peak that Python and numpy allocate during a comparison. ``--check``
exits 1 where a goal is missed. ``--small`` tries everything in seconds, and checks nothing.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
import tracemalloc
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from attrs import asdict, frozen
from numpy.typing import NDArray

from mlops_drift_mmd import AggregatedDiscrepancy, ClassifierTest, FourierDiscrepancy, FusedDiscrepancy, MaximumMeanDiscrepancy

if TYPE_CHECKING:
    from mlops_core.roles import DriftTest

COLUMNS: Final = 32
SECONDS: Final = {("mmd", 1000, 100): 0.15, ("mmd", 2000, 100): 0.4, ("mmd", 2000, 1000): 1.2}  # goals on two cores
MEGABYTES: Final = 100.0
DISTRIBUTIONS: Final = ("motadata-mlops-drift-mmd", "numpy", "scipy")

Side = Callable[[NDArray[np.float64], NDArray[np.float64], int], object]
"""A test of (reference, current, permutations). One more program is one more entry of ``SIDES``."""


@frozen
class Line:
    """A figure in its unit, and the goal that it is held to, 0 for none."""

    name: str
    figure: float
    unit: str
    goal: float

    @property
    def holds(self) -> bool:
        """Whether the goal is met."""
        return not self.goal or self.figure <= self.goal


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


def durations(rows: int, permutations: int, repeats: int) -> list[Line]:
    """The shortest time of each side, of this many turns after one that warms up."""
    reference, current = samples(rows)
    best = dict.fromkeys(SIDES, np.inf)
    for turn in range(-1, repeats):
        for name, run in SIDES.items():
            began = time.perf_counter()
            run(reference, current, permutations)
            if turn >= 0:
                best[name] = min(best[name], time.perf_counter() - began)
    told = f"{rows:,} x {rows:,} rows, {permutations:,} permutations"
    return [Line(f"{name}, {told}", float(found), "s", SECONDS.get((name, rows, permutations), 0.0)) for name, found in best.items()]


def memory(rows: int) -> Line:
    """What ``mmd`` allocates at most, with its default number of permutations."""
    reference, current = samples(rows)
    test = MaximumMeanDiscrepancy(max_rows=rows)
    prepared, rng = test.prepare(reference), np.random.default_rng(0)
    tracemalloc.start()
    test.compare(prepared, current, rng=rng)
    peak = tracemalloc.get_traced_memory()[1] / 1e6
    tracemalloc.stop()
    return Line(f"mmd, {rows:,} x {rows:,} rows, {test.permutations} permutations", peak, "MB", MEGABYTES)


def show(lines: Sequence[Line], *, small: bool) -> None:
    """A line for each figure."""
    for one in lines:
        goal = f"  <= {one.goal:g} {one.unit} {'' if one.holds else '- MISSED'}" if one.goal and not small else ""
        print(f"{one.name:<48} {one.figure:8.3f} {one.unit}{goal}")


def main() -> int:
    """Measure and print; 0 where every goal holds or none is asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--repeats", type=int, default=5, help="turns of each size (5)")
    parser.add_argument("--small", action="store_true", help="fewer rows, and no goals")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--check", action="store_true", help="exit 1 where a goal is missed")
    asked = parser.parse_args()
    sizes = [(100, 39), (200, 39)] if asked.small else [(1000, 100), (1000, 1000), (2000, 100), (2000, 1000)]
    lines = [line for rows, permutations in sizes for line in durations(rows, permutations, 1 if asked.small else asked.repeats)]
    lines.append(memory(500 if asked.small else 5000))
    if asked.json:
        versions: dict[str, Any] = {name: version(name) for name in DISTRIBUTIONS} | {"python": platform.python_version()}
        print(json.dumps({"versions": versions, "lines": [{**asdict(one), "holds": one.holds} for one in lines]}))
    else:
        show(lines, small=asked.small)
    return int(asked.check and not asked.small and not all(one.holds for one in lines))


if __name__ == "__main__":
    sys.exit(main())
