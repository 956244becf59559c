"""What a request costs on the local server, beside a bare one, beside itself with batching, and beside other model servers.

    python benchmarks/serving.py [cpu] [batching] [peers] [--rounds 15] [--small] [--json] [--check] [--peers FOLDER]

``cpu``: processor time of all processes of the server for one request, over 8 connections, beside a bare ASGI application on the same
uvicorn and httptools, with the same model and request: orjson, one matrix, ``predict_proba``, orjson. It looks at no path, header or type,
counts nothing, and calls the model in a thread, as a server does that stays alive while a model hangs; the line without a goal is the same
application with the model in its event loop. This project's server has routes, a token and a SQLite sink.

``batching``: requests a second over 64 connections, with up to 64 of them joined and without.

``peers``: requests a second over 8 connections, every server on one core and the client on another, without batching. Each lives in an
environment of its own, made for the occasion or found as FOLDER/NAME; one that is missing or does not serve is a line that says so.

Medians of rounds in which the sides take turns. ``--check`` exits 1 where a goal is missed; ``--small`` tries everything, and checks
nothing.
"""

from __future__ import annotations

import contextlib
import os
import statistics
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import joblib
import numpy as np
from _lines import Line, answer, parser
from _load import Load, load, pinned
from _serving_sides import COLUMNS, PEERS, Server, absent, mine, other
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PARTS: Final = ("cpu", "batching", "peers")
MOST: Final = 1.15
FASTER: Final = 3.0
DISTRIBUTIONS: Final = ("motadata-mlops-core", "motadata-mlops-deployer-local", "uvicorn", "httptools", "orjson", "scikit-learn", "numpy")


def models() -> Mapping[str, Any]:
    """A light model, and the kind that the quickstart trains."""
    random = np.random.default_rng(0)
    rows = random.normal(size=(2000, len(COLUMNS)))
    late = (rows[:, 0] + rows[:, 1] * rows[:, 2] + random.normal(size=2000) > 0).astype(int)
    return {"logistic": LogisticRegression().fit(rows, late), "boosting": HistGradientBoostingClassifier().fit(rows, late)}


def taking_turns(servers: Mapping[str, Server], rounds: int, count: int, connections: int) -> Mapping[str, list[Load]]:
    """What each answered in so many turns, after one that warms up."""
    seen: dict[str, list[Load]] = {name: [] for name in servers}
    with pinned(max(os.sched_getaffinity(0))):
        for turn in range(-1, rounds):
            for name, one in servers.items():
                found = load(one.port, one.request, connections, count, one.pid)
                if turn >= 0:
                    seen[name].append(found)
    return seen


def cost(place: Path, rounds: int, count: int) -> list[Line]:
    """The lines of ``cpu``."""
    lines = []
    for name, model in models().items():
        path = place / f"{name}.joblib"
        joblib.dump(model, path)
        with contextlib.ExitStack() as stack:
            floors = {kind: stack.enter_context(other(kind, sys.executable, path)) for kind in ("floor_thread", "floor")}
            seen = taking_turns({"mine": stack.enter_context(mine(place / name, model)), **floors}, rounds, count, 8)
        lines += [_beside(name, seen, "floor_thread", "a bare server, model in a thread", MOST)]
        lines += [_beside(name, seen, "floor", "a bare server, model in the event loop")]
    return lines


def _beside(model: str, seen: Mapping[str, list[Load]], floor: str, words: str, most: float = 0) -> Line:
    here, there = ([one.cpu / one.requests * 1e6 for one in seen[name]] for name in ("mine", floor))
    ratio = statistics.median(mine / bare for mine, bare in zip(here, there, strict=True))
    us, bare_us = statistics.median(here), statistics.median(there)
    figure = f"{us:8.1f} us  {bare_us:8.1f} us  {ratio:5.2f}x"
    data = {"us": us, "floor_us": bare_us, "ratio": ratio}
    return Line(f"CPU of a request, {model}, beside {words}", figure, f"<= {most:g}x" if most else "", not most or ratio <= most, data)


def batching(place: Path, rounds: int, count: int) -> list[Line]:
    """The line of ``batching``."""
    model = models()["boosting"]
    with mine(place / "single", model) as single, mine(place / "joined", model, batch=64) as joined:
        seen = taking_turns({"joined": joined, "single": single}, rounds, count, 64)
    return [_faster("64 connections, batch: 64 beside batch: 1", seen, "joined", "single")]


def _faster(name: str, seen: Mapping[str, list[Load]], here: str, there: str, **more: Any) -> Line:
    mine_each, other_each = ([one.requests / one.wall for one in seen[side]] for side in (here, there))
    ratio = statistics.median(one / two for one, two in zip(mine_each, other_each, strict=True))
    rate, other_rate = statistics.median(mine_each), statistics.median(other_each)
    data = {"per_second": rate, "other_per_second": other_rate, "ratio": ratio}
    return Line(
        name, f"{rate:8.0f} /s  {other_rate:8.0f} /s  {ratio:5.2f}x", more.pop("goal", f">= {FASTER:g}x"), ratio >= FASTER, data, **more
    )


def beside(place: Path, rounds: int, count: int, folder: Path | None) -> list[Line]:
    """The lines of ``peers``."""
    model, core = models()["logistic"], min(os.sched_getaffinity(0))
    path = place / "peers" / "model.joblib"
    path.parent.mkdir()
    joblib.dump(model, path)
    lines, servers = [], {}
    with contextlib.ExitStack() as stack:
        servers["mine"] = stack.enter_context(mine(place / "mine", model, core))
        for kind in PEERS:
            python, why = absent(kind, folder, place)
            if not why:
                try:
                    servers[kind] = stack.enter_context(other(kind, python, path, core))
                except SystemExit as error:
                    why = str(error)
            if why:
                lines.append(Line(f"8 connections, beside {kind}", f"not measured: {why}", "", holds=False))
        seen = taking_turns(servers, rounds, count, 8)
    rates = {name: statistics.median(one.requests / one.wall for one in found) for name, found in seen.items() if name != "mine"}
    best = max(rates, key=lambda name: rates[name])
    for name in rates:
        goal = {} if name == best else {"goal": ""}
        lines.append(
            _faster(
                f"8 connections, beside {name}{', the best' if name == best else ''}", seen, "mine", name, peer=servers[name].told, **goal
            )
        )
    return lines


def measure(parts: Sequence[str], rounds: int, count: int, folder: Path | None) -> list[Line]:
    """All lines of these parts."""
    lines = []
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        place = Path(name)
        if "cpu" in parts:
            lines += cost(place, rounds, count)
        if "batching" in parts:
            lines += batching(place, max(rounds // 3, 1), 4 * count)
        if "peers" in parts:
            lines += beside(place, max(rounds // 3, 1), count, folder)
    return lines


def main() -> int:
    """Measure and print; 0 where every goal holds or none is asked for."""
    options = parser(__doc__, PARTS)
    options.add_argument("--rounds", type=int, default=15, help="turns of each side (15)")
    options.add_argument(
        "--peers", type=Path, metavar="FOLDER", help="environments of the peers, one folder each; without it they are made"
    )
    asked = options.parse_args()
    rounds, count = (1, 100) if asked.small else (asked.rounds, 400)
    return answer(asked, measure(asked.parts, rounds, count, asked.peers), DISTRIBUTIONS)


if __name__ == "__main__":
    sys.exit(main())
