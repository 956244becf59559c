"""Drift tests beside what people use for them, on the same row-major tables of 20 columns and 100,000 rows on either side.

    python benchmarks/drift.py [ks] [import] [psi] [--small] [--json] [--check] [--peer PYTHON]

``ks``: this project's test and a loop over ``scipy.stats.ks_2samp``, in turn; also with a fitted reference, and the whole check of a
``DriftDetector``. ``import``: whole processes that import the tests' modules, and ones that import ``scipy.stats``. ``psi``: this project's
test and the one of frouros, in turn, each fitted and compared; frouros needs older versions of numpy and scipy, so that it runs in an
environment of its own, made for the occasion unless ``--peer`` names its interpreter. ``--check`` exits 1 where a goal is missed.
``--small`` tries everything in half a minute, and checks nothing.
"""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from _lines import Line, answer, at_most, faster, parser
from _turns import in_turn, interpreter, peer, seconds
from attrs import evolve
from numpy.typing import NDArray
from scipy import stats

from mlops_core import DriftDetector
from mlops_drift_ks import KolmogorovSmirnov
from mlops_drift_psi import PopulationStability

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mlops_core.roles import DriftTest

PARTS: Final = ("ks", "import", "psi")
COLUMNS: Final = 20
FASTER: Final = {"ks": 7.0, "psi": 1.0}  # times
IMPORT: Final = 1.2  # times as long
MODULES: Final = "mlops_drift_ks, mlops_drift_psi"
PEER: Final = "frouros==0.9.0"
DISTRIBUTIONS: Final = ("motadata-mlops-core", "motadata-mlops-drift-ks", "motadata-mlops-drift-psi", "numpy", "scipy")

Table = NDArray[np.float64]


def tables(rows: int) -> tuple[Table, Table]:
    """A reference and a current table of one distribution, in C order."""
    rng = np.random.default_rng(2013)
    return rng.normal(size=(rows, COLUMNS)), rng.normal(size=(rows, COLUMNS))


def fitted(test: DriftTest, reference: Table) -> list[Any]:
    """Every column, prepared."""
    return [test.prepare(column) for column in reference.T]


def kolmogorov_smirnov(rows: int, rounds: int) -> list[Line]:
    """Both sides must find the same distances; then all are timed."""
    reference, current = tables(rows)
    test, rng = KolmogorovSmirnov(), np.random.default_rng(0)
    prepared, detector = fitted(test, reference), DriftDetector(tests=["ks"])

    def loop() -> list[float]:
        return [float(stats.ks_2samp(before, after).statistic) for before, after in zip(reference.T, current.T, strict=True)]

    found = [outcome.statistic for outcome in test.compare_columns(prepared, current, rng=rng)]
    if not np.allclose(found, loop(), rtol=1e-12, atol=0):
        raise SystemExit("ks: the two sides disagree")
    sides: dict[str, Callable[[], object]] = {
        "scipy": loop,
        "ks": lambda: test.compare_columns(fitted(test, reference), current, rng=rng),
        "ks, fitted": lambda: test.compare_columns(prepared, current, rng=rng),
        "ks, whole check": lambda: detector.detect_data_drift(reference, current),
    }
    took = in_turn({name: lambda act=act: seconds(act) for name, act in sides.items()}, rounds)  # type: ignore[misc]  # a default binds it
    return [_faster(name, took[name], "scipy", took["scipy"], rows) for name in sides if name != "scipy"]


def _faster(name: str, mine: float, peer: str, other: float, rows: int) -> Line:
    return faster(f"{name}, {COLUMNS} x {rows}", mine, peer, other, FASTER.get(name, 0), rows=rows, columns=COLUMNS)


def importing(rounds: int) -> list[Line]:
    """Bytecode is cached, as it is for everybody after the first call."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}

    def process(names: str) -> float:
        return seconds(lambda: subprocess.run([sys.executable, "-c", f"import {names}"], env=environment, check=True))

    took = in_turn({"tests": lambda: process(MODULES), "scipy": lambda: process("scipy.stats")}, rounds)
    ratio, data = took["tests"] / took["scipy"], {"ms": took["tests"] * 1000, "scipy_ms": took["scipy"] * 1000}
    return [at_most(f"import {MODULES}", ratio, "times as long as scipy.stats", IMPORT, **data)]


def stability(rows: int, rounds: int, given: str | None) -> list[Line]:
    """Both fit and compare every column in each round. This side also answers p-values; the peer has none."""
    reference, current = tables(rows)
    test, rng = PopulationStability(), np.random.default_rng(0)

    def mine() -> float:
        return seconds(lambda: test.compare_columns(fitted(test, reference), current, rng=rng))

    with interpreter(given, PEER) as python, peer("psi", python, reference=reference, current=current) as other:
        took = in_turn({"psi": mine, "frouros": other.a_round}, rounds)
    return [evolve(_faster("psi", took["psi"], "frouros", took["frouros"], rows), peer=other.told)]


def measure(parts: Sequence[str], *, small: bool, given: str | None) -> list[Line]:
    """All lines of these parts."""
    rows, rounds = (5000, 3) if small else (100_000, 9)
    lines: list[Line] = []
    if "ks" in parts:
        lines += kolmogorov_smirnov(rows, rounds)
    if "import" in parts:
        lines += importing(3 if small else 21)
    if "psi" in parts:
        lines += stability(rows, rounds, given)
    return lines


def main() -> int:
    """Measure and print; 0 where every goal holds or none is asked for."""
    options = parser(__doc__, PARTS)
    options.add_argument("--peer", metavar="PYTHON", help="an interpreter that has frouros; without it an environment is made")
    asked = options.parse_args()
    return answer(asked, measure(asked.parts, small=asked.small, given=asked.peer), DISTRIBUTIONS)


if __name__ == "__main__":
    sys.exit(main())
