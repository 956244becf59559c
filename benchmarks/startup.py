"""How long ``mlops --help`` takes beside a bare ``python -c pass``, with every plugin of this repository installed.

    python benchmarks/startup.py [--pairs 30] [--json] [--check]

The two run in turn, so that a machine that is busy for a while slows both alike; each pair gives a ratio of its own. Bytecode is cached, as
it is for everybody after the first call. ``--check`` exits 1 where the ratio of the medians is above the limit.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import tomllib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

LIMIT: Final = 12.0
WARM_UP: Final = 3
ROOT: Final = Path(__file__).resolve().parents[1]
BARE: Final = (sys.executable, "-c", "pass")
HELP: Final = (str(Path(sys.executable).with_name("mlops")), "--help")


def missing() -> list[str]:
    """Distributions of this repository's plugins that are not installed."""
    found = []
    for path in sorted(ROOT.glob("plugins/*/pyproject.toml")):
        name = tomllib.loads(path.read_text(encoding="utf-8"))["project"]["name"]
        try:
            version(name)
        except PackageNotFoundError:
            found.append(name)
    return found


def seconds(command: Sequence[str], folder: str) -> float:
    """The wall time of one call, in an empty folder."""
    environment = {name: value for name, value in os.environ.items() if name not in {"PYTHONDONTWRITEBYTECODE", "MLOPS_PROJECT"}}
    began = time.perf_counter()
    subprocess.run(command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - began


def measure(pairs: int) -> Mapping[str, float]:
    """Medians in seconds, their ratio, and the median of the pairs' own ratios."""
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(WARM_UP):
            seconds(BARE, folder)
            seconds(HELP, folder)
        timed = [(seconds(BARE, folder), seconds(HELP, folder)) for _ in range(pairs)]
    bare, helped = (statistics.median(times) for times in zip(*timed, strict=True))
    return {
        "pairs": pairs,
        "bare_s": bare,
        "help_s": helped,
        "ratio": helped / bare,
        "median_of_ratios": statistics.median(help_s / bare_s for bare_s, help_s in timed),
        "limit": LIMIT,
    }


def main() -> int:
    """Measure and print; 0 where the check holds or none is asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--pairs", type=int, default=30, help="calls of each (default 30)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--check", action="store_true", help=f"exit 1 where the ratio is above {LIMIT:g}")
    asked = parser.parse_args()
    if asked.pairs < 1:
        parser.error("--pairs: at least 1 is needed")
    if absent := missing():
        parser.error(f"not installed: {', '.join(absent)} - run `nox -s bench -- startup`")
    found = measure(asked.pairs)
    if asked.json:
        print(json.dumps(found))
    else:
        print(f"{'python -c pass':<16} {found['bare_s'] * 1000:7.1f} ms")
        print(f"{'mlops --help':<16} {found['help_s'] * 1000:7.1f} ms")
        print(f"{'ratio':<16} {found['ratio']:7.2f}    (of {asked.pairs} pairs; at most {LIMIT:g} is promised)")
    return int(asked.check and found["ratio"] > LIMIT)


if __name__ == "__main__":
    sys.exit(main())
