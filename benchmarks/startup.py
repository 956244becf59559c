"""How long ``mlops --help`` takes beside a bare ``python -c pass``, with every plugin of this repository installed.

    python benchmarks/startup.py [--small] [--json] [--check]

The two run in turn, so that a machine that is busy for a while slows both alike. Bytecode is cached, as it is for everybody after the first
call. ``--check`` exits 1 where the ratio of the medians is above the limit. ``--small`` runs one pair, and checks nothing.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import tomllib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Final

from _lines import answer, at_most, parser
from _turns import in_turn, seconds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from _lines import Line

LIMIT: Final = 12.0
PAIRS: Final = 30
DISTRIBUTIONS: Final = ("motadata-mlops-core", "click")
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


def process(command: Sequence[str], folder: str) -> float:
    """The wall time of one call, in an empty folder."""
    environment = {name: value for name, value in os.environ.items() if name not in {"PYTHONDONTWRITEBYTECODE", "MLOPS_PROJECT"}}
    return seconds(lambda: subprocess.run(command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, check=True))


def measure(pairs: int) -> list[Line]:
    """The ratio of the medians."""
    with tempfile.TemporaryDirectory() as folder:
        took = in_turn({"bare": lambda: process(BARE, folder), "help": lambda: process(HELP, folder)}, pairs)
    data = {f"{name}_s": median for name, median in took.items()}
    return [at_most("mlops --help", took["help"] / took["bare"], "times as long as python -c pass", LIMIT, pairs=pairs, **data)]


def main() -> int:
    """Measure and print; 0 where the check holds or none is asked for."""
    options = parser(__doc__)
    asked = options.parse_args()
    if absent := missing():
        options.error(f"not installed: {', '.join(absent)} - run `nox -s bench -- startup`")
    return answer(asked, measure(1 if asked.small else PAIRS), DISTRIBUTIONS)


if __name__ == "__main__":
    sys.exit(main())
