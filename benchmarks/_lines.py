"""What every benchmark tells, and how: options, a line for each figure, JSON, and the exit code."""

from __future__ import annotations

import argparse
import json
import os
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any, Final

from attrs import field, frozen

__all__ = ["Line", "answer", "at_most", "faster", "parser"]

_SETTINGS: Final = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS")


@frozen
class Line:
    """A figure in words, the goal that it is held to, and the same in data; ``peer``: versions and settings of what it is compared with."""

    name: str
    figure: str
    goal: str = ""
    holds: bool = True
    data: Mapping[str, Any] = field(factory=dict)
    peer: Mapping[str, Any] = field(factory=dict)


def at_most(name: str, figure: float, unit: str, most: float = 0, **data: Any) -> Line:
    """A figure and its limit, 0 for none."""
    goal = f"<= {most:g} {unit}" if most else ""
    return Line(name, f"{figure:9.3f} {unit}", goal, not most or figure <= most, {"figure": figure, "unit": unit, **data})


def faster(name: str, mine: float, peer: str, other: float, goal: float = 0, **data: Any) -> Line:
    """Seconds of this project and of the peer, whose ratio is to be at least the goal, 0 for none."""
    ratio = other / mine
    figure = f"{mine * 1000:9.3f} ms  {peer} {other * 1000:9.3f} ms  {ratio:6.1f}x"
    told = {"ms": mine * 1000, f"{peer.replace('-', '_')}_ms": other * 1000, "ratio": ratio}
    return Line(name, figure, f">= {goal:g}x" if goal else "", ratio >= goal, {**told, **data})


def parser(doc: str | None, parts: Sequence[str] = (), usual: Sequence[str] = ()) -> argparse.ArgumentParser:
    """Options of every benchmark; the parts of one that has several, of which those that are usual run when none is named."""

    def part(name: str) -> str:
        if name not in parts:
            raise argparse.ArgumentTypeError(f"no part {name!r} - there are: {', '.join(parts)}")
        return name

    made = argparse.ArgumentParser(description=(doc or "").partition("\n")[0])
    if parts:
        default = list(usual or parts)
        told = f"of {' '.join(parts)}; without any: {' '.join(default)}"
        made.add_argument("parts", nargs="*", type=part, default=default, metavar="part", help=told)
    made.add_argument("--small", action="store_true", help="fewer of everything, and no goals")
    made.add_argument("--json", action="store_true", help="print one JSON object")
    made.add_argument("--check", action="store_true", help="exit 1 where a goal is missed")
    return made


def answer(asked: argparse.Namespace, lines: Sequence[Line], distributions: Sequence[str]) -> int:
    """Print, with the versions of these distributions; 0 where every goal holds or none is asked for."""
    held = not asked.small
    here = {name: version(name) for name in distributions} | {"python": platform.python_version(), "cores": os.cpu_count()}
    here |= {name: os.environ[name] for name in _SETTINGS if name in os.environ}
    if asked.json:
        rows = [
            {"name": one.name, "goal": one.goal, "holds": one.holds, **one.data, **({"peer": one.peer} if one.peer else {})}
            for one in lines
        ]
        print(json.dumps({"versions": here, "lines": rows}))
    else:
        for versions in dict.fromkeys(_told(told) for told in (here, *(one.peer for one in lines if one.peer))):
            print(versions)
        width = max(len(one.name) for one in lines)
        for one in lines:
            goal = f"  {one.goal}{'' if one.holds else ' - MISSED'}" if one.goal and held else ""
            print(f"{one.name:<{width}} {one.figure}{goal}")
    return int(asked.check and held and not all(one.holds for one in lines))


def _told(versions: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {number}" for name, number in versions.items())
