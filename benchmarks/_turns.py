"""Sides of a benchmark that take turns: a machine that is busy for a while slows all of them alike."""

from __future__ import annotations

import contextlib
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
from attrs import define

__all__ = ["Peer", "in_turn", "interpreter", "peer", "seconds"]

_SIDE: Final = str(Path(__file__).with_name("_peers.py"))


def seconds(act: Callable[[], object]) -> float:
    """The wall time of one call."""
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


def in_turn(
    sides: Mapping[str, Callable[[], float]], rounds: int, middle: Callable[[list[float]], float] = statistics.median
) -> dict[str, float]:
    """Of each side, the median of what it answers in so many turns, after one that warms up."""
    seen: dict[str, list[float]] = {name: [] for name in sides}
    for turn in range(-1, rounds):
        for name, side in sides.items():
            took = side()
            if turn >= 0:
                seen[name].append(took)
    return {name: middle(times) for name, times in seen.items()}


@define
class Peer:
    """A program in an environment of its own: what it tells of its versions and settings, and what it found in its latest round."""

    told: Mapping[str, Any]
    asked: IO[str]
    answered: IO[str]
    found: Any = None

    def a_round(self) -> float:
        """The seconds of one more round."""
        self.asked.write("\n")
        self.asked.flush()
        took, self.found = json.loads(self.answered.readline())
        return float(took)


@contextlib.contextmanager
def peer(name: str, python: str, **inputs: Any) -> Iterator[Peer]:
    """This side of ``_peers.py``, which is given these arrays."""
    with tempfile.NamedTemporaryFile(prefix="bench-", suffix=".npz") as file:
        np.savez(file, **inputs)
        file.flush()
        with subprocess.Popen([python, _SIDE, name, file.name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            asked, answered = process.stdin, process.stdout
            if asked is None or answered is None:  # both are pipes
                raise AssertionError
            told = answered.readline()
            if not told:
                raise SystemExit(f"{name}: {python} cannot run the peer")
            yield Peer(json.loads(told), asked, answered)
            asked.close()


@contextlib.contextmanager
def interpreter(given: str | None, *requirements: str) -> Iterator[str]:
    """The interpreter given, or that of a new environment with these distributions."""
    if given:
        yield given
        return
    with tempfile.TemporaryDirectory(prefix="bench-peer-") as place:
        python = str(Path(place) / "bin" / "python")
        try:
            subprocess.run([sys.executable, "-m", "venv", place], check=True)
            subprocess.run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *requirements], check=True)
        except subprocess.CalledProcessError as error:
            raise SystemExit(f"{' '.join(requirements)}: pip cannot install it - name an interpreter that has it with --peer") from error
        yield python
