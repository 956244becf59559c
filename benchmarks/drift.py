"""Drift tests beside what people use for them, on the same row-major tables of 20 columns and 100,000 rows on either side.

    python benchmarks/drift.py [ks] [import] [psi] [--small] [--json] [--check] [--peer PYTHON]

``ks``: this project's test and a loop over ``scipy.stats.ks_2samp``, in turn; also with a fitted reference, and the whole check of a
``DriftDetector``. ``import``: whole processes that import the tests' modules, and ones that import ``scipy.stats``. ``psi``: this project's
test and the one of frouros, in turn, each fitted and compared; frouros needs older versions of numpy and scipy, so that it runs in an
environment of its own, made for the occasion unless ``--peer`` names its interpreter. ``--check`` exits 1 where a goal is missed.
``--small`` tries everything in half a minute, and checks nothing.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from attrs import frozen
from numpy.typing import NDArray
from scipy import stats

from mlops_core import DriftDetector
from mlops_drift_ks import KolmogorovSmirnov
from mlops_drift_psi import PopulationStability

if TYPE_CHECKING:
    from mlops_core.roles import DriftTest

PARTS: Final = ("ks", "import", "psi")
COLUMNS: Final = 20
FASTER: Final = {"ks": 7.0, "psi": 1.0}  # times
IMPORT: Final = 1.2  # times as long
MODULES: Final = "mlops_drift_ks, mlops_drift_psi"
PEER: Final = "frouros==0.9.0"
DISTRIBUTIONS: Final = ("motadata-mlops-core", "motadata-mlops-drift-ks", "motadata-mlops-drift-psi", "numpy", "scipy")

Table = NDArray[np.float64]
Peer = tuple[Mapping[str, str], Callable[[], float]]


@frozen
class Line:
    """A figure, and the goal that it is held to."""

    name: str
    figure: str
    goal: str
    holds: bool
    data: Mapping[str, Any]


def seconds(act: Callable[[], object]) -> float:
    """The wall time of one call."""
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


def in_turn(sides: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, float]:
    """The median of what each side answers. They take turns: a machine that is busy for a while slows all alike. The first one warms up."""
    seen: dict[str, list[float]] = {name: [] for name in sides}
    for turn in range(-1, rounds):
        for name, side in sides.items():
            took = side()
            if turn >= 0:
                seen[name].append(took)
    return {name: statistics.median(times) for name, times in seen.items()}


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
    goals = {"ks": FASTER["ks"]}
    return [_faster(name, took[name], "scipy", took["scipy"], goals.get(name, 0.0), rows) for name in sides if name != "scipy"]


def _faster(name: str, mine: float, peer: str, other: float, goal: float, rows: int) -> Line:
    ratio = other / mine
    data = {"rows": rows, "columns": COLUMNS, "ms": mine * 1000, f"{peer}_ms": other * 1000, "ratio": ratio}
    figure = f"{mine * 1000:8.1f} ms  {peer} {other * 1000:8.1f} ms  {ratio:6.1f}x"
    return Line(f"{name}, {COLUMNS} x {rows}", figure, f">= {goal:g}x" if goal else "", ratio >= goal, data)


def importing(rounds: int) -> list[Line]:
    """Bytecode is cached, as it is for everybody after the first call."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}

    def process(names: str) -> float:
        return seconds(lambda: subprocess.run([sys.executable, "-c", f"import {names}"], env=environment, check=True))

    took = in_turn({"tests": lambda: process(MODULES), "scipy": lambda: process("scipy.stats")}, rounds)
    ratio = took["tests"] / took["scipy"]
    figure = f"{took['tests'] * 1000:8.1f} ms  scipy.stats {took['scipy'] * 1000:8.1f} ms  {ratio:6.2f} times as long"
    data = {"ms": took["tests"] * 1000, "scipy_ms": took["scipy"] * 1000, "ratio": ratio}
    return [Line(f"import {MODULES}", figure, f"<= {IMPORT:g}", ratio <= IMPORT, data)]


def stability(rows: int, rounds: int, interpreter: str | None) -> list[Line]:
    """Both fit and compare every column in each round. This side also answers p-values; the peer has none."""
    reference, current = tables(rows)
    test, rng = PopulationStability(), np.random.default_rng(0)

    def mine() -> float:
        return seconds(lambda: test.compare_columns(fitted(test, reference), current, rng=rng))

    with tempfile.TemporaryDirectory(prefix="drift-bench-") as folder, peer(Path(folder), reference, current, interpreter) as (told, other):
        took = in_turn({"psi": mine, "frouros": other}, rounds)
    line = _faster("psi", took["psi"], "frouros", took["frouros"], FASTER["psi"], rows)
    return [Line(line.name, line.figure, line.goal, line.holds, {**line.data, "peer": told})]


@contextlib.contextmanager
def peer(
    folder: Path, reference: Table, current: Table, interpreter: str | None
) -> Iterator[tuple[Mapping[str, str], Callable[[], float]]]:
    """The peer's versions, and what makes it do a round and answers the seconds."""
    inputs = folder / "tables.npz"
    np.savez(inputs, reference=reference, current=current)
    command = [interpreter or environment(folder / "peer"), str(Path(__file__).with_name("_drift_peer.py")), str(inputs)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        asked, answered = process.stdin, process.stdout
        if asked is None or answered is None:  # both are pipes
            raise AssertionError

        def a_round() -> float:
            asked.write("\n")
            asked.flush()
            return float(answered.readline())

        told = answered.readline()
        if not told:
            raise SystemExit(f"psi: {command[0]} cannot run frouros")
        yield json.loads(told), a_round
        asked.close()


def environment(place: Path) -> str:
    """The interpreter of a new environment with the peer."""
    subprocess.run([sys.executable, "-m", "venv", str(place)], check=True)
    python = str(place / "bin" / "python")
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", PEER], check=True)
    return python


def measure(parts: Sequence[str], *, small: bool, interpreter: str | None) -> list[Line]:
    """All lines of these parts."""
    rows, rounds = (5000, 3) if small else (100_000, 9)
    lines: list[Line] = []
    if "ks" in parts:
        lines += kolmogorov_smirnov(rows, rounds)
    if "import" in parts:
        lines += importing(3 if small else 21)
    if "psi" in parts:
        lines += stability(rows, rounds, interpreter)
    return lines


def main() -> int:
    """Measure and print; 0 where every goal holds or none is asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("parts", nargs="*", default=list(PARTS), metavar="part", help=f"of {', '.join(PARTS)}; all without any")
    parser.add_argument("--small", action="store_true", help="fewer of everything, and no goals")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--check", action="store_true", help="exit 1 where a goal is missed")
    parser.add_argument("--peer", metavar="PYTHON", help="an interpreter that has frouros; without it an environment is made")
    asked = parser.parse_args()
    if unknown := set(asked.parts) - set(PARTS):
        parser.error(f"no part {min(unknown)!r} - there are: {', '.join(PARTS)}")
    lines = measure(asked.parts, small=asked.small, interpreter=asked.peer)
    versions = {name: version(name) for name in DISTRIBUTIONS} | {"python": platform.python_version()}
    if asked.json:
        rows = [{"name": one.name, "goal": one.goal, "holds": one.holds, **one.data} for one in lines]
        print(json.dumps({"versions": versions, "lines": rows}))
    else:
        print(", ".join(f"{name} {number}" for name, number in versions.items()))
        for one in lines:
            goal = f"  {one.goal} {'' if one.holds else '- MISSED'}" if one.goal and not asked.small else ""
            print(f"{one.name:<40} {one.figure}{goal}")
    return int(asked.check and not asked.small and not all(one.holds for one in lines))


if __name__ == "__main__":
    sys.exit(main())
