"""What counting a prediction costs, beside what people use for it.

    python benchmarks/monitoring.py [--rounds 9] [--small] [--json] [--check] [--peer PYTHON]

CPU time of one process for each prediction, everything amortised: of this project the flusher, the spool and the SQLite sink until every
prediction is in it, of the others nothing is exported (OpenTelemetry is collected once in a round). Medians of rounds in which the sides
take turns, on the same latencies. The others live in an environment of their own, made for the occasion unless ``--peer`` names its
interpreter. ``--check`` exits 1 where a goal is missed; ``--small`` tries everything in seconds, and checks nothing.
"""

from __future__ import annotations

import contextlib
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from _lines import Line, answer, at_most, parser
from _turns import Peer, in_turn, interpreter, peer
from attrs import evolve

from mlops_core import Project
from mlops_core.records import SeriesKey

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlops_core.monitoring import ModelMonitoring

COUNT: Final = 200_000  # predictions in a round
MOST: Final = {"handle": 0.35, "keywords": 0.5}  # microseconds
FASTER: Final = {("handle", "prometheus"): 5.0, ("handle", "prometheus_labels"): 8.0, ("handle", "otel"): 25.0}
PEERS: Final = ("prometheus-client==0.26.0", "opentelemetry-sdk==1.45.2", "numpy")
DISTRIBUTIONS: Final = ("motadata-mlops-core", "motadata-mlops-sink-sql", "sqlalchemy")


def sides(monitoring: ModelMonitoring, latencies: list[float]) -> dict[str, Callable[[], float]]:
    """Rounds of this project: CPU seconds for each prediction."""
    recorder = monitoring.recorder(SeriesKey(monitoring.tenant_id, "production", "m", "1"))

    def handle() -> None:
        for seconds in latencies:
            recorder.count(seconds, True)

    def keywords() -> None:
        for seconds in latencies:
            monitoring.track_prediction(model_id="m", prediction_time=seconds, success=True)

    def measured(act: Callable[[], None]) -> Callable[[], float]:
        def a_round() -> float:
            began = time.process_time()
            act()
            monitoring.flush(60)
            return (time.process_time() - began) / len(latencies)

        return a_round

    return {"handle": measured(handle), "keywords": measured(keywords)}


def other(one: Peer) -> Callable[[], float]:
    """Rounds of a peer: CPU seconds for each prediction, as it measured them."""

    def a_round() -> float:
        one.a_round()
        return float(one.found["cpu"])

    return a_round


def measure(rounds: int, count: int, given: str | None) -> list[Line]:
    """All lines."""
    latencies = np.random.default_rng(0).lognormal(-3, 0.5, count)
    names = ("prometheus", "prometheus_labels", "otel")
    with tempfile.TemporaryDirectory(prefix="bench-") as place, contextlib.ExitStack() as open_ones:
        file = Path(place, "mlops.yaml")
        file.write_text("version: 1\ntracker: []\nmonitoring: {sinks: [sqlite]}\n", encoding="utf-8")
        python = open_ones.enter_context(interpreter(given, *PEERS))
        peers = {name: open_ones.enter_context(peer(name, python, latencies=latencies)) for name in names}
        project = open_ones.enter_context(Project.open(file))
        mine = sides(project.monitoring, latencies.tolist())
        took = in_turn({**mine, **{name: other(one) for name, one in peers.items()}}, rounds)
        total = project.monitoring.get_metrics("m").total_predictions
    if total != 2 * (rounds + 1) * count:
        raise SystemExit(f"monitoring: {total} predictions are counted of {2 * (rounds + 1) * count}")
    lines = [at_most(f"{name}, CPU of a prediction", took[name] * 1e6, "us", MOST[name]) for name in mine]
    for (here, there), goal in FASTER.items():
        ratio = took[there] / took[here]
        figure = f"{took[here] * 1e6:9.3f} us  {there} {took[there] * 1e6:9.3f} us  {ratio:6.1f}x"
        data = {"us": took[here] * 1e6, f"{there}_us": took[there] * 1e6, "ratio": ratio}
        lines.append(evolve(Line(f"{here} beside {there}", figure, f">= {goal:g}x", ratio >= goal, data), peer=peers[there].told))
    return lines


def main() -> int:
    """Measure and print; 0 where every goal holds or none is asked for."""
    options = parser(__doc__)
    options.add_argument("--rounds", type=int, default=9, help="turns of each side (9)")
    options.add_argument("--peer", metavar="PYTHON", help=f"an interpreter that has {' and '.join(PEERS)}; without it one is made")
    asked = options.parse_args()
    rounds, count = (2, 5000) if asked.small else (asked.rounds, COUNT)
    return answer(asked, measure(rounds, count, asked.peer), DISTRIBUTIONS)


if __name__ == "__main__":
    sys.exit(main())
