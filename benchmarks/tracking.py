"""What logging a metric costs, how fast a spool is drained, and how fast runs are found, beside MLflow.

    python benchmarks/tracking.py [--rounds 5] [--small] [--json] [--check]

Logging: wall time of one ``log_metrics`` call with one metric in spool mode, while the spool is drained into the embedded tracker; the
median of all calls. Drain: metrics a second out of a spool that filled while the store was taken by somebody else. Beside MLflow: metrics a
second from the first call until all are in the tracker, in turns with ``mlflow.log_metric`` into MLflow's SQLite store in the same process;
medians, and the ratio of their speeds. In ``sync`` mode: calls with one metric through the facade into MLflow's SQLite store, in turns
with ``mlflow.log_metric`` into another one; of each round the ratio of the median calls, and the median of these. Search: of 10,000 runs
with three params, five metrics and two tags each, those that pass a filter of a metric and a param, ordered by a metric: the first 100 of
them, which is the goal's, and all of them. ``--check`` exits 1 where a goal is missed; ``--small`` tries everything in seconds, and
checks nothing.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import statistics
import sys
import tempfile
import time
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from _lines import Line, answer, at_most, parser
from _turns import in_turn, seconds

from mlops_core import Project
from mlops_core.query import parse
from mlops_core.records import Metric, RunKey, RunStart, TrackBatch
from mlops_core.tracking import ExperimentTracker
from mlops_tracker_local import LocalTracker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CALL: Final = 20.0  # microseconds
DRAIN: Final = 20_000  # metrics a second
FASTER: Final = 20.0
SYNC: Final = 1.1
SEARCH: Final = 50.0  # milliseconds
DISTRIBUTIONS: Final = ("motadata-mlops-core", "motadata-mlops-tracker-local", "mlflow", "sqlalchemy")
FILTER: Final = "metrics.loss < 0.5 and params.model = 'm3' order by metrics.accuracy desc"
AT: Final = datetime(2024, 5, 1, tzinfo=UTC)


@contextmanager
def tracker(place: Path) -> Iterator[ExperimentTracker]:
    """A project's, with a store of its own."""
    place.mkdir(exist_ok=True)
    file = place / "mlops.yaml"
    file.write_text("version: 1\ntracker: local\n", encoding="utf-8")
    with Project.open(file) as project:
        yield project.tracker


def calls(tracked: ExperimentTracker, count: int) -> list[float]:
    """Seconds of each call; all are in the tracker at the end."""
    took = []
    with tracked.start_run() as run:
        for step in range(count):
            began = time.perf_counter()
            run.log_metrics({"loss": 1 / (step + 1)}, step=step)
            took.append(time.perf_counter() - began)
    if not tracked.flush(600):
        raise SystemExit("tracking: not everything was delivered")
    return took


def mlflow_calls(place: Path) -> Callable[[int], None]:
    """As many calls of MLflow, of one run in a SQLite store."""
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    import mlflow

    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    mlflow.set_tracking_uri(f"sqlite:///{place / 'mlflow.db'}")
    mlflow.create_experiment("bench", artifact_location=str(place / "artifacts"))
    mlflow.set_experiment("bench")

    def log(count: int) -> None:
        with mlflow.start_run():
            for step in range(count):
                mlflow.log_metric("loss", 1 / (step + 1), step=step)

    return log


def mlflow_call(place: Path) -> Callable[[int], object]:
    """One call of MLflow, of one run."""
    mlflow_calls(place)
    import mlflow

    run_id = mlflow.start_run().info.run_id
    mlflow.end_run()
    return lambda step: mlflow.log_metric("loss", 1 / (step + 1), step=step, run_id=run_id)


def writing(place: Path, rounds: int, count: int, peers: int) -> list[Line]:
    """The lines of logging and of the drain."""
    log, took = mlflow_calls(place), list[float]()
    with tracker(place / "project") as tracked:

        def whole() -> float:
            return seconds(lambda: took.extend(calls(tracked, count))) / count

        each = in_turn({"local": whole, "mlflow": lambda: seconds(lambda: log(peers)) / peers}, rounds)
        runs = tracked.search_runs("metrics.loss > 0")
    if len(runs) != rounds + 1:
        raise SystemExit(f"tracking: {len(runs)} runs are found of {rounds + 1}")
    alone = statistics.median(drained(place / f"spool{number}", count) for number in range(rounds))
    here, there = 1 / each["local"], 1 / each["mlflow"]
    calls_line = at_most("a call of log_metrics, p50", statistics.median(took) * 1e6, "us", CALL)
    p99 = at_most("a call of log_metrics, p99", float(np.quantile(took, 0.99)) * 1e6, "us")
    settings = {"mlflow store": "sqlite", "mlflow call": "log_metric, one metric"}
    ratio = here / there
    beside = Line(
        "logged and drained, beside mlflow.log_metric",
        f"{here:9.0f} /s  mlflow {there:9.1f} /s  {ratio:6.1f}x",
        f">= {FASTER:g}x",
        ratio >= FASTER,
        {"per_second": here, "mlflow_per_second": there, "ratio": ratio},
        settings,
    )
    return [calls_line, p99, at_least("drained, of a full spool", 1 / alone, DRAIN), beside]


def in_sync(place: Path, rounds: int, count: int) -> Line:
    """The line of ``sync`` mode: the two stores take turns call by call, so that both meet the same disk."""
    place.mkdir()
    theirs, ratios, took = mlflow_call(place), list[float](), list[float]()
    (place / "mlops.yaml").write_text("version: 1\ntracker: {use: mlflow, tracking_uri: ours}\n", encoding="utf-8")
    with Project.open(place) as project, ExperimentTracker(stack=project.stack, mode="sync") as tracked, tracked.start_run() as run:
        for _ in range(rounds):
            ours, beside = [], []
            for step in range(count):
                ours.append(seconds(partial(run.log_metrics, {"loss": 1 / (step + 1)}, step=step)))
                beside.append(seconds(partial(theirs, step)))
            took.append(statistics.median(ours))
            ratios.append(took[-1] / statistics.median(beside))
    ratio, own = statistics.median(ratios), statistics.median(took) * 1000
    said = f"{own:9.1f} ms  mlflow {own / ratio:9.1f} ms  {ratio:6.2f}x"
    return Line("a call in sync mode, beside mlflow.log_metric", said, f"<= {SYNC:g}x", ratio <= SYNC, {"ms": own, "ratio": ratio}, {})


def at_least(name: str, rate: float, least: float) -> Line:
    """Metrics a second."""
    return Line(name, f"{rate:9.0f} /s", f">= {least:g} /s", rate >= least, {"per_second": rate})


def drained(place: Path, count: int) -> float:
    """Seconds for each metric of a spool that filled while the store was taken by somebody else."""
    with tracker(place) as tracked, tracked.start_run() as run:
        tracked.flush(60)
        with closing(sqlite3.connect(tracked.tracking_uri, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            for step in range(count):
                run.log_metrics({"loss": 1 / (step + 1)}, step=step)
            other.execute("COMMIT")
        took = seconds(lambda: tracked.flush(600))
        (found,) = tracked.search_runs("metrics.loss > 0")
    if found.metrics["loss"] != 1 / count:
        raise SystemExit("tracking: the spool was not drained")
    return took / count


def fill(local: LocalTracker, count: int) -> None:
    """Runs whose metrics are uniform, a tenth of them of each model."""
    random = np.random.default_rng(0)
    local.ensure_experiment("acme", "bench", {})
    for number in range(count):
        key, values = RunKey("acme", "bench", f"r{number}"), random.random(5).tolist()
        at = AT + timedelta(seconds=number)
        local.start_run(RunStart(key, f"run {number}", at))
        metrics = tuple(Metric(name, value, 0, at) for name, value in zip(("loss", "accuracy", "a", "b", "c"), values, strict=True))
        params = {"model": f"m{number % 10}", "depth": str(number % 7), "seed": str(number)}
        local.write(key, TrackBatch("bench", 1, params=params, metrics=metrics, tags={"team": "a", "kind": "x"}))


def searching(place: Path, rounds: int, count: int) -> list[Line]:
    """The lines of the search."""
    with closing(LocalTracker(path=place / "runs.db")) as local:
        fill(local, count)

        def search(limit: int | None) -> Callable[[], float]:
            query = parse(FILTER, default="tags", limit=limit)
            return lambda: seconds(lambda: list(local.find_runs("acme", query)))

        took = in_turn({"100": search(100), "all": search(None)}, rounds)
        found = len(list(local.find_runs("acme", parse(FILTER, default="tags"))))
    return [
        at_most(f"the first 100 of {found} found among {count} runs", took["100"] * 1000, "ms", SEARCH),
        at_most("all of them", took["all"] * 1000, "ms"),
    ]


def main() -> int:
    """Measure and print; 0 where every goal holds or none is asked for."""
    options = parser(__doc__)
    options.add_argument("--rounds", type=int, default=5, help="turns of each side (5)")
    asked = options.parse_args()
    rounds, count, peers, runs = (1, 500, 5, 200) if asked.small else (asked.rounds, 20_000, 100, 10_000)
    with tempfile.TemporaryDirectory(prefix="bench-") as place:
        sync = in_sync(Path(place) / "sync", rounds, peers)
        lines = [*searching(Path(place), 5 * rounds, runs), *writing(Path(place), rounds, count, peers), sync]
    return answer(asked, lines, DISTRIBUTIONS)


if __name__ == "__main__":
    sys.exit(main())
